"""Reads dgenerate's command line from ``DgenerateConfig`` or a JPEG's UserComment.

Written by ``gen_dgenerate_config`` (``dgenerate/pipelinewrapper/argreconstruct.py``): comments, the model, one option a
line, each line but the last ended by a backslash; long prompts run over several. It is a script of a language with
variables, templates and plugins. None of that happens here: it is split into words, and of the words those with a
counterpart are taken. dgenerate runs on diffusers, so schedulers, data types and models keep their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, get_args

from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.specs import Dtype, SchedulerSpec, options, parse_scalar

__all__ = ["read"]

PROGRAM: Final = "dgenerate"

_SCHEDULER: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,60}")
_OPTION: Final = re.compile(r"[a-z][a-z0-9_-]{0,60}")
_SIZE: Final = re.compile(r"([0-9]{1,9})(?:x([0-9]{1,9}))?")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_DTYPES: Final = {"half": "float16", "float": "float32", "bfloat": "bfloat16"}
_DASHES: Final = "-" * 2
_SPENT: Final = ("model-type", "output-path", "output-prefix", "verbose")
_PICTURE: Final = "the picture was made from another picture"
_WHY: Final = {
    "image-seeds": _PICTURE,
    "image-seed-strengths": _PICTURE,
    "textual-inversions": "is not loaded here",
    "control-nets": "no ControlNet is loaded here",
    "t2i-adapters": "no T2I adapter is loaded here",
    "ip-adapters": "no IP adapter is loaded here",
    "batch-size": "noise of a batch was drawn at once: only its first picture has that of the seed",
    "prompt-weighter": "weights in the prompt are plain words here",
    "post-processors": "changed the picture after it was made",
    "sdxl-refiner": "no second model takes over here",
}


def read(texts: Mapping[str, str]) -> ForeignMetadata | None:
    """Read ``DgenerateConfig``; return None when it is not there, or names no model."""
    written = texts.get("DgenerateConfig")
    if written is None:
        return None
    model, given = _command(cleaned(written))
    if not model:
        return None
    builder = SpecBuilder(program=PROGRAM)
    builder.set_model("model", model)
    _prompts(builder, given.pop("prompts", []))
    builder.set_steps(_option("inference-steps"), _first(builder, given, "inference-steps"))
    builder.set_guidance(_option("guidance-scales"), _first(builder, given, "guidance-scales"))
    seed = _first(builder, given, "seeds")
    if seed is not None:
        builder.set_seed(_option("seeds"), seed)
    _pipeline(builder, given)
    _call(builder, given)
    _loras(builder, given.pop("loras", []))
    device = _first(builder, given, "device") or "cuda"  # the default of dgenerate
    if not device.startswith("cpu"):
        builder.record_noise_device(_option("device"), device)
    for name, values in given.items():
        if name not in _SPENT:
            why = _WHY.get(name)
            builder.record_gap(_option(name), " ".join(values[:10]), **({"why": why} if why else {}))
    return builder.build()


def _option(name: str) -> str:
    """Return the option ``name`` as it stands in a config."""
    return f"{_DASHES}{name}"


def _loras(builder: SpecBuilder, values: Iterable[str]) -> None:
    """Add LoRAs, ``name;scale=0.5``; what else is said of one is said of no LoRA here."""
    for value in values:
        name, *said = value.split(";")
        options = dict(each.partition("=")[::2] for each in said)
        builder.add_lora(_option("loras"), name, options.pop("scale", None))
        builder.record_gaps([(f"{_option('loras')} {key}", inner) for key, inner in options.items()])


def _command(text: str) -> tuple[str, dict[str, list[str]]]:
    """Return the model, and the options with their values.

    A word in quotes is never taken for an option.
    """
    model, given = "", dict[str, list[str]]()
    values: list[str] | None = None
    for word, quoted in _words(_one_line(text)):
        if not quoted and word.startswith(_DASHES):
            values = given.setdefault(word.removeprefix(_DASHES), [])
        elif values is not None:
            values.append(word)
        elif not model and (quoted or word != PROGRAM):
            model = word
    return model, given


def _one_line(text: str) -> str:
    """Return the first invocation without its comments and line breaks; others are of other images."""
    lines: list[str] = []
    for line in (each.strip() for each in text.split("\n")):
        if line.startswith("#"):
            continue
        if not line:
            if lines:
                break
            continue
        lines.append(line.removesuffix("\\").rstrip())
    return " ".join(lines).replace("\\#", "#")  # `_format_option_pair` hides the sign of comments


def _words(line: str) -> Iterator[tuple[str, bool]]:
    """Split ``line`` at blanks, quotes and escapes as ``shell_parse`` does.

    See ``dgenerate/textprocessing.py``.

    A word that is one quoted text is given without its quotes; one that only contains quotes keeps them.
    """
    at, end = 0, len(line)
    while at < end:
        if line[at].isspace():
            at += 1
            continue
        start, pieces, quoted_whole = at, list[str](), False
        while at < end and not line[at].isspace():
            if line[at] in "'\"":
                piece, after = _quoted(line, at)
                quoted_whole = at == start and (after >= end or line[after].isspace())
                pieces.append(piece if quoted_whole else line[at:after])
                at = after
            else:
                step = 2 if line[at] == "\\" and line[at + 1 : at + 2] in ("'", '"', "\\") else 1
                pieces.append(line[at : at + step][-1])
                at += step
        yield "".join(pieces), quoted_whole


def _quoted(line: str, start: int) -> tuple[str, int]:
    """Return the text between the quote at ``start`` and its partner, and where the rest begins.

    Without a partner, the text goes to the end.
    """
    mark, pieces, at = line[start], list[str](), start + 1
    while at < len(line):
        sign = line[at]
        if sign == mark:
            return "".join(pieces), at + 1
        if sign == "\\" and at + 1 < len(line):
            following = line[at + 1]
            pieces.append(following if following in "'\"\\" else _ESCAPES.get(following, "\\" + following))
            at += 2
        else:
            pieces.append(sign)
            at += 1
    return "".join(pieces), at


def _first(builder: SpecBuilder, given: dict[str, list[str]], name: str) -> str | None:
    """Return the first value of an option; the others would have made other images."""
    values = given.pop(name, [])
    for other in values[1:]:
        builder.record_gap(_option(name), other, "made another picture")
    return values[0] if values else None


def _prompts(builder: SpecBuilder, values: list[str]) -> None:
    """Set the prompts, ``positive; negative`` (``dgenerate/prompt.py``)."""
    for other in values[1:]:
        builder.record_gap(_option("prompts"), other, "made another picture")
    positive, _, negative = (values[0] if values else "").partition(";")
    builder.set_prompts(positive.strip(), negative.strip())


def _pipeline(builder: SpecBuilder, given: dict[str, list[str]]) -> None:
    builder.settings["revision"] = _first(builder, given, "revision")
    builder.settings["variant"] = _first(builder, given, "variant")
    dtype = _first(builder, given, "dtype")
    if dtype not in (None, "auto"):
        known = _DTYPES.get(str(dtype), dtype)
        builder.settings["dtype"] = next((each for each in get_args(Dtype) if each == known), None)
        if builder.settings["dtype"] is None:
            builder.record_gap(_option("dtype"), dtype)
    vae = _first(builder, given, "vae")
    if vae is not None:
        parts = _uri(vae)
        builder.settings["vae"] = parts.pop("model", None)
        builder.record_gaps((f"{_option('vae')} {name}", value) for name, value in parts.items() if name)
    scheduler = _first(builder, given, "scheduler")
    if scheduler is not None:
        _scheduler(builder, scheduler)


def _scheduler(builder: SpecBuilder, uri: str) -> None:
    """Set a scheduler, ``DPMSolverMultistepScheduler;use-karras-sigmas=true``.

    The name may be its beginning only.
    """
    parts = _uri(uri)
    name = parts.pop("", "")
    if not _SCHEDULER.fullmatch(name):
        builder.record_gap(_option("scheduler"), uri)
        return
    taken = {}
    for key, value in parts.items():
        if _OPTION.fullmatch(key) and not value.startswith(("[", "(", "{")):
            taken[key.replace("-", "_")] = _scalar(value)
        else:
            builder.record_gap(f"{_option('scheduler')} {key}", value)
    full = name if name.endswith("Scheduler") else f"{name}Scheduler"
    builder.scheduler = SchedulerSpec(name=full, options=options(taken))


def _scalar(value: str) -> bool | int | float | str | None:
    """Return a value as JSON and a database can hold it; what only looks like a number stays a word."""
    if as_float(value) is None and value.lower() not in ("true", "false", "none"):
        return value
    return parse_scalar(value)


def _uri(text: str) -> dict[str, str]:
    """Split ``concept;key=value;key=value``; the concept is under the empty key.

    Quotes around a value are taken off.
    """
    concept, *pairs = text.split(";")
    parts = {"": concept.strip()}
    for key, _, value in (pair.partition("=") for pair in pairs[:100]):
        parts[key.strip()] = value.strip().strip("'\"")
    return parts


def _call(builder: SpecBuilder, given: dict[str, list[str]]) -> None:
    size = _first(builder, given, "output-size")
    if size is not None:
        sides = _SIZE.fullmatch(size)
        builder.set_size(_option("output-size"), *((sides[1], sides[2] or sides[1]) if sides else (size, None)))
    skipped = _first(builder, given, "clip-skips")
    if (counted := as_int(skipped)) is not None and 0 < counted <= 12:
        builder.settings["clip_skip"] = counted
    elif skipped not in (None, "0"):
        builder.record_gap(_option("clip-skips"), skipped)
    rescale = _first(builder, given, "guidance-rescales")
    if (scale := as_float(rescale)) is not None:
        builder.set_number("guidance_rescale", _option("guidance-rescales"), scale)
