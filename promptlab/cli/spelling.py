"""Spells the fields that errors name as what one types: ``guidance_scale`` as ``--guidance``.

Invariant: this is the only place that turns a field into its option. Lower rooms name fields; a Python user reads them
as they are.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from promptlab.specs.settings import Setting, setting_named

__all__ = ["option_of", "option_off", "options_of", "spell"]

_WORDS: Final = MappingProxyType(
    {
        "prompts": "PROMPT", "prompt": "--prompt", "arguments": "--set", "seed": "--seed", "stars": "STARS",
        "ref": "RUN", "image_ref": "IMAGE", "backup_file": "FILE",
    }
)  # fmt: skip
"""Fields that are typed otherwise than as an option of their name."""

_OPTIONS: Final = frozenset(
    {
        "allow_pickle", "append", "by", "clip_model", "cluster", "database_url", "file", "format", "fragments", "host",
        "like", "lossless", "order", "port", "prepend", "prompts_file", "quality", "replace", "sample", "score",
        "ship_model", "style", "template_seed", "to", "tracking_uri", "votes", "workers", "workspace",
    }
)  # fmt: skip
"""Fields of commands that are no settings of a run; their options are named like them."""

_RENAMED: Final = MappingProxyType({"database_url": "database", "fragments": "fragment"})
_NEEDS_QUOTES: Final = re.compile(r"[\s<>()|&;*#]")
"""What a shell takes for something else."""


def option_of(setting: Setting) -> str:
    """Return the option that sets ``setting``: that of ``num_inference_steps`` is ``--steps``."""
    return _hyphenated(setting.name)


def options_of(setting: Setting) -> tuple[str, ...]:
    """Return every option that sets ``setting``, the one that errors and help name first."""
    return option_of(setting), *map(_hyphenated, setting.option_names)


def option_off(setting: Setting) -> str:
    """Return the option that switches ``setting`` off: ``--no-compile``."""
    return f"--no-{option_of(setting).removeprefix('--')}"


def spell(field: str, value: str | None) -> str:
    """Spell a field, alone or with a value, as it is typed; what is no field of a command stays as it is."""
    if value is not None and _NEEDS_QUOTES.search(value):
        value = f'"{value}"'
    if field.startswith("arguments."):
        name = field.removeprefix("arguments.")
        return f"--set {name}" if value is None else f"--set {name}={value}"
    if field in _WORDS:
        return _WORDS[field] if value is None else f"{_WORDS[field]} {value}"
    setting = setting_named(field)
    if setting is not None and setting.kind == "switch" and value in ("true", "false"):
        return option_of(setting) if value == "true" else option_off(setting)
    if setting is not None:
        option = option_of(setting)
    elif field in _OPTIONS:
        option = _hyphenated(_RENAMED.get(field, field))
    else:
        return field if value is None else f"{field}={value}"
    return option if value is None else f"{option} {value}"


def _hyphenated(name: str) -> str:
    return f"--{name.replace('_', '-')}"
