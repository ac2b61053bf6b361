"""Reads SwarmUI's ``parameters``: JSON whose ``sui_image_params`` are what was used.

Names are those of its T2I parameters, lower case without blanks (``T2IParamTypes.cs``): ``negativeprompt``,
``cfgscale``, ``loras`` beside ``loraweights``. Samplers and schedules are ComfyUI's, which draws on the CPU.
``sui_extra_data`` has the prompt as it was typed, before its ``<random:…>`` were drawn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from promptlab.images.foreign.comfyui_names import CORE_WEIGHTS, set_comfyui_sampler
from promptlab.images.foreign.families import is_flow_model
from promptlab.images.foreign.record import ForeignMetadata, as_float, brief, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.records import ImportGap

__all__ = ["read"]

PROGRAM: Final = "SwarmUI"
_KEY: Final = "sui_image_params"
_BY_NAME: Final = "weights are found by name here"
_NO_VAE: Final = ("", "None", "Automatic")
_SILENT: Final = ("swarm_version", "images", "aspectratio", "date", "generation_time", "automaticvae", "prep_time")
_WHY: Final = {
    "initimagecreativity": "the picture was made from another picture",
    "refinermodel": "no second model takes over here",
    "refinercontrolpercentage": "no second model takes over here",
    "refinermethod": "no second model takes over here",
    "refinerupscale": "the second pass is not made here",
    "original_prompt": "the words that it stood for are taken",
    "original_negativeprompt": "the words that it stood for are taken",
}


_OF_A_PART: Final = re.compile(r"<(?:segment|region|object|clear|refiner|base|video|extend)\b[^<>]{0,200}>")


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read ``sui_image_params``; return None when there are none."""
    both = json_object(texts.get("parameters"))
    plain = both.get(_KEY) if both is not None else None
    if both is None or not isinstance(plain, dict):
        return None
    extra = both.get("sui_extra_data")
    found = _read(plain, extra if isinstance(extra, dict) else {})
    models = both.get("sui_models")
    hashes = [each for each in models if isinstance(each, dict)] if isinstance(models, list) else []
    gaps = [
        ImportGap(name=f"hash of {brief(each.get('name'))}", value=brief(each.get("hash")), why=_BY_NAME)
        for each in hashes[:20] if each.get("hash")
    ]  # fmt: skip
    return replace(found, lost=(*found.lost, *gaps))


def _read(plain: dict[str, Any], extra: dict[str, Any]) -> ForeignMetadata:
    left = {key: value for key, value in plain.items() if key not in _SILENT}
    distilled = left.pop("fluxguidancescale", None)
    flow = distilled is not None or "sigmashift" in left or is_flow_model(left.get("model"))
    builder = SpecBuilder(program=PROGRAM, flow=flow)
    prompt, negative = left.pop("prompt", ""), left.pop("negativeprompt", "")
    builder.set_prompts(_whole(builder, prompt), negative, weighted=CORE_WEIGHTS)
    builder.set_model("model", left.pop("model", None))
    vae = cleaned(left.pop("vae", "")).strip()
    builder.settings["vae"] = None if vae in _NO_VAE else vae
    builder.set_steps("steps", left.pop("steps", None))
    scale = left.pop("cfgscale", None)
    builder.set_guidance("fluxguidancescale" if distilled is not None else "cfgscale", distilled or scale)
    if distilled is not None and as_float(scale) not in (None, 1.0):
        builder.record_gap("cfgscale", scale, "the model is guided by the distilled scale alone here")
    builder.set_size("size", left.pop("width", None), left.pop("height", None))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    if "variationseed" in left:
        strength = ("variationseedstrength", left.pop("variationseedstrength", None))
        builder.set_variation(("variationseed", left.pop("variationseed")), strength)
    for old, new in (("comfyuisampler", "sampler"), ("comfyuischeduler", "scheduler")):  # until 0.6.2
        if old in left:
            left.setdefault(new, left.pop(old))
    set_comfyui_sampler(builder, ("sampler", left.pop("sampler", None)), ("scheduler", left.pop("scheduler", None)))
    _loras(builder, left.pop("loras", None), left.pop("loraweights", None))
    for name, value in [*left.items(), *((name, value) for name, value in extra.items() if name not in _SILENT)]:
        if name.startswith("original_") and cleaned(value) in (cleaned(prompt), cleaned(negative)):
            continue
        builder.record_gaps([(name, value)], **({"why": _WHY[name]} if name in _WHY else {}))
    return builder.build()


def _whole(builder: SpecBuilder, prompt: object) -> str:
    """Return the words of the whole picture; those behind ``<segment:…>`` are of a part of it."""
    words = cleaned(prompt)
    found = _OF_A_PART.search(words)
    if found is None:
        return words
    builder.record_gap("prompt", words[found.start() :], "is of a part of the picture, or of a second pass over it")
    return words[: found.start()].strip()


def _loras(builder: SpecBuilder, names: object, weights: object) -> None:
    if not isinstance(names, list):
        builder.record_gaps([("loras", names), ("loraweights", weights)])
        return
    of = weights if isinstance(weights, list) else []
    for at, name in enumerate(names[:100]):
        builder.add_lora("loras", name, of[at] if at < len(of) else None)
