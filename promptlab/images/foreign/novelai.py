"""Reads NovelAI's pictures: ``Comment`` holds JSON, ``Source`` the model, ``Software`` the name.

The JSON is the request: ``prompt``, ``uc`` (what is not wanted), ``scale``, ``sampler`` by k-diffusion's names,
``noise_schedule``; since version 4 ``v4_prompt`` and ``v4_negative_prompt`` with a caption for each character. A WebP
holds the same object in its UserComment. Its models are not to be had, so the model is among the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from promptlab.images.foreign.record import ForeignMetadata, as_float, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["read"]

PROGRAM: Final = "NovelAI"

_SAMPLERS: Final[Mapping[str, str]] = {
    "ddim": "DDIM",
    "ddim_v3": "DDIM",
    "k_dpm_2": "DPM2",
    "k_dpm_2_ancestral": "DPM2 a",
    "k_dpmpp_2m": "DPM++ 2M",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a",
    "k_dpmpp_sde": "DPM++ SDE",
    "k_euler": "Euler",
    "k_euler_ancestral": "Euler a",
    "k_heun": "Heun",
    "k_lms": "LMS",
    "plms": "PLMS",
}
_SCHEDULES: Final[Mapping[str, str | None]] = {"karras": "Karras", "exponential": "Exponential", "native": None}
_WEIGHTED: Final = re.compile(r"\{[^{}]{1,300}\}|\[[^\[\]]{1,300}\]|(?<![\w.])-?[0-9.]{1,8}::")
"""``{stronger}``, ``[weaker]``, ``1.2::words::``."""

_SILENT: Final = ("signed_hash", "version", "prompt", "legacy", "legacy_uc", "legacy_v3_extend")
_SAME: Final[Mapping[str, object]] = {
    "request_type": "PromptGenerateRequest",
    "n_samples": 1,
    "noise": 0,
    "strength": 0,
    "cfg_rescale": 0,
    "uncond_scale": 1,
}
"""Lists the values that leave a picture as it is."""

_PICTURE: Final = "the picture was made from another picture"
_NOT_TO_BE_HAD: Final = "is a model of NovelAI's, which is not to be had"
_OWN: Final = "is a way of sampling that NovelAI has"
_WHY: Final = {
    "strength": _PICTURE,
    "noise": _PICTURE,
    "request_type": _PICTURE,
    "sm": _OWN,
    "sm_dyn": _OWN,
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the request in ``Comment``; return None when it was not NovelAI."""
    outer: Mapping[str, Any] = texts
    plain = json_object(texts.get("Comment"))
    if plain is None and (both := json_object(texts.get("parameters"))) is not None:
        outer, plain = both, json_object(cleaned(both.get("Comment")))
    if plain is None or not _is_novelai(outer, plain):
        return None
    return _read(plain, outer)


def _is_novelai(outer: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    said = cleaned(outer.get("Software")).startswith(PROGRAM)
    return said or ("uc" in plain and "sampler" in plain) or "v4_prompt" in plain


def _read(plain: dict[str, Any], outer: Mapping[str, Any]) -> ForeignMetadata:
    left = {key: value for key, value in plain.items() if key not in _SILENT}
    builder = SpecBuilder(program=PROGRAM)
    prompt = _caption(builder, left.pop("v4_prompt", None), "v4_prompt")
    negative = _caption(builder, left.pop("v4_negative_prompt", None), "v4_negative_prompt")
    unwanted = cleaned(left.pop("uc", ""))
    builder.set_prompts(
        prompt or plain.get("prompt") or outer.get("Description") or "", negative or unwanted, weighted=_WEIGHTED
    )
    builder.record_gaps([("Source", cleaned(outer.get("Source")))], why=_NOT_TO_BE_HAD)
    builder.set_steps("steps", left.pop("steps", None))
    builder.set_guidance("scale", left.pop("scale", None))
    builder.set_size("size", left.pop("width", None), left.pop("height", None))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    sampler, schedule = cleaned(left.pop("sampler", "")), cleaned(left.pop("noise_schedule", ""))
    if sampler:
        kind = _SCHEDULES.get(schedule, schedule or None)
        builder.set_sampler("sampler", _SAMPLERS.get(sampler, sampler), kind, schedule="noise_schedule")
    else:
        builder.record_gaps([("noise_schedule", schedule)])
    rescale = left.pop("cfg_rescale", None)
    if as_float(rescale):
        builder.set_number("guidance_rescale", "cfg_rescale", rescale)
    builder.record_noise_device("device", "")
    for name, value in left.items():
        if not (name in _SAME and value == _SAME[name]):
            builder.record_gaps([(name, value)], **({"why": _WHY[name]} if name in _WHY else {}))
    return builder.build()


def _caption(builder: SpecBuilder, plain: object, name: str) -> str:
    """Return the words of version 4: those of the whole; the characters' own are gaps."""
    caption = plain.get("caption") if isinstance(plain, Mapping) else None
    if not isinstance(caption, Mapping):
        builder.record_gaps([(name, plain)])
        return ""
    characters = caption.get("char_captions")
    for each in characters[:100] if isinstance(characters, list) else ():
        words = each.get("char_caption") if isinstance(each, Mapping) else each
        builder.record_gaps([(f"{name} of a character", words)], why="is not placed within the picture here")
    return cleaned(caption.get("base_caption"))
