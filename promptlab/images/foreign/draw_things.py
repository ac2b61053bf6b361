"""Reads Draw Things' JSON, which lies in the UserComment of its XMP or EXIF.

``c`` is the prompt, ``uc`` what is not wanted, ``scale`` the guidance; ``v2`` repeats all of it and more. Samplers are
called as in AUTOMATIC1111's web UI, with ``Trailing`` or ``Karras`` behind them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from promptlab.images.foreign.automatic1111 import WEIGHTED
from promptlab.images.foreign.families import is_flow_model
from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.images.samplers import split_sampler

__all__ = ["read"]

PROGRAM: Final = "Draw Things"
_SIZE: Final = re.compile(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*")
_NAMES: Final[Mapping[str, str]] = {"Euler A": "Euler a", "Euler Ancestral": "Euler a"}
_TRAILING: Final = " Trailing"
_SAME: Final = {"strength": 1, "mask_blur": 0, "preserve_original": 0}
_REPEATED: Final = frozenset(
    {"seed", "steps", "guidanceScale", "sampler", "width", "height", "loras", "lora", "model", "strength", "clipSkip",
     "seedMode", "controls", "maskBlur", "preserveOriginalAfterInpaint", "shift", "id", "name", "batchCount",
     "originalImageWidth", "originalImageHeight", "targetImageWidth", "targetImageHeight", "negativeOriginalImageWidth",
     "negativeOriginalImageHeight", "upscaler", "refinerModel", "hiresFixWidth", "hiresFixHeight"}
)  # fmt: skip
"""Names what ``v2`` repeats of the object that it lies in, and sizes that follow from that of the picture."""

_OF_FLOW: Final = ("guidanceEmbed", "speedUpWithGuidanceEmbed", "resolutionDependentShift", "teaCacheThreshold")
_USUAL: Final[Mapping[str, object]] = {
    "aestheticScore": 6, "batchSize": 1, "decodingTileHeight": 640, "decodingTileOverlap": 128,
    "decodingTileWidth": 640,
    "diffusionTileHeight": 1024, "diffusionTileOverlap": 128, "diffusionTileWidth": 1024, "fps": 5,
    "guidingFrameNoise": 0.02, "hiresFixStrength": 0.7, "imageGuidanceScale": 1.5, "imagePriorSteps": 5,
    "motionScale": 127, "negativeAestheticScore": 2.5, "negativePromptForImagePrior": True, "numFrames": 14,
    "refinerStart": 0.85, "stage2Guidance": 1, "stage2Shift": 1, "startFrameGuidance": 1,
    "stochasticSamplingGamma": 0.3, "t5TextEncoder": True, "teaCacheEnd": -1, "teaCacheMaxSkipSteps": 3,
    "teaCacheStart": 5, "upscalerScaleFactor": 0,
}  # fmt: skip
"""Holds what ``v2`` says where nobody has changed it, of features that are then not used."""

_WHY: Final = {
    "strength": "the picture was made from another picture",
    "controls": "no ControlNet is loaded here",
    "refiner_model": "no second model takes over here",
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the JSON with ``c`` in it; return None when there is none."""
    for keyword in ("xmp_comment", "parameters", "UserComment"):
        plain = json_object(texts.get(keyword))
        if plain is not None and isinstance(plain.get("c"), str) and {"uc", "model", "sampler"} & plain.keys():
            return _read(plain)
    return None


def _read(plain: dict[str, Any]) -> ForeignMetadata:
    left = {key: value for key, value in plain.items() if key != "v2"}
    more = plain.get("v2")
    more = more if isinstance(more, Mapping) else {}
    builder = SpecBuilder(program=PROGRAM, flow=is_flow_model(left.get("model")))
    builder.set_prompts(left.pop("c", ""), left.pop("uc", ""), weighted=WEIGHTED)
    builder.set_model("model", left.pop("model", None))
    builder.set_steps("steps", left.pop("steps", None))
    builder.set_guidance("scale", left.pop("scale", None))
    size = left.pop("size", None)
    if size is not None:
        found = _SIZE.fullmatch(cleaned(size))
        builder.set_size("size", *(found.groups() if found else (size, None)))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    _sampler(builder, cleaned(left.pop("sampler", "")).strip())
    mode = left.pop("seed_mode", None)
    if mode != "Torch CPU Compatible":
        builder.record_noise_device("seed_mode", mode)
    loras = left.pop("lora", None) or left.pop("loras", None) or more.get("loras")
    for each in loras[:100] if isinstance(loras, list) else ():
        of = each if isinstance(each, Mapping) else {}
        builder.add_lora("lora", of.get("model") or of.get("file") or each, of.get("weight"))
    skip = as_int(more.get("clipSkip"))
    if skip is not None and 2 <= skip <= 12:  # counts the layer from the end, as the web UI does
        builder.settings["clip_skip"] = skip - 1
    of_flow = () if builder.flow else _OF_FLOW
    builder.record_gaps(
        (f"v2 {name}", value) for name, value in more.items()
        if value and name not in _REPEATED and name not in of_flow and _USUAL.get(name) != value
    )  # fmt: skip
    for name, value in left.items():
        if not (name in _SAME and as_float(value) == _SAME[name]):
            builder.record_gaps([(name, value)], **({"why": _WHY[name]} if name in _WHY else {}))
    return builder.build()


def _sampler(builder: SpecBuilder, given: str) -> None:
    if not given:
        return
    name, kind = split_sampler(given)
    if name.endswith(_TRAILING):
        name, kind = name.removesuffix(_TRAILING), "SGM Uniform"
    builder.set_sampler("sampler", _NAMES.get(name, name), kind, schedule="sampler")
