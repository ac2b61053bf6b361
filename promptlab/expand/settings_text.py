"""What steers pictures besides words, steps and a scale, in the words of the command line. Pure.

One list for everything that shows a setting: reports, tables, MLflow's parameters, heads of pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from promptlab.expand.ranges import show_number
from promptlab.specs import Embedding, Lora, RunSpec

__all__ = ["NONE", "STEERING", "TOGETHER", "short_part", "short_source", "steering_of", "together"]

TOGETHER = "+"
"""Between two LoRAs, or two embeddings, that are used together."""

NONE = "none"

STEERING = (
    "lora", "textual_inversion", "weighting", "clip_skip", "guidance_rescale", "guidance_until", "variation_seed",
    "variation_strength",
)  # fmt: skip
"""Every name that :func:`steering_of` has, in its order: columns of tables."""

_USUAL = re.compile(r"[\\/](?:pytorch_lora_weights|learned_embeds)\.(?:safetensors|bin)$")
_ENDINGS = (".safetensors", ".ckpt", ".bin", ".pt", ".pth")


def steering_of(spec: RunSpec) -> Iterator[tuple[str, str]]:
    """Name and value of what is set, by the names of fields: ``("lora", "watercolour:0.8 + ink")``."""
    pipeline, call = spec.pipeline, spec.call
    if pipeline.loras:
        yield "lora", together(pipeline.loras)
    if pipeline.embeddings:
        yield "textual_inversion", together(pipeline.embeddings)
    if call.weighting:
        yield "weighting", "compel"
    if call.clip_skip is not None:
        yield "clip_skip", str(call.clip_skip)
    for name in ("guidance_rescale", "guidance_until", "variation_seed", "variation_strength"):
        value = getattr(call, name)
        if value is not None:
            yield name, show_number(value)


def together(parts: Sequence[Lora | Embedding]) -> str:
    """``watercolour:0.8 + ink``: each by its file's own name; ``none`` where there is none."""
    return f" {TOGETHER} ".join(map(_short, parts)) or NONE


def short_source(name: str) -> str:
    """A file by its own name, or by its folder where all are called so; a Hub id as it is, without the commit."""
    plain = re.sub(r"@[0-9a-f]{40}(?=/|$)", "", name)
    plain = _USUAL.sub("", plain)
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", plain) is not None and not plain.endswith(_ENDINGS)
    short = plain if is_hub_id else plain.replace("\\", "/").rstrip("/").rpartition("/")[2] or plain
    for ending in _ENDINGS:
        short = short.removesuffix(ending)
    return short


def short_part(text: str) -> str:
    """``/models/ink.safetensors:0.8`` as ``ink:0.8``."""
    name, colon, last = text.rpartition(":")
    told = bool(colon) and not re.search(r"[\\/]", last)
    return f"{short_source(name)}:{last}" if told else short_source(text)


def _short(part: Lora | Embedding) -> str:
    name = short_source(part.name)
    if isinstance(part, Lora):
        return name if part.weight == 1 else f"{name}:{show_number(part.weight)}"
    return name if part.token is None else f"{name}:{part.token}"
