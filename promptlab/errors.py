"""What can go wrong, said so that the next command is plain.

::

    PromptLabError                exit code 1: it was asked rightly and still failed
    ├── EngineError               a model would not load, an image would not be made
    │   ├── OutOfMemory           … because a forward of so many images does not fit
    │   └── SomeUnmade            … while all the others of that call were
    ├── TrackerError              MLflow could not be told; the run itself is whole
    ├── StoreError                a row or a picture could not be written after the command had begun
    └── InputError                exit code 2: what was asked cannot be; nothing was written
        ├── UnknownValue          a value outside a closed set: a scheduler, a dtype, a device …
        ├── NotFound              a run, an image, a model or a file that is not there
        ├── MissingPackage        a model that needs a Python package that is not installed
        └── WorkspaceError        a folder or database that cannot serve as a workspace

Errors take facts and compose the sentence: what, which value, why not, what is allowed, what to type next. The
sentence is one line, because a terminal, a log and an MLflow tag all show it; foreign exceptions are translated at
the border of the room that raised them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

__all__ = [
    "EngineError",
    "InputError",
    "MissingPackage",
    "NotFound",
    "OutOfMemory",
    "PromptLabError",
    "SomeUnmade",
    "StoreError",
    "TrackerError",
    "UnknownValue",
    "WorkspaceError",
    "one_line",
]


def one_line(text: object, *, limit: int = 300) -> str:
    """``text`` with every run of white space folded to a blank, cut with ``…`` after ``limit`` characters.

    Half a surrogate pair, which no terminal and no database takes, becomes ``?``.
    """
    line = " ".join(str(text).encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class PromptLabError(Exception):
    """The root: anything PromptLab says is wrong. ``str()`` is the whole sentence."""

    exit_code: ClassVar[int] = 1


class EngineError(PromptLabError):
    """A model would not load or an image would not be made, for a reason outside the words of the command."""


class OutOfMemory(EngineError):
    """A forward did not fit into the memory of its device. Smaller ones may.

    Args:
        rows: images of the forward, those that fill it up included.
    """

    def __init__(self, *, rows: int) -> None:
        self.rows = rows
        size = f"{rows} images in one forward do" if rows > 1 else "one image does"
        smaller = f"--batch-size {rows // 2}, " if rows > 1 else ""
        super().__init__(
            f"out of memory: {size} not fit; type: {smaller}--vae-slicing, --attention-slicing, a smaller --size, "
            "or --dtype float16"
        )

    def __reduce__(self) -> tuple[Callable[[], OutOfMemory], tuple[()]]:
        return partial(OutOfMemory, rows=self.rows), ()


class SomeUnmade(EngineError):
    """Some images could not be made; all the others of the call were, before this was raised.

    Args:
        reasons: why not, in a line, by the task of each.
        of: how many images were asked for.
    """

    def __init__(self, reasons: Mapping[Any, str], *, of: int) -> None:
        self.reasons, self.of = dict(reasons), of
        first = next(iter(self.reasons.values()))
        super().__init__(f"{len(self.reasons)} of {of} images could not be made: {first}")

    def __reduce__(self) -> tuple[Callable[..., SomeUnmade], tuple[Any, ...]]:
        return partial(SomeUnmade, of=self.of), (self.reasons,)


class TrackerError(PromptLabError):
    """MLflow could not be told. The run is whole in the database; ``promptlab sync`` tells MLflow later."""


class StoreError(PromptLabError):
    """The database or a picture could not be written after the command had begun: locked, disk full, damaged."""


class InputError(PromptLabError):
    """What was asked cannot be.

    Args:
        what: the option or thing meant, as the user typed or would type it: ``--steps``.
        value: the value that was refused, shown as typed.
        problem: why, as the rest of a sentence: ``is not a whole number``.
        allowed: what is allowed: ``1 or more``.
        hint: what to type next: ``--steps 20``.
    """

    exit_code: ClassVar[int] = 2

    def __init__(
        self,
        what: str,
        value: object = None,
        *,
        problem: str,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.value, self.problem, self.allowed, self.hint = what, value, problem, allowed, hint
        subject = what if value is None else f"{what} {_shown(value)}"
        sentence = f"{subject} {problem}"
        if allowed:
            sentence += f"; allowed: {allowed}"
        if hint:
            sentence += f"; type: {hint}"
        super().__init__(one_line(sentence, limit=1500))


class UnknownValue(InputError):
    """A value outside a closed set. Names the nearest of the allowed ones, then all of them."""

    def __init__(
        self,
        what: str,
        value: str,
        allowed: Iterable[str],
        *,
        problem: str = "is unknown",
        hint: str | None = None,
    ) -> None:
        names = list(allowed)
        problem += _nearest(value, names)
        super().__init__(what, value, problem=problem, allowed=", ".join(names) or "none", hint=hint)


class NotFound(InputError):
    """A run, an image, a seed, a model or a file that is not there.

    Args:
        names: what is there, where that can be listed: the nearest is named.
    """

    def __init__(
        self,
        what: str,
        value: object,
        *,
        allowed: str | None = None,
        hint: str | None = None,
        names: Iterable[str] = (),
    ) -> None:
        problem = "does not exist" + _nearest(str(value), names)
        super().__init__(what, value, problem=problem, allowed=allowed, hint=hint)


class MissingPackage(InputError):
    """A model needs a Python package that is not installed.

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
            "--model", model, problem=f"needs the package {name}, which is not installed", hint=f"pip install {name}"
        )

    def __reduce__(self) -> tuple[Callable[..., MissingPackage], tuple[str, str]]:
        return MissingPackage, (self.model, self.package)


class WorkspaceError(InputError):
    """A folder or a database that cannot serve as a workspace."""


def _nearest(value: str, names: Iterable[str]) -> str:
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(value.lower(), folded, n=1, cutoff=0.5)
    return f" (did you mean {folded[near[0]]}?)" if near else ""


def _shown(value: object) -> str:
    return f"'{one_line(value, limit=120)}'" if isinstance(value, str) else str(value)
