"""Shows how far a call is: a bar in a notebook or a terminal, and a line for what one should know."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, Final, cast

from promptlab.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from promptlab.lab.execution.events import Event, Watch

__all__ = ["ProgressBar", "say", "watching"]

_BEGINNING: Final = "starting"
_TELLING: Final = "telling MLflow"


@contextmanager
def watching(watch: Watch | None, hints: Iterable[str] = ()) -> Iterator[Watch]:
    """Give what a lab tells its events: ``watch``, or a bar that goes when the block ends.

    Args:
        watch: of a program that shows progress in its own way.
        hints: lines that are said first.
    """
    for hint in hints:
        say(hint)
    if watch is not None:
        yield watch
        return
    with ProgressBar() as bar:
        yield bar


def say(sentence: str) -> None:
    """Write a line to standard error, with nothing in it that a terminal would obey."""
    print(f"promptlab: {printable(sentence)}", file=sys.stderr)


class ProgressBar:
    """Shows a bar for images, and a word for what is waited for; to be passed as ``watch``.

    It is a context manager. Where there is neither a notebook nor a terminal there is no bar.
    """

    def __init__(self) -> None:
        self._surface: _NotebookBar | _TerminalBar | None = None
        self._there = self._asked = self._total = self._done = 0
        self._what = _BEGINNING
        self._after: dict[str, None] = {}

    def __enter__(self) -> ProgressBar:
        self._surface = _open_surface()
        self._draw()
        return self

    def __exit__(self, *_: object) -> None:
        if self._surface is not None:
            self._surface.close()
        for sentence in self._after:
            say(sentence)

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        sentence = _sentence(event)
        if sentence is not None:
            self._after[sentence] = None
        if self._heed(event):
            self._draw()

    def _heed(self, event: Event) -> bool:
        """Take note of an event; say whether there is something new to be seen."""
        from promptlab import engine
        from promptlab.lab.execution import events

        match event:
            case events.SweepStarted(images=images) | events.VerifyStarted(images=images):
                self._total = images
            case events.RunStarted(run=run):
                self._there, self._asked = self._there + len(run.made), self._asked + len(run.images)
                self._total, self._done = max(self._total, self._asked), self._there
            case events.ImagesGenerated(count=count):
                self._done, self._what = self._there + count, ""
            case events.ImagesVerified(count=count):
                self._done, self._what = count, ""
            case engine.ModelLoading(what=what):
                self._what = f"loading {what}"
            case engine.ModelLoaded():
                self._what = ""
            case events.JobWaiting(ahead=ahead):
                self._what = f"waiting: {ahead} before this one" if ahead else ""
            case events.TrackingStarted():
                self._what = _TELLING
            case events.Progress(what=what, count=count, of=of):
                self._what, self._done, self._total = what, count, of
            case _:
                return False
        return True

    def _draw(self) -> None:
        if self._surface is not None:
            self._surface.show(self._what, self._done, self._total)


def _sentence(event: Event) -> str | None:
    """Return what an event says that stays true when all is done."""
    from promptlab import engine
    from promptlab.lab.execution import events

    match event:
        case events.TrackingFailed(run_id=run_id, reason=reason):
            return f"run {run_id} is whole, but MLflow was not told: {reason}; lab.maintenance.sync() tells it"
        case events.GridFailed(run_id=run_id, reason=reason):
            return f"run {run_id} is whole, but its grid was not drawn: {reason}"
        case events.SweepCutShort(sweep_id=sweep_id, runs=runs):
            return f"sweep {sweep_id} has only {runs} of its runs; the same call completes it"
        case events.BatchSizeReduced(rows=rows, batch_size=batch_size, images=images):
            return f"{rows} images in one forward do not fit into memory: {images} are made in batches of {batch_size}"
        case events.PromptsTruncated(prompts=prompts):
            more = f"; {len(prompts) - 1} more are cut" if len(prompts) > 1 else ""
            return f"{prompts[0].encoder} does not see these words of a prompt: {prompts[0].words}{more}"
        case events.ProbeTrackingFailed(reason=reason):
            return f"MLflow was not told: {reason}"
        case events.DefaultsChosen(lines=lines):
            return "; ".join(lines)
        case engine.ModelLoaded(remarks=remarks) if remarks:
            return "; ".join(remarks)
        case engine.WorkerLost() | engine.WorkerRefused() | engine.DevicesDiffer():
            from promptlab.cluster.worker_sentences import worker_sentence

            return worker_sentence(event)
    return None


def _open_surface() -> _NotebookBar | _TerminalBar | None:
    if in_notebook():
        return _NotebookBar()
    return _TerminalBar() if sys.stderr is not None and sys.stderr.isatty() else None


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook, by IPython's own word."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class _Html:
    """Holds what a notebook shows."""

    def __init__(self, html: str) -> None:
        self._html = html

    def __repr__(self) -> str:  # where a notebook is read as text
        return ""

    def _repr_html_(self) -> str:
        return self._html


class _NotebookBar:
    """Shows the bar below a notebook's cell, where the next state takes the place of the last."""

    def __init__(self) -> None:
        warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm's, for which diffusers asks; we do not
        self._handle: Any = import_module("IPython.display").display(_Html(""), display_id=True)

    def show(self, what: str, done: int, total: int) -> None:
        words = " · ".join(part for part in (f"{done:,} of {total:,} images" if total else "", what) if part)
        self._handle.update(_Html(f"<progress max='{max(total, 1)}' value='{done}'></progress> {escape(words)}"))

    def close(self) -> None:
        self._handle.update(_Html(""))


class _TerminalBar:
    """Shows the bar on standard error, and takes it away."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        console = Console(file=cast("IO[str]", sys.stderr))
        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False)
        self._bars: RichProgress = RichProgress(*columns, console=console, transient=True)
        self._task: TaskID = self._bars.add_task("", total=None)
        self._bars.start()

    def show(self, what: str, done: int, total: int) -> None:
        self._bars.update(self._task, description=what, completed=done, total=total or None)

    def close(self) -> None:
        self._bars.stop()
