"""Parses AUTOMATIC1111's infotext into two prompts and fields, also where it is not three tidy parts.

The rules are those of ``parse_generation_parameters`` in the web UI's ``modules/infotext_utils.py``: the last line
holds the fields when it has three or more; what starts with ``Negative prompt:`` and all after it is negative. Programs
that hand such texts on bend them: all on one line, lines behind the fields (sd-dynamic-prompts' ``Template:``), fields
on two lines, JSON that is not quoted (Civitai). So the fields begin where ``Steps:`` begins them, and what stands
behind them is a field as well.

A text may come quoted as JSON, or with ``\\n`` written out where its lines end.

Invariant: no word of the text is in neither place, and one scan from left to right finds them, so that no text, however
long or strange, takes more than its length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from promptlab.images.foreign.record import cleaned

__all__ = ["Infotext", "parse"]

_ENOUGH: Final = 3
_NEGATIVE: Final = re.compile(r"Negative [Pp]rompt:")
_BEGIN: Final = re.compile(r"(?<![^\s.,;|])Steps:\s{0,9}[0-9]{1,9}\s{0,9}(?:,|$)", re.MULTILINE)
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])++"')
_BEHIND: Final = re.compile(r"([A-Za-z][\w /-]{1,60}):(?:\s+|$)")
_NEGATIVE_NAMES: Final = ("Negative prompt", "Negative Prompt")
_UNNAMED: Final = "text behind the fields"
_AMONG: Final = "text among the fields"
_DECIMAL: Final = re.compile(r"[0-9]{1,6},[0-9]{1,6}")
_WRITTEN_OUT: Final = re.compile(r"\\r?\\n|\\n")
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_MOST_JSON: Final = 64
"""So many values of a text are tried as JSON: each may have to be read to the end."""

_KNOWN: Final = frozenset(
    {
        "Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Seed", "Size", "Model", "Model hash",
        "VAE", "VAE hash", "Clip skip", "Denoising strength", "ENSD", "Eta", "RNG", "Version", "App", "Lora hashes",
        "TI hashes", "Hires upscale", "Hires steps", "Hires upscaler", "Variation seed", "Variation seed strength",
        "Created Date", "Civitai resources", "Civitai metadata", "Hashes", "Parser", "Backend", "Operations",
    }
)  # fmt: skip
"""Fields that a line may begin with, or that end a negative prompt that stands among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Infotext:
    """Holds a parsed infotext: the two prompts and the fields in their order, values unquoted."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]


class _Pair(NamedTuple):
    """Holds a field and where it begins and ends, its value too."""

    key: str
    value: str
    start: int
    value_start: int
    end: int


def parse(written: str) -> Infotext | None:
    """Parse an infotext; return None when nothing in it is a line of fields."""
    text = _unwrapped(cleaned(written).strip(" \t\r\n\ufeff"))
    place = _last_line_of_fields(text) or _fields_within_a_line(text)
    if place is None:
        return None
    start, end, pairs = place
    fields, among = _fields(text[:end], pairs)
    negative_behind = _take_behind(text[end:], fields)
    prompt, negative = _split(text[:start])
    negative = "\n".join(each for each in (negative, among, negative_behind) if each)
    return Infotext(prompt=prompt, negative_prompt=negative, fields=fields)


def _unwrapped(text: str) -> str:
    """Return a text that is quoted as JSON, or whose line ends are written out, as it was before."""
    if text.startswith('"') and text.endswith('"') and "\n" not in text:
        text = _unquoted(text).strip()
    if "\n" not in text and re.search(r"\\n\s{0,9}(?:Negative [Pp]rompt|Steps):", text):
        text = _WRITTEN_OUT.sub("\n", text)
    return text


def _last_line_of_fields(text: str) -> tuple[int, int, list[_Pair]] | None:
    """Return the last line that begins with ``Steps:``, or the last of all with another field."""
    end = len(text)
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        line = text[start:end]
        steps = _BEGIN.match(line.lstrip(" \t")) is not None
        if steps or end == len(text):
            pairs = list(_pairs(text, start, end))
            keys = {pair.key for pair in pairs}
            known = bool(pairs) and pairs[0].key in _KNOWN and not text[start : pairs[0].start].strip()
            if steps and len(keys & _KNOWN) >= 2:
                return start, end, pairs
            tidy = known or _BEGIN.search(line) is None
            if tidy and len(keys) >= _ENOUGH and {"Steps", "Sampler"} & keys:
                return pairs[0].start, end, pairs
        end = start - 1
    return None


def _fields_within_a_line(text: str) -> tuple[int, int, list[_Pair]] | None:
    """Return the fields that begin within a line of prompts, the last such line."""
    end = len(text)
    while end >= 0:
        line = text.rfind("\n", 0, end) + 1
        match, stop, end = _BEGIN.search(text, line, end), end, line - 1
        if match is None:
            continue
        pairs = list(_pairs(text, match.start(), stop))
        again = [n for n, pair in enumerate(pairs) if pair.key == "Steps" and _DIGITS.fullmatch(pair.value)]
        pairs = pairs[again[-1] :] if again else pairs
        if len({pair.key for pair in pairs} & _KNOWN) >= _ENOUGH - 1:
            return pairs[0].start, stop, pairs
    return None


def _fields(text: str, pairs: list[_Pair]) -> tuple[dict[str, str], str]:
    """Return the fields and the negative prompt among them, which goes on to the next known field."""
    fields: dict[str, str] = {}
    negative: list[str] = []
    among: list[str] = []
    begun, at = -1, pairs[0].start if pairs else 0
    for pair in pairs:
        if begun >= 0 and pair.key not in _KNOWN:
            continue
        if begun >= 0:
            negative.append(text[begun : pair.start].strip(" ,"))
            begun = -1
        elif between := text[at : pair.start].strip(" ,\t"):
            among.append(between)
        at = pair.end
        if _NEGATIVE.fullmatch(f"{pair.key}:"):
            begun = pair.value_start
        else:
            fields.setdefault(pair.key, pair.value)
    if begun >= 0:
        negative.append(text[begun:].strip(" ,"))
    elif rest := text[at:].strip(" ,\t\n"):
        among.append(rest)
    if among:
        fields.setdefault(_AMONG, ", ".join(among))
    return fields, "\n".join(negative)


def _take_behind(text: str, fields: dict[str, str]) -> str:
    """Take the lines behind the fields as fields; return a negative prompt among them."""
    behind: dict[str, list[str]] = {}
    last = _UNNAMED
    for line in filter(None, (each.strip() for each in text.split("\n"))):
        pairs = list(_pairs(line, 0, len(line)))
        named = _NEGATIVE.match(line) or _BEHIND.match(line)
        if pairs and pairs[0].key in _KNOWN and pairs[0].start == 0:
            found, negative_among = _fields(line, pairs)
            for name, value in found.items():
                fields.setdefault(name, value)
            behind.setdefault(_NEGATIVE_NAMES[0], []).extend(filter(None, [negative_among]))
        elif named:
            last = line[: named.end()].strip(" :\t")
            behind.setdefault(last, []).append(_unquoted(line[named.end() :].strip()))
        else:
            behind.setdefault(last, []).append(line)
    negative = [each for name in _NEGATIVE_NAMES for each in behind.pop(name, [])]
    for name, lines in behind.items():
        fields.setdefault(name, "\n".join(lines).strip())
    return "\n".join(negative)


def _split(prompts: str) -> tuple[str, str]:
    """Split at the first line that begins the negative prompt; within a line, where no line begins it."""
    lines = [line.strip() for line in prompts.split("\n")]
    first = next((n for n, line in enumerate(lines) if _NEGATIVE.match(line)), None)
    if first is not None:
        rest = [_NEGATIVE.sub("", line, count=1).strip() if _NEGATIVE.match(line) else line for line in lines[first:]]
        return "\n".join(lines[:first]).strip(), "\n".join(rest).strip()
    plain = "\n".join(lines)
    within = _NEGATIVE.search(plain)
    if within is None:
        return plain.strip(), ""
    return plain[: within.start()].strip(), plain[within.end() :].strip()


def _pairs(text: str, at: int, stop: int) -> Iterator[_Pair]:
    """Yield the pairs of a line as the web UI's pattern finds them, and unquoted JSON whole.

    The pattern is ``\\s*(\\w[\\w \\-/]+):\\s*("…"|[^,]*)(?:,|$)``.
    """
    tries = _MOST_JSON
    while (colon := text.find(":", at, stop)) >= 0:
        key_at = _key(text, at, colon)
        if key_at is None:
            at = colon + 1
            continue
        start = colon + 1
        while start < stop and text[start].isspace():
            start += 1
        end = None
        if text[start : start + 1] == '"':
            quoted = _QUOTED.match(text, start, stop)
            end = quoted.end() if quoted else None
        elif text[start : start + 1] in ("[", "{") and tries:
            tries -= 1
            end = _end_of_json(text, start, stop)
        if end is None or (end < stop and text[end] != ","):
            comma = text.find(",", start, stop)
            end = stop if comma < 0 else comma
            number = _DECIMAL.match(text, start, stop)  # 5,5 as some countries write it; fields have a blank between
            if number is not None and number.end() > end and text[number.end() : number.end() + 1] in (",", ""):
                end = number.end()
        yield _Pair(text[key_at:colon], _unquoted(text[start:end].strip()), key_at, start, end)
        at = end + 1


def _end_of_json(text: str, start: int, stop: int) -> int | None:
    """Return where the JSON value that begins at ``start`` ends; None when it is none."""
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return end if end <= stop else None


def _key(text: str, start: int, colon: int) -> int | None:
    """Return where the key that ends at ``colon`` begins.

    Two or more word characters, blanks, ``-`` and ``/``, the first of them a word character.
    """
    at = colon
    while at > start and (text[at - 1].isalnum() or text[at - 1] in "_ -/"):
        at -= 1
    while at < colon and text[at] in " -/":
        at += 1
    return at if colon - at >= 2 else None


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        plain = json.loads(value)
    except ValueError:
        return value
    return cleaned(plain)
