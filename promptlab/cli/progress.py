"""Progress bars on standard error, where somebody is looking; nothing where nobody is."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from promptlab.engine import Denoising, Loaded, Loading
from promptlab.lab.events import Event, Generated, RunBegan, Telling, Undrawn, Untold

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Progress"]


class Progress:
    """A context to pass as ``watch``: a bar for images, one for the steps of the batch, and a line for what waits."""

    def __init__(self) -> None:
        self._bars: RichProgress | None = None
        self._doing: TaskID | None = None
        self._images: TaskID | None = None
        self._steps: TaskID | None = None
        self._bad_news: list[str] = []

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        if console.is_terminal:
            self._bars = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bars.start()
            self._doing = self._bars.add_task("starting torch and diffusers", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        for sentence in self._bad_news:
            click.echo(f"promptlab: {sentence}", err=True)

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        if isinstance(event, Untold):
            self._bad_news.append(
                f"run {event.run_id} is whole, but MLflow was not told: {event.reason}; type: promptlab sync"
            )
        elif isinstance(event, Undrawn):
            self._bad_news.append(f"run {event.run_id} is whole, but its grid was not drawn: {event.reason}")
        elif self._bars is not None:
            self._draw(self._bars, event)

    def _draw(self, bars: RichProgress, event: Event) -> None:
        match event:
            case RunBegan(run=run):
                self._images = bars.add_task("images", total=len(run.images))
            case Loading(what=what):
                self._do(bars, f"loading {what}")
            case Loaded():
                self._do(bars, None)
            case Denoising(step=step, steps=steps):
                if self._steps is None:
                    self._steps = bars.add_task("steps", total=steps)
                bars.update(self._steps, completed=step, total=steps)
            case Generated(count=count) if self._images is not None:
                bars.update(self._images, completed=count)
            case Telling():
                self._do(bars, "telling MLflow")

    def _do(self, bars: RichProgress, what: str | None) -> None:
        if self._doing is not None:
            bars.remove_task(self._doing)
        self._doing = None if what is None else bars.add_task(what, total=None)
