"""Reads InvokeAI's metadata: JSON since version 2, a command line in ``Dream`` before.

``invokeai_metadata`` since version 3, ``sd-metadata`` in version 2.

Fields are those of ``CoreMetadataInvocation`` (``invokeai/app/invocations/metadata.py``), of ``metadata_dumps`` and of
``dream_prompt_str`` (both in ``ldm/invoke/args.py`` of 2.3). Schedulers are diffusers' own, by the names of
``SCHEDULER_MAP`` (``invokeai/backend/stable_diffusion/schedulers/schedulers.py``) and ``ldm/generate.py``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, brief, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder

__all__ = ["read"]

PROGRAM: Final = "InvokeAI"

_SAMPLERS: Final[Mapping[str, str]] = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "deis": "DEIS",
    "dpmpp_2": "DPM++ 2M",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2s": "DPM++ 2S a",
    "dpmpp_3m": "DPM++ 3M",
    "dpmpp_sde": "DPM++ SDE",
    "euler": "Euler",
    "euler_a": "Euler a",
    "heun": "Heun",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpm_2": "DPM2",
    "dpm_2_a": "DPM2 a",
    "lcm": "LCM",
    "lms": "LMS",
    "plms": "PLMS",
    "pndm": "PLMS",
    "tcd": "TCD",
    "unipc": "UniPC",
}
"""Without the ``_k`` behind a name, which means Karras, and the ``k_`` of version 2 in front of it, which does not."""

_WEIGHTED: Final = re.compile(r"\w{0,30}[\w)\"'][+\-]{1,8}(?=[\s,.)]|$)|\)[0-9.]{1,6}|\.(?:blend|and|swap)\(")
"""Compel's syntax: ``word+``, ``(words)1.2``, ``("a", "b").blend(1, 1)``."""

_UNWANTED: Final = re.compile(r"\[([^\[\]]*)\]")
_SWITCH: Final = re.compile(r"\s-([a-zA-Z])\s?([^\s-][^\s]{0,200}|-[0-9.]{1,40})")

_MODE: Final = re.compile(r"_?(?:txt2img|img2img|inpaint|outpaint)$")
_FIRST_SWITCH: Final = re.compile(r"\s-s\s?[0-9]")

