"""Says what went wrong, so that the next command is plain.

::

    PromptLabError                exit code 1: it was asked rightly and still failed
    ├── EngineError               a model would not load, an image would not be made
    │   └── OutOfMemory           … because a forward of so many images does not fit
    ├── TrackerError              MLflow could not be told; the run itself is whole
    ├── StoreError                a row or a picture could not be written after the command had begun
    ├── ServerError               the server that keeps a model warm is gone, or speaks another version
    └── InputError                exit code 2: what was asked cannot be; nothing was written
        ├── UnknownValue          a value outside a closed set: a scheduler, a dtype, a device …
        ├── NotFound              a run, an image, a model or a file that is not there
        ├── MissingPackage        a model that needs a Python package that is not installed
        └── WorkspaceError        a folder or database that cannot serve as a workspace

Errors take facts and compose the sentence: what, which value, why not, what is allowed, what to type next. The
sentence is one line, because a terminal, a log and an MLflow tag all show it; foreign exceptions are translated at
the border of the room that raised them.

**Fields.** An error names a setting by the name it has in a spec, ``guidance_scale``. Inside a sentence a setting is
written by :func:`ref` or, with a value, by :func:`ref_value`; ``str(error)`` spells these for whoever reads: a Python
user reads ``guidance_scale=7.5``, and within :func:`spelled_by` of the command line a terminal user reads
``--guidance 7.5``.

Invariant: every error is its class and its :attr:`~PromptLabError.facts`, plain values all; :func:`to_dict` and
:func:`from_dict`, and ``pickle``, carry it across any border and it says the same there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

__all__ = [
    "EngineError",
    "InputError",
    "MissingPackage",
    "NotFound",
    "OutOfMemory",
    "PromptLabError",
    "ServerError",
    "Spelling",
    "StoreError",
    "TrackerError",
    "UnknownValue",
    "WorkspaceError",
    "from_dict",
    "one_line",
    "printable",
    "ref",
    "ref_value",
    "spelled_by",
    "to_dict",
]

Spelling = Callable[[str, str | None], str]
"""Spells a field, alone or with a value: ``("guidance_scale", "7.5")`` → ``guidance_scale=7.5``."""

_REF: Final = re.compile("\x02([^\x02\x03]*)\x03")
_EQUALS: Final = "\x1f"
_BARE: Final = re.compile(r"[^\s=<>(){}|\"]+")
"""Values that need no quotes to be read as one."""


def ref(field: str) -> str:
    """Mark ``field`` within a sentence of an error: ``f"means nothing without {ref('variation_seed')}"``.

    A place that is made of a marked field, ``f"{ref('append')}, column 3"``, stays as it is.
    """
    return field if "\x02" in field else f"\x02{field}\x03"


def ref_value(field: str, value: object) -> str:
    """Mark ``field`` with a value, as one would set it: ``hint=ref_value("guidance_scale", 7.5)``."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"\x02{field}{_EQUALS}{text}\x03"


def spell_in_python(field: str, value: str | None) -> str:
    """Spell a field as a Python user sets it: ``guidance_scale``, ``guidance_scale=7.5``."""
    if value is None:
        return field
    return f"{field}={value}" if _BARE.fullmatch(value) else f'{field}="{value}"'


_spelling: Spelling = spell_in_python


@contextmanager
def spelled_by(spelling: Spelling) -> Iterator[None]:
    """Let errors spell fields by ``spelling`` in this process, for as long as the context lasts.

    It holds in all threads: a reason that a worker writes into a row is read by the same person.
    """
    global _spelling  # noqa: PLW0603 - one process talks to one kind of reader at a time
    before, _spelling = _spelling, spelling
    try:
        yield
    finally:
        _spelling = before


