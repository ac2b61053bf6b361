"""Reads AUTOMATIC1111's infotext, which Forge, SD.Next, Civitai and PromptLab write, too.

The rules are those of ``parse_generation_parameters`` in the web UI's ``modules/infotext_utils.py``: the last line
holds the fields when it has three or more; what starts with ``Negative prompt:`` and all after it is negative. They
are read here by one scan from left to right, so that no text, however long or strange, takes more than its length.

A text that PromptLab wrote has no weights, and what :mod:`promptlab.images.infotext` defused is undone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, cleaned, json_object
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.images.samplers import split_sampler
from promptlab.specs.settings import settings_of

__all__ = ["Infotext", "parse", "read"]

_NEGATIVE: Final = "Negative prompt:"
_ENOUGH: Final = 3
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])++"')
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_DEFUSED: Final = re.compile(rf"Negative{_NO_BREAK}prompt:", re.IGNORECASE)
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
    (r"AddNet|Lora|LoRA|Hypernet|TI ", "is not loaded here"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Infotext:
    """Holds a parsed infotext: the two prompts and the fields in their order, values unquoted."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read ``parameters``; return None when there is none, or when it is not in this format."""
    written = texts.get("parameters")
    if written is None or json_object(written) is not None:
        return None
    text = parse(written)
    if text is None or not {"Steps", "Sampler"} & text.fields.keys():
        return None
    return described(text, program=_program(text.fields)).build()


def parse(written: str) -> Infotext | None:
    """Parse an infotext; return None when its last line has not three fields."""
    *lines, last = cleaned(written).strip().split("\n")
    fields = dict(_pairs(last))
    if len(fields) < _ENOUGH:
        return None
    prompts: tuple[list[str], list[str]] = ([], [])
    negative = False
    for line in (each.strip() for each in lines):
        starts = line.startswith(_NEGATIVE)
        negative = negative or starts
        prompts[negative].append(line.removeprefix(_NEGATIVE).strip() if starts else line)
    prompt, negative_prompt = ("\n".join(each).strip() for each in prompts)
    return Infotext(prompt=prompt, negative_prompt=negative_prompt, fields=fields)


def described(text: Infotext, *, program: str) -> SpecBuilder:
    """Build from ``text``, also for programs that write this format with additions of their own."""
    left = dict(text.fields)
    builder = SpecBuilder(program=program, flow="Distilled CFG Scale" in left)
    if program == "PromptLab":
        prompt, negative = _restored(text.prompt), _restored(text.negative_prompt)
        builder.set_prompts(_without_loras(builder, prompt, left.pop("LoRA", "")), negative)
    else:
        builder.set_prompts(text.prompt, text.negative_prompt, weighted=WEIGHTED)
    builder.set_model("Model", left.pop("Model", None))
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


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a line as the web UI's pattern finds them one by one.

    The pattern is ``\\s*(\\w[\\w \\-/]+):\\s*("…"|[^,]*)(?:,|$)``.
    """
    at = 0
    while (colon := line.find(":", at)) >= 0:
        key = _key(line, at, colon)
        if key is None:
            at = colon + 1
            continue
        start = colon + 1
        while start < len(line) and line[start].isspace():
            start += 1
        quoted = _QUOTED.match(line, start) if line[start : start + 1] == '"' else None
        if quoted and line[quoted.end() : quoted.end() + 1] in (",", ""):
            yield key, _unquoted(quoted.group())
            at = quoted.end() + 1
        else:
            comma = line.find(",", start)
            end = len(line) if comma < 0 else comma
            yield key, _unquoted(line[start:end].strip())
            at = end + 1


def _key(line: str, start: int, colon: int) -> str | None:
    """Return the key that ends at ``colon``: word characters, blanks, ``-`` and ``/``, two or more.

    It begins with a word character.
    """
    at = colon
    while at > start and (line[at - 1].isalnum() or line[at - 1] in "_ -/"):
        at -= 1
    while at < colon and line[at] in " -/":
        at += 1
    return line[at:colon] if colon - at >= 2 else None


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        plain = json.loads(value)
    except ValueError:
        return value
    return cleaned(plain)


def _program(fields: Mapping[str, str]) -> str:
    """Return the program that wrote the fields, where they say so."""
    version, app = fields.get("Version", ""), fields.get("App", "")
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
    name, combined = split_sampler(given)
    kind = left.pop("Schedule type", None) or combined
    if name in ("", "Unknown"):
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
