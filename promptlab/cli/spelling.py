"""Spells the fields that errors name as what one types: ``guidance_scale`` as ``--guidance``.

Invariant: this is the only place that turns a field into its option. Lower rooms name fields; a Python user reads them
as they are.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from promptlab.specs.settings import Setting, setting_named

__all__ = ["option_of", "spell"]

_WORDS: Final = MappingProxyType({"prompts": "PROMPT", "arguments": "--set", "stars": "STARS"})
"""Fields that are typed otherwise than as an option of their name."""

_OPTIONS: Final = frozenset(
    {
        "allow_pickle", "append", "by", "clip_model", "database_url", "file", "format", "fragment", "host", "like",
        "lossless", "order", "port", "prepend", "prompts_file", "quality", "replace", "sample", "sizes",
        "template_seed", "tracking_uri", "votes", "workspace",
    }
)  # fmt: skip
"""Fields of commands that are no settings of a run; their options are named like them."""

_RENAMED: Final = MappingProxyType({"database_url": "database"})


def option_of(setting: Setting) -> str:
    """Return the option that sets ``setting``: ``--num-inference-steps`` is ``--steps``."""
    return f"--{setting.name.replace('_', '-')}"


def spell(field: str, value: str | None) -> str:
    """Spell a field, alone or with a value, as it is typed; what is no field of a command stays as it is."""
    if field in _WORDS:
        return _WORDS[field] if value is None else f"{_WORDS[field]} {value}"
    setting = setting_named(field)
    if setting is None and field not in _OPTIONS:
        return field if value is None else f"{field}={value}"
    option = f"--{_RENAMED.get(field, field).replace('_', '-')}" if setting is None else option_of(setting)
    if setting is not None and setting.kind == "switch" and value in ("true", "false"):
        return option if value == "true" else f"--no-{option.removeprefix('--')}"
    return option if value is None else f"{option} {value}"
