"""Writes settings as people read them: in reports, tables, MLflow's parameters and captions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from promptlab.expand.ranges import show_number
from promptlab.expand.seeds import show_seeds
from promptlab.specs import Change, Embedding, Lora, RunSpec
from promptlab.specs.settings import SETTINGS, setting_named

__all__ = [
    "CONDITIONING",
    "NONE",
    "TOGETHER",
    "change_parts",
    "change_text",
    "conditioning_text",
    "short_part",
    "short_source",
    "together",
]

TOGETHER: Final = "+"
"""Between two LoRAs, or two embeddings, that are used together."""

NONE: Final = "none"

CONDITIONING: Final = tuple(row.name for row in SETTINGS.values() if row.conditioning)
"""Every name that :func:`conditioning_text` has, in its order: columns of tables."""

_USUAL: Final = re.compile(r"[\\/](?:pytorch_lora_weights|learned_embeds)\.(?:safetensors|bin)$")
_ENDINGS: Final = (".safetensors", ".ckpt", ".bin", ".pt", ".pth")


def conditioning_text(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """Yield name and text of each setting that conditions images: ``("lora", "ink:0.8 + wash")``.

    That is what steers them besides words, steps and a scale, where it was asked for, in the table's order.
    """
    for name in CONDITIONING:
        row = SETTINGS[name]
        if row.is_set(spec):
            yield name, row.shown or _shown(row.value(spec))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return together(value)
    return show_number(value) if isinstance(value, int | float) else str(value)


def change_text(change: Change) -> str:
    """Write a change in the words people use, ``steps: 20 → 25``; for all fields but the prompts."""
    name, before, after = change_parts(change)
    return f"{name}: {before} → {after}"


def change_parts(change: Change) -> tuple[str, str, str]:
    """Return a change's setting, what it was and what it is, as :func:`change_text` writes them."""
    row = setting_named(change.field)
    name = change.field if row is None else row.name
    return name, _changed(change.field, change.before), _changed(change.field, change.after)


def _changed(field: str, value: Any) -> str:
    row = setting_named(field)
    if field == "seeds":
        return show_seeds(value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "default" if row is None or row.nothing is None else row.nothing
    if isinstance(value, float):
        return f"{value:g}"
    if row is not None and row.kind == "parts":
        return f" {TOGETHER} ".join(map(short_part, str(value).split(f" {TOGETHER} ")))
    return str(value).removesuffix("Scheduler") if field == "scheduler" else str(value)


def together(parts: Sequence[Lora | Embedding]) -> str:
    """Write parts that are used together by their files' names: ``wash:0.8 + ink``, or ``none``."""
    return f" {TOGETHER} ".join(map(_short, parts)) or NONE


def short_source(name: str) -> str:
    """Shorten a file to its own name, or its folder's where all are called so; a Hub id loses its commit."""
    plain = re.sub(r"@[0-9a-f]{40}(?=/|$)", "", name)
    plain = _USUAL.sub("", plain)
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", plain) is not None and not plain.endswith(_ENDINGS)
    short = plain if is_hub_id else plain.replace("\\", "/").rstrip("/").rpartition("/")[2] or plain
    for ending in _ENDINGS:
        short = short.removesuffix(ending)
    return short


def short_part(text: str) -> str:
    """Shorten ``/models/ink.safetensors:0.8`` to ``ink:0.8``."""
    name, colon, last = text.rpartition(":")
    told = bool(colon) and not re.search(r"[\\/]", last)
    return f"{short_source(name)}:{last}" if told else short_source(text)


def _short(part: Lora | Embedding) -> str:
    name = short_source(part.name)
    if isinstance(part, Lora):
        return name if part.weight == 1 else f"{name}:{show_number(part.weight)}"
    return name if part.token is None else f"{name}:{part.token}"
