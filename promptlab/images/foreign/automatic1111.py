"""Reads AUTOMATIC1111's infotext, which Forge, SD.Next, Civitai and PromptLab write, too.

The text is taken apart by :mod:`promptlab.images.foreign.infotext_parser`; here its fields become those of a spec. A
text that PromptLab wrote has no weights, and what :mod:`promptlab.images.infotext` defused is undone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from promptlab.images.foreign.civitai import FIELDS as CIVITAI
from promptlab.images.foreign.civitai import RESOURCES, take_resources
from promptlab.images.foreign.comfyui_names import set_comfyui_sampler
from promptlab.images.foreign.families import is_flow_model
from promptlab.images.foreign.infotext_parser import Infotext, parse
from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.images.samplers import split_sampler
from promptlab.specs.settings import settings_of

__all__ = ["described", "read"]

_KEYWORDS: Final = ("parameters", "Parameters", "UserComment", "Comment", "Description", "xmp_comment")
"""Lists the places where the text may stand; the web UI's own first."""

_WRAPPED: Final = ("parameters", "infotext", "info")
"""Lists what the text is called within an object that others keep it in."""

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_DEFUSED: Final = re.compile(rf"Negative{_NO_BREAK}prompt:", re.IGNORECASE)
_NO_SAMPLER: Final = ("", "Unknown", "undefined", "Undefined", "None")
_SIZE: Final = re.compile(r"\s*([0-9]{1,9})\s*[xX×]\s*([0-9]{1,9})\s*")

WEIGHTED: Final = re.compile(
    r"(?<!\\)[(\[][^()\[\]]{1,300}[)\]]"  # (word:1.2), ((word)), [word], [from:to:when]
    r"|\bBREAK\b|\bAND\b"
)
"""What ``modules/prompt_parser.py`` reads as weights, edits and combinations."""