_IGNORED: Final = ("app_version", "generation_mode", "metadata_version", "positive_style_prompt", "type", "ui")
_OFF_AT_0: Final = ("perlin", "threshold", "hires_fix", "seamless", "facetool_strength", "embiggen", "variation_amount")
_PICTURE: Final = "the picture was made from another picture"
_WHY: Final = {
    "strength": _PICTURE,
    "init_image": _PICTURE,
    "controlnets": "no ControlNet is loaded here",
    "controlLayers": "no ControlNet is loaded here",
    "ipAdapters": "no IP adapter is loaded here",
    "t2iAdapters": "no T2I adapter is loaded here",
    "canvas_v2_metadata": _PICTURE,
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read the newest of the three chunks; return None when there is none that can be read."""
    plain = json_object(texts.get("invokeai_metadata"))
    if plain is not None:
        return _core(plain)
    plain = json_object(texts.get("sd-metadata"))
    if plain is not None and (image := _image(plain)) is not None:
        return _version_2(plain, image)
    dream = texts.get("Dream")
    return _dream(cleaned(dream)) if dream else None


def _core(plain: dict[str, Any]) -> ForeignMetadata:
    """Read version 3 and later. Noise is drawn on the CPU unless ``rand_device`` says otherwise."""
    left = {key: value for key, value in plain.items() if key not in _IGNORED}
    mode = cleaned(plain.get("generation_mode"))
    builder = SpecBuilder(program=PROGRAM, flow=_is_flow(mode, plain.get("model")))
    builder.set_prompts(
        left.pop("positive_prompt", ""), left.pop("negative_prompt", ""), weighted=_WEIGHTED, compel=True
    )
    style = plain.get("positive_style_prompt")
    if style and style != plain.get("positive_prompt"):
        builder.record_gap("positive_style_prompt", style, "both text encoders get the same words here")
    if mode and not mode.endswith("txt2img"):
        builder.record_gap("generation_mode", mode, _PICTURE)
    builder.set_model("model", _name(left.pop("model", None)))
    builder.settings["vae"] = _name(left.pop("vae", None)) or None
    builder.set_steps("steps", left.pop("steps", None))
    scale = left.pop("cfg_scale", None)
    builder.set_guidance("guidance", left.pop("guidance") if "guidance" in left else scale)
    builder.set_size("size", left.pop("width", None), left.pop("height", None))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    _scheduler(builder, left.pop("scheduler", None))
    skip = left.pop("clip_skip", None)
    skipped = as_int(skip)
    if skipped is not None and 1 <= skipped <= 12:
        builder.settings["clip_skip"] = skipped
    elif skipped != 0:
        builder.record_gaps([("clip_skip", skip)])
    rescale = as_float(left.pop("cfg_rescale_multiplier", None))
    if rescale:
        builder.set_number("guidance_rescale", "cfg_rescale_multiplier", rescale)
    device = left.pop("rand_device", "cpu")
    if device != "cpu":
        builder.record_noise_device("rand_device", device)
    _networks(builder, left.pop("loras", None))
    for name, value in left.items():
        if name in _WHY:
            builder.record_gaps([(name, value)], why=_WHY[name])
        else:
            builder.record_gaps([(name, value)])
    return builder.build()


def _is_flow(mode: str, model: object) -> bool:
    """Return whether the model is one of flow matching, as all are that came after SDXL.

    ``z_image_txt2img`` and ``flux_img2img`` name the family in front; ``base`` is that of ``BaseModelType``.
    """
    family = _MODE.sub("", mode)
    base = cleaned(model.get("base")) if isinstance(model, Mapping) else ""
    if base not in ("", "any"):
        return base not in ("sd-1", "sd-2", "sdxl", "sdxl-refiner")
    return family not in ("", "sdxl")


def _version_2(plain: dict[str, Any], image: dict[str, Any]) -> ForeignMetadata:
    """Read version 2, where noise was drawn where the model ran."""
    left = {key: value for key, value in image.items() if key not in _IGNORED}
    builder = SpecBuilder(program=PROGRAM)
    _split(builder, _joined(builder, left.pop("prompt", "")))
    builder.set_model("model_weights", plain.get("model_weights") or plain.get("model_id"))
    builder.record_gaps([("model_hash", plain.get("model_hash"))], why="weights are found by name here")
    builder.set_steps("steps", left.pop("steps", None))
    builder.set_guidance("cfg_scale", left.pop("cfg_scale", None))
    builder.set_size("size", left.pop("width", None), left.pop("height", None))
    if "seed" in left:
        builder.set_seed("seed", left.pop("seed"))
    _scheduler(builder, left.pop("sampler", None), name="sampler")
    builder.record_noise_device("device", "")
    builder.record_gaps((name, value) for name, value in left.items() if value != 0 or name not in _OFF_AT_0)
    return builder.build()


def _dream(line: str) -> ForeignMetadata | None:
    """Read a command line, ``"a fox [blurry]" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms``.

    The quotes may be missing, the blanks too.
    """
    first = _FIRST_SWITCH.search(line)
    if first is None:
        return None
    builder = SpecBuilder(program=PROGRAM)
    _split(builder, line[: first.start()].strip().strip('"'))
    switches = dict(_SWITCH.findall(line, first.start()))
    builder.set_steps("-s", switches.pop("s", None))
    builder.set_guidance("-C", switches.pop("C", None))
    builder.set_size("-W -H", switches.pop("W", None), switches.pop("H", None))
    if "S" in switches:
        builder.set_seed("-S", switches.pop("S"))
    _scheduler(builder, switches.pop("A", None), name="-A")
    builder.record_noise_device("device", "")
    builder.record_gaps((f"-{name}", value) for name, value in switches.items())
    return builder.build()


def _image(plain: dict[str, Any]) -> dict[str, Any] | None:
    """Return the image in ``sd-metadata``; the first of a grid."""
    images = plain.get("images")
    image = plain.get("image") or (images[0] if isinstance(images, list) and images else None)
    return image if isinstance(image, dict) else None


def _joined(builder: SpecBuilder, prompt: object) -> str:
    """Return the prompt of version 2: a text, or the first of a list of parts with weights."""
    if not isinstance(prompt, list):
        return cleaned(prompt)
    parts = [cleaned(part.get("prompt")) for part in prompt if isinstance(part, dict)]
    for part in parts[1:]:
        builder.record_gap("prompt", part, "several prompts are not blended here")
    return parts[0] if parts else ""


def _split(builder: SpecBuilder, prompt: str) -> None:
    """Set the prompts of version 2, which wrote what was not wanted in brackets inside the prompt."""
    unwanted = ", ".join(part.strip() for part in _UNWANTED.findall(prompt))
    builder.set_prompts(_UNWANTED.sub("", prompt).strip(), unwanted, weighted=_WEIGHTED, compel=True)


def _scheduler(builder: SpecBuilder, value: object, *, name: str = "scheduler") -> None:
    given = cleaned(value).strip()
    if not given:
        builder.record_gaps([(name, value)])
        return
    plain = given.removeprefix("k_")
    karras = plain.endswith("_k")
    sampler = _SAMPLERS.get(plain.removesuffix("_k"), given)
    builder.set_sampler(name, sampler, "Karras" if karras else None, schedule=name)


def _name(model: object) -> str:
    """Return a model's name: ``name`` since version 4, ``model_name`` in 3."""
    if isinstance(model, Mapping):
        return cleaned(model.get("name") or model.get("model_name")).strip()
    return cleaned(model).strip()


def _networks(builder: SpecBuilder, loras: object) -> None:
    if not isinstance(loras, list):
        builder.record_gaps([("loras", loras)])
        return
    for lora in loras[:100]:
        of = lora if isinstance(lora, Mapping) else {}
        name = _name(of.get("model") or of.get("lora")) or brief(lora)
        if of.get("isEnabled") is False:
            builder.record_gap("LoRA", name, "was switched off")
            continue
        builder.add_lora("LoRA", name, of.get("weight"))