def _spelled(text: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        field, equals, value = found[1].partition(_EQUALS)
        return _spelling(field, value if equals else None)

    return _REF.sub(replaced, text)


def one_line(text: object, *, limit: int = 300) -> str:
    """Fold white space in ``text`` to single blanks, and cut it with ``…`` after ``limit`` characters.

    Half a surrogate pair, which no terminal and no database takes, becomes ``?``.
    """
    line = " ".join(_spelled(str(text)).encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def printable(line: str) -> str:
    """Return ``line`` with whatever a terminal would obey, or turn around, as an escape."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


class PromptLabError(Exception):
    """Says that something is wrong. ``str()`` is the whole sentence, as :func:`spelled_by` spells it.

    A class whose arguments are not one text stores them in :attr:`facts`, by the names of its arguments.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        self.message = message
        self.facts: dict[str, Any] = facts
        """What the error is made of, by argument name: plain values, enough to make an equal one."""
        super().__init__(message)

    def __str__(self) -> str:
        return _spelled(self.message)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: the sentence, which says all that helps."""
        if os.environ.get("PROMPTLAB_DEBUG", "") not in ("", "0"):
            import traceback

            return traceback.format_exception(self)
        line = one_line(self, limit=2000)
        return [
            f"{type(self).__name__}: " + "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
        ]

    def __reduce__(self) -> tuple[Callable[..., PromptLabError], tuple[Any, ...]]:
        return from_dict, (to_dict(self),)


class EngineError(PromptLabError):
    """Says that a model would not load or an image not be made, for no fault of the command."""


class OutOfMemory(EngineError):
    """Says that a forward did not fit into the memory of its device. Smaller ones may.

    Args:
        rows: images of the forward, those that fill it up included.
    """

    def __init__(self, *, rows: int) -> None:
        self.rows = rows
        size = f"{rows} images in one forward do" if rows > 1 else "one image does"
        smaller = f"{ref_value('batch_size', rows // 2)}, " if rows > 1 else ""
        super().__init__(
            f"out of memory: {size} not fit; type: {smaller}{ref('vae_slicing')}, {ref('attention_slicing')}, "
            f"a smaller {ref('size')}, or {ref_value('dtype', 'float16')}",
            rows=rows,
        )


class TrackerError(PromptLabError):
    """Says that MLflow could not be reached. The run is whole; ``promptlab sync`` records it later."""


class StoreError(PromptLabError):
    """Says that a row or an image could not be written after the command had begun: locked, disk full."""


class ServerError(PromptLabError):
    """Says that the server that keeps a model warm is gone, refuses, or speaks another version."""


class InputError(PromptLabError):
    """Says that what was asked cannot be.

    Args:
        field: the setting meant, by its name in a spec (``guidance_scale``), or the thing: ``run``, ``picture``, or
            the place in a file: ``warrior.yaml:3:5: steps``.
        value: the value that was refused, shown as it was given.
        problem: why, as the rest of a sentence: ``is not a whole number``.
        allowed: what is allowed: ``1 or more``.
        hint: what to type next: ``ref_value("num_inference_steps", 20)``, or a command.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        field: str,
        value: object = None,
        *,
        problem: str,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.field, self.value = _REF.sub(r"\1", field), value
        self.problem, self.allowed, self.hint = problem, allowed, hint
        subject = ref(field) if value is None else f"{ref(field)} {_shown(value)}"
        sentence = f"{subject} {problem}"
        if allowed:
            sentence += f"; allowed: {allowed}"
        if hint:
            sentence += f"; type: {hint}"
        super().__init__(sentence, field=field, value=_plain(value), problem=problem, allowed=allowed, hint=hint)

    def __str__(self) -> str:
        return one_line(self.message, limit=1500)


class UnknownValue(InputError):
    """Refuses a value outside a closed set. Names the nearest of the allowed ones, then all of them."""

    def __init__(
        self,
        field: str,
        value: str,
        allowed: Iterable[str],
        *,
        problem: str = "is unknown",
        hint: str | None = None,
    ) -> None:
        names = list(allowed)
        said = problem + _nearest(value, names)
        super().__init__(field, value, problem=said, allowed=", ".join(names) or "none", hint=hint)
        self.facts = {"field": field, "value": value, "allowed": names, "problem": problem, "hint": hint}


class NotFound(InputError):
    """Says that a run, an image, a seed, a model or a file is not there.

    Args:
        names: what is there, where that can be listed: the nearest is named.
    """

    def __init__(
        self,
        field: str,
        value: object,
        *,
        allowed: str | None = None,
        hint: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        there = list(names)
        problem = "does not exist" + _nearest(str(value), there)
        super().__init__(field, value, problem=problem, allowed=allowed, hint=hint)
        self.facts = {"field": field, "value": _plain(value), "allowed": allowed, "hint": hint, "names": there}


class MissingPackage(InputError):
    """Says that a model needs a Python package that is not installed.

    Args:
        model: as its user knows it.
        package: as Python imports it.
    """

    _SOLD_AS: ClassVar[Mapping[str, str]] = {
        "bs4": "beautifulsoup4", "cv2": "opencv-python", "google": "protobuf", "PIL": "pillow", "vision": "pillow",
    }  # fmt: skip

    def __init__(self, model: str, package: str) -> None:
        self.model, self.package = model, package
        name = self._SOLD_AS.get(package, package)
        super().__init__(
            "model", model, problem=f"needs the package {name}, which is not installed", hint=f"pip install {name}"
        )
        self.facts = {"model": model, "package": package}


class WorkspaceError(InputError):
    """Refuses a folder or a database that cannot serve as a workspace."""


def to_dict(error: PromptLabError) -> dict[str, Any]:
    """Return the class and the facts of ``error`` as plain values, ready for JSON; its notes with them."""
    notes = list(getattr(error, "__notes__", ()))
    facts = error.facts or {"message": error.message}
    return {"type": type(error).__name__, **facts} | ({"notes": notes} if notes else {})


def from_dict(plain: Mapping[str, Any]) -> PromptLabError:
    """Return the error that :func:`to_dict` wrote.

    Raises:
        ValueError: for a class that there is none of.
    """
    facts = {name: value for name, value in plain.items() if name not in ("type", "notes")}
    kind = _classes().get(str(plain["type"]))
    if kind is None:
        raise ValueError(f"there is no error of the class {plain['type']}")
    error = kind(facts["message"]) if facts.keys() == {"message"} else kind(**facts)
    for note in plain.get("notes", ()):
        error.add_note(note)
    return error


def _classes() -> dict[str, type[PromptLabError]]:
    found, waiting = {}, [PromptLabError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found


def _nearest(value: str, names: Iterable[str]) -> str:
    import difflib

    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(value.lower(), folded, n=1, cutoff=0.5)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def _plain(value: object) -> bool | int | float | str | None:
    """Return a value as JSON holds it; anything but numbers and texts by what it says."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _shown(value: object) -> str:
    return f"'{one_line(value, limit=120)}'" if isinstance(value, str) else str(value)