_WHY: Final = (
    (r"Hires|First pass size", "the second pass is not made here"),
    (r"Denoising strength|Mask|Inpaint|Conditional mask", "the picture was made from another picture"),
    (r"Seed resize", "the noise was that of another size"),
    (r"ENSD", "shifts the seeds of noise added while sampling"),
    (r"(Model|VAE) hash$|.*hashes$", "weights are found by name here"),
    (r"ControlNet|T2I", "no ControlNet is loaded here"),
    (r"Refiner", "no second model takes over here"),
    (r"Face restoration|ADetailer|Postprocess|Extras", "changed the picture after it was made"),
    (r"Script$|[XYZ] (Type|Values)|Fixed [XYZ] Values", "the picture may be a grid: the words are those of one of it"),
    (r"AddNet|Lora|LoRA|Hypernet|TI ", "is not loaded here"),
    (r"(Negative )?Template", "the words that it stood for are taken"),
    (r"Hashes", "weights are found by name here"),
    (r"Civitai metadata|Created Date", "is of no use for making the picture again"),
)


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read ``parameters``, or the same elsewhere; return None when there is none, or not in this format."""
    for written in (texts[keyword] for keyword in _KEYWORDS if keyword in texts):
        wrapped = json_object(written)
        inner = next((wrapped[each] for each in _WRAPPED if each in wrapped), None) if wrapped is not None else written
        text = parse(inner) if isinstance(inner, str) else None
        if text is not None and {"Steps", "Sampler"} & text.fields.keys():
            return described(text, program=_program(text.fields)).build()
    return None


def described(text: Infotext, *, program: str) -> SpecBuilder:
    """Build from ``text``, also for programs that write this format with additions of their own."""
    left = dict(text.fields)
    flow = "Distilled CFG Scale" in left or "Shift" in left or is_flow_model(left.get("Model"))
    builder = SpecBuilder(program=program, flow=flow)
    if program == "PromptLab":
        prompt, negative = _restored(text.prompt), _restored(text.negative_prompt)
        builder.set_prompts(_without_loras(builder, prompt, left.pop("LoRA", "")), negative)
    else:
        builder.set_prompts(text.prompt, text.negative_prompt, weighted=WEIGHTED)
    builder.set_model("Model", left.pop("Model", None))
    if RESOURCES in left:
        take_resources(builder, left.pop(RESOURCES))
    vae = left.pop("VAE", "")
    builder.settings["vae"] = None if vae in ("", "None", "Automatic") else vae
    builder.set_steps("Steps", left.pop("Steps", None))
    _guidance(builder, left)
    _size(builder, left)
    if "Seed" in left:
        builder.set_seed("Seed", left.pop("Seed"))
    if "Variation seed" in left:
        strength = ("Variation seed strength", left.pop("Variation seed strength", None))
        builder.set_variation(("Variation seed", left.pop("Variation seed")), strength)
    _sampler(builder, left)
    _call(builder, left)
    for row in settings_of("call"):
        if row.infotext is not None and row.infotext in left:
            builder.set_number(row.name, row.infotext, left.pop(row.infotext))
    _noise(builder, left.pop("RNG", None))
    for spent in ("Version", "App"):
        left.pop(spent, None)
    if any(name.startswith("Hires") for name in left):  # its own pass over the image, not over another one
        builder.record_gaps([("Denoising strength", left.pop("Denoising strength", None))], why=_WHY[0][1])
    for name, value in left.items():
        why = next((reason for pattern, reason in _WHY if re.match(pattern, name)), None)
        builder.record_gaps([(name, value)], **({"why": why} if why else {}))
    return builder


def _program(fields: Mapping[str, str]) -> str:
    """Return the program that wrote the fields, where they say so."""
    version, app = fields.get("Version", ""), fields.get("App", "")
    if any(name in fields for name in CIVITAI):
        return "Civitai"
    for name in ("PromptLab", "ComfyUI", "SD.Next", "InvokeAI", "Fooocus", "SwarmUI"):
        if version.startswith(name) or app.startswith(name):
            return name
    return "Forge" if re.match(r"f[0-9]", version) or version.lower().startswith(("forge", "neo")) else "AUTOMATIC1111"


def _guidance(builder: SpecBuilder, left: dict[str, str]) -> None:
    """Set the guidance scale; of Forge's two for Flux, the one that was distilled into the model.

    That one is diffusers' ``guidance_scale``.
    """
    scale = left.pop("CFG scale", None)
    distilled = left.pop("Distilled CFG Scale", None)
    if distilled is None:
        builder.set_guidance("CFG scale", scale)
        return
    builder.set_guidance("Distilled CFG Scale", distilled)
    if as_float(scale) != 1:
        builder.record_gaps([("CFG scale", scale)], why="the model is guided by the distilled scale alone here")


def _size(builder: SpecBuilder, left: dict[str, str]) -> None:
    size = left.pop("Size", None)
    if size is not None:
        found = _SIZE.fullmatch(size)
        builder.set_size("Size", *(found.groups() if found else (size, None)))


def _sampler(builder: SpecBuilder, left: dict[str, str]) -> None:
    given = left.pop("Sampler", "")
    if given in _NO_SAMPLER and "KSampler" in left:  # a site's, which has ComfyUI behind it
        set_comfyui_sampler(
            builder,
            ("KSampler", left.pop("KSampler")),
            ("Schedule", left.pop("Schedule", None) or left.get("Scheduler")),
        )
        return
    name, combined = split_sampler(given)
    kind = left.pop("Schedule type", None) or combined
    if name in _NO_SAMPLER:
        builder.record_gaps([("Sampler", given)])
        return
    quiet = as_float(left.get("Eta")) == 0
    builder.set_sampler("Sampler", name, kind)
    if name == "DPM++ 2S a" and builder.scheduler:
        if quiet:
            left.pop("Eta")
        else:
            builder.record_gap("Sampler", name, "adds noise in every step, which its counterpart here does not")
    if name == "DDIM" and (eta := as_float(left.pop("Eta DDIM", None))) is not None:
        builder.arguments["eta"] = eta


def _call(builder: SpecBuilder, left: dict[str, str]) -> None:
    """Set clip skip: the web UI counts the layer taken from the end, diffusers those left out."""
    layer = left.pop("Clip skip", None)
    counted = as_int(layer)
    if counted is not None and 1 <= counted <= 12:
        if counted > 1:
            builder.settings["clip_skip"] = counted - 1
    else:
        builder.record_gaps([("Clip skip", layer)])


def _without_loras(builder: SpecBuilder, prompt: str, said: str) -> str:
    """Remove the ``<lora:…>`` that PromptLab wrote behind the prompt, and add these LoRAs.

    Only those that the field ``LoRA`` names, for in a prompt of PromptLab's such a text is words.
    """
    parts = [part for part in said.split(" + ") if part]
    for part in reversed(parts):
        prompt = prompt.removesuffix(f"<lora:{part}>").rstrip()
    for part in parts:
        name, _, weight = part.rpartition(":")
        builder.add_lora("LoRA", name, weight)
    return prompt


def _noise(builder: SpecBuilder, source: str | None) -> None:
    if source != "CPU" and builder.program not in ("ComfyUI", "Fooocus"):  # both draw it on the CPU
        builder.record_noise_device("RNG", source or "GPU")


def _restored(prompt: str) -> str:
    """Return ``prompt`` as it was before :mod:`promptlab.images.infotext` defused it.

    Lines are stripped already.
    """
    return _DEFUSED.sub(lambda found: found.group().replace(_NO_BREAK, " "), prompt)
