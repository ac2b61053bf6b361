"""The other way: the experiment file that makes a run again.

Invariant: :func:`~promptlab.expand.experiment_file.reader.understood` makes an equal spec of what is written here,
whatever
the words are: they are taken to the letter (``text``), and whatever YAML might take for something else is quoted.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from promptlab.expand.ranges import show_number
from promptlab.expand.seeds import show_seeds
from promptlab.specs import RunSpec, Scalar, Variant

__all__ = ["write_experiment"]

_HIDDEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML breaks a line at, takes for a mark of its own, or refuses."""


def write_experiment(
    spec: RunSpec, *, experiment: str | None = None, name: str | None = None, note: str | None = None
) -> str:
    """A YAML file whose only run is ``spec``.

    Args:
        spec: of a run; what is ``None`` in it is left out.
        experiment, name, note: as the run is remembered.
    """
    pipeline, call = spec.pipeline, spec.call
    size = None if call.width is None or call.height is None else f"{call.width}x{call.height}"
    rows: list[tuple[str, Any]] = [
        ("experiment", experiment),
        ("name", name),
        ("note", note),
        ("model", pipeline.model or None),
        ("revision", pipeline.revision),
        ("variant", pipeline.variant),
        ("config", pipeline.config),
        ("vae", pipeline.vae),
        ("dtype", pipeline.dtype),
        ("scheduler", None if pipeline.scheduler is None else str(pipeline.scheduler)),
        ("lora", [f"{each.name}:{show_number(each.weight)}" for each in pipeline.loras] or None),
        ("textual_inversion", [str(each) for each in pipeline.embeddings] or None),
        ("weighting", call.weighting or None),
        ("clip_skip", call.clip_skip),
        ("steps", call.num_inference_steps),
        ("guidance", call.guidance_scale),
        ("guidance_rescale", call.guidance_rescale),
        ("guidance_until", call.guidance_until),
        ("variation_seed", call.variation_seed),
        ("variation_strength", call.variation_strength),
        ("size", size),
        ("width", call.width if size is None else None),
        ("height", call.height if size is None else None),
        ("batch_size", spec.batch_size),
        ("device", spec.device),
        ("generator_device", spec.generator_device if spec.generator_device != "cpu" else None),
        *spec.machine.said.items(),
        ("seeds", show_seeds(spec.seeds)),
    ]
    lines = [f"{key}: {_scalar(value)}" for key, value in rows if value is not None]
    if call.arguments:
        lines += ["arguments:", *(f"  {key}: {_scalar(value)}" for key, value in call.arguments)]
    lines.append("prompts:")
    for variant in spec.variants:
        lines += _prompt(variant)
    return "\n".join(lines) + "\n"


def _prompt(variant: Variant) -> list[str]:
    rows: list[tuple[str, Scalar]] = [
        ("text", variant.prompt),
        ("negative", variant.negative_prompt or None),
        ("label", variant.label),
        ("template", variant.template),
        ("replacement", variant.replacement),
        ("source", variant.source),
    ]
    lines = [f"    {key}: {_scalar(value)}" for key, value in rows if value is not None]
    return ["  - " + lines[0].lstrip(), *lines[1:]]


def _scalar(value: Scalar | list[str]) -> str:
    """A value as YAML takes it for itself: JSON, which is YAML, too."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return show_number(value)
    text = json.dumps(value, ensure_ascii=False)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
