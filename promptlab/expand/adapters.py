"""Reads LoRAs and textual inversions as people type them: ``watercolour.safetensors:0.8 + ink``.

One value is what is used together: texts joined by ``+``, or a list in a file. So several values, typed one after the
other or listed under ``axes``, are an axis like those of any other setting. Invariant: what :func:`read_parts` makes of
the text of a part is that part. Pure: whether there is such a file is looked up elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Final

from promptlab.errors import InputError, ref, ref_value
from promptlab.expand.fields import errors_at
from promptlab.expand.ranges import parse_numbers
from promptlab.expand.settings_text import NONE, TOGETHER
from promptlab.specs import Embedding, Lora, PipelineSpec
from promptlab.specs.settings import Setting

__all__ = ["read_parts", "read_ranged"]

Part = Lora | Embedding

_WEIGHT: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
_RANGE: Final = re.compile(r"(?P<name>.+):(?P<range>[-+0-9.][-+0-9.]*\.\.[^:]+|[-+0-9. ]+\(\+[0-9.]+\)[^:]*)")


def read_parts(row: Setting, said: object, what: str) -> tuple[Part, ...]:
    """Read what is used together.

    Args:
        row: ``lora`` or ``textual_inversion``.
        said: a text, whose parts are joined by ``+``; a list of texts, taken to the letter; parts already.
        what: the field or the place in a file where it was typed, for what errors say.

    Raises:
        InputError: for a weight that is no number, nothing at all, or one thing twice.
    """
    if isinstance(said, Lora | Embedding):
        texts: Sequence[object] = (said,)
    else:
        texts = said if isinstance(said, list | tuple) else _apart(str(said))
    if not texts or [str(text).strip().lower() for text in texts] == [NONE]:
        return ()
    if len(texts) > 1 and isinstance(said, str) and not all(str(text).strip() for text in texts):
        raise InputError(
            what, said, problem=f"has nothing on one side of a {TOGETHER}", allowed=row.help.rstrip("."),
            hint=f"{ref(what)} with a name on both sides",
        )  # fmt: skip
    parts = tuple(text if isinstance(text, Lora | Embedding) else _part(row, str(text), what) for text in texts)
    with errors_at(what):
        PipelineSpec(model="probe", **{row.field: parts})  # type: ignore[arg-type]  # a name of one of its fields
    return parts


def read_ranged(row: Setting, said: object, what: str) -> tuple[tuple[Part, ...], ...]:
    """Read all values that a text stands for: ``ink:0.5..1 step 0.25`` is three; any other is one."""
    found = _RANGE.fullmatch(said.strip()) if isinstance(said, str) and row.name == "lora" else None
    if found is None:
        return (read_parts(row, said, what),)
    weights = parse_numbers(found["range"], whole=False, what=what)
    return tuple((Lora(name=found["name"], weight=float(weight)),) for weight in weights)


def _apart(text: str) -> list[str]:
    """Split at each ``+``, but in a number: ``a:+0.5`` and ``a:1e+1`` are one."""
    return re.split(rf"(?<![:eE])\{TOGETHER}", text)


def _part(row: Setting, text: str, what: str) -> Part:
    text = text.strip()
    name, colon, last = text.rpartition(":")
    # a colon may also stand behind a drive's letter, or in a folder's name
    told = bool(colon) and not re.search(r"[\\/]", last)
    if not (name if told else text).strip():
        raise InputError(
            what, text, problem="names no file", allowed=row.help.rstrip("."),
            hint=f"{ref_value(row.field, NONE)} for none",
        )  # fmt: skip
    if (name if told else text).strip().lower() == NONE:
        raise InputError(
            what, text, problem=f"is {NONE}, which stands alone", allowed=f"{NONE}, or files",
            hint=ref_value(row.field, NONE),
        )  # fmt: skip
    if row.name != "lora":
        if told and (not last or last.split() != [last]):
            word = "-".join(last.strip("<> ").split())
            raise InputError(
                what, text, problem=f"has {'blanks in the' if word else 'no'} word behind its colon",
                allowed="a word without blanks", hint=ref_value(row.field, f"{name}:<{word or 'word'}>"),
            )  # fmt: skip
        if told and _WEIGHT.fullmatch(last):
            raise InputError(
                what, text, problem=f"has {last} behind its last colon, and an embedding has no weight",
                allowed="NAME:token", hint=f"{ref('weighting')}, and the token as (token){last} in the prompt",
            )  # fmt: skip
        return Embedding(name=name, token=last) if told else Embedding(name=text)
    if not told:
        return Lora(name=text)
    try:
        weight = float(last)
    except ValueError:
        weight = float("nan")
    if not isfinite(weight) or "_" in last:
        raise InputError(
            what, text, problem=f"has the weight '{last}', which is no number", allowed="NAME:NUMBER",
            hint=ref_value(row.field, f"{name}:0.8"),
        )  # fmt: skip
    return Lora(name=name, weight=weight)
