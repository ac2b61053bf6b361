"""Reads Fooocus' ``parameters``: JSON, or AUTOMATIC1111's format with fields of its own.

``fooocus_scheme`` says which.

The fields are those that ``FooocusMetadataParser`` and ``A1111MetadataParser`` write (``modules/meta_parser.py``); the
samplers are ComfyUI's. The prompt that is taken is the one that was typed. What styles and the prompt expansion added
to it is lost, and said: it is the part that one would want to see before going on from the typed words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from promptlab.images.foreign.automatic1111 import described
from promptlab.images.foreign.comfyui_names import CORE_WEIGHTS, set_comfyui_sampler
from promptlab.images.foreign.infotext_parser import Infotext, parse
from promptlab.images.foreign.record import ForeignMetadata, as_int, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["read"]

PROGRAM: Final = "Fooocus"

_RESOLUTION: Final = re.compile(r"[^0-9]{0,4}([0-9]{1,9})[^0-9]{1,6}([0-9]{1,9})[^0-9]{0,4}")
_ADDED: Final = "styles added words to the prompt"
_LABELS: Final = {
    "Prompt": "prompt",
    "Negative Prompt": "negative_prompt",
    "Styles": "styles",
    "Steps": "steps",
    "Resolution": "resolution",
    "Guidance Scale": "guidance_scale",
    "Base Model": "base_model",
    "Sampler": "sampler",
    "Scheduler": "scheduler",
    "VAE": "vae",
    "Seed": "seed",
    "Performance": "performance",
    "Sharpness": "sharpness",
    "ADM Guidance": "adm_guidance",
    "Refiner Model": "refiner_model",
    "Refiner Switch": "refiner_switch",
    "Version": "version",
    "Negative": "negative_prompt",
    "cfg": "guidance_scale",
    "sampler_name": "sampler",
    "base_model_name": "base_model",
}
"""Names the keys as they were before version 2.2, and are in RuinedFooocus."""

_LORA: Final = re.compile(r"lora_combined_[0-9]{1,3}|LoRA [0-9]{1,3}")
_SILENT: Final = ("metadata_scheme", "version", "created_by", "software", "image_number")
_WHY: Final = {
    "base_model_hash": "weights are found by name here",
    "refiner_model": "no second model takes over here",
    "refiner_model_hash": "weights are found by name here",
    "refiner_switch": "no second model takes over here",
    "refiner_swap_method": "no second model takes over here",
    "performance": "stands for the number of steps, and for a LoRA where it is fast",
    "sharpness": "no filter is applied while sampling here",
    "adm_guidance": "the size is not scaled while sampling here",
    "adaptive_cfg": "the guidance is not adapted here",
    "freeu": "the model is not patched here",
    "styles": _ADDED,
    "full_prompt": _ADDED,
    "full_negative_prompt": _ADDED,
    "prompt_expansion": "added words to the prompt",
    "Fooocus V2 Expansion": "added words to the prompt",
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read what Fooocus wrote in ``parameters``; return None when it was not Fooocus."""
    written = texts.get("parameters")
    plain = json_object(written)
    scheme = texts.get("fooocus_scheme")
    if plain is not None:
        plain = {_LABELS.get(key, key): value for key, value in plain.items()}
        return _json(plain) if scheme or _is_fooocus(plain) else None
    text = parse(written) if written else None
    if text is None or not (scheme or text.fields.get("Version", "").startswith("Fooocus")):
        return None
    fields = dict(text.fields)
    sampler, schedule = fields.get("Sampler", ""), fields.pop("Scheduler", "")
    builder = described(
        Infotext(prompt=text.prompt, negative_prompt=text.negative_prompt, fields=fields), program=PROGRAM
    )
    if schedule:
        builder.scheduler = None
        builder.gaps = [gap for gap in builder.gaps if gap.name not in ("Sampler", "Schedule type")]
        set_comfyui_sampler(builder, ("Sampler", sampler.removesuffix(" Karras")), ("Scheduler", schedule))
    if "Raw prompt" in fields:  # the two as they were typed, quoted because they may have lines
        builder.gaps = [gap for gap in builder.gaps if gap.name not in ("Raw prompt", "Raw negative prompt")]
        builder.set_prompts(fields["Raw prompt"], fields.get("Raw negative prompt", ""), weighted=CORE_WEIGHTS)
        if text.prompt != fields["Raw prompt"]:
            builder.record_gap("full prompt", text.prompt, _ADDED)
    return builder.build()


def _is_fooocus(plain: dict[str, Any]) -> bool:
    return "prompt" in plain and (
        "base_model" in plain
        or plain.get("metadata_scheme") == "fooocus"
        or cleaned(plain.get("version")).startswith("Fooocus")
    )


def _json(plain: dict[str, Any]) -> ForeignMetadata:
    left = {key: value for key, value in plain.items() if key not in _SILENT}
    builder = SpecBuilder(program=PROGRAM)
    negative = left.pop("negative_prompt", "")
    builder.set_prompts(left.pop("prompt", ""), negative, weighted=CORE_WEIGHTS)
    builder.set_model("base_model", left.pop("base_model", None))
    vae = cleaned(left.pop("vae", "")).strip()
    builder.settings["vae"] = None if vae in ("", "None") or vae.startswith("Default") else vae
    builder.set_steps("steps", left.pop("steps", None))
    builder.set_guidance("guidance_scale", left.pop("guidance_scale", None))
    resolution = left.pop("resolution", None)
    if resolution is not None:
        listed = resolution if isinstance(resolution, list) and len(resolution) == 2 else None
        sides = _RESOLUTION.fullmatch(cleaned(resolution))
        builder.set_size("resolution", *(listed or (sides.groups() if sides else (resolution, None))))
    elif "width" in left:
        builder.set_size("size", left.pop("width"), left.pop("height", None))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    set_comfyui_sampler(builder, ("sampler", left.pop("sampler", None)), ("scheduler", left.pop("scheduler", None)))
    _clip_skip(builder, left.pop("clip_skip", None))
    if left.get("refiner_model") in (None, "", "None"):
        left = {key: value for key, value in left.items() if not key.startswith("refiner_")}
    if any(_LORA.fullmatch(name) for name in left):
        left.pop("loras", None)  # the same, with hashes
    if left.get("full_negative_prompt") in ([negative], [], negative):
        left.pop("full_negative_prompt", None)
    for name, value in left.items():
        if _LORA.fullmatch(name):
            file, _, weight = cleaned(value).rpartition(" : ")
            builder.add_lora("LoRA", file or value, weight if file else None)
        elif name in _WHY:
            builder.record_gaps([(name, value)], why=_WHY[name])
        else:
            builder.record_gaps([(name, value)])
    return builder.build()


def _clip_skip(builder: SpecBuilder, layer: object) -> None:
    """Set clip skip. Fooocus runs SDXL alone, whose own choice is the second layer from the end.

    That is diffusers' ``None``.
    """
    counted = as_int(layer)
    if counted is not None and 2 < counted <= 12:
        builder.settings["clip_skip"] = counted - 2
    elif counted != 2:
        builder.record_gaps([("clip_skip", layer)])
