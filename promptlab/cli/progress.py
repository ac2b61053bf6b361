"""Shows progress bars on standard error, where it is a terminal, and notes how to go on afterwards.

Events, and the words for them, are imported with the first one: a server that was asked is at work by then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self, cast

from promptlab.cli.output import echo, visible
from promptlab.cli.waiting_line import WaitingLine

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from promptlab.engine import DevicesDiffer, ModelLoaded, ModelLoading, WorkerLost, WorkerRefused
    from promptlab.lab.execution.events import (
        BatchSizeChosen,
        BatchSizeReduced,
        DefaultsChosen,
        Event,
        GridFailed,
        Interrupted,
        JobWaiting,
        ProbeStarted,
        ProbeTrackingFailed,
        PromptsTruncated,
        SweepCutShort,
    )
    from promptlab.records import RunRecord
    from promptlab.workspace import Workspace

__all__ = ["ProgressDisplay"]


class ProgressDisplay:
    """Shows what the lab does: a bar for images, one for their steps, a line for what is waited for.

    It is a context manager, to be passed as ``watch``.

    An exception that leaves it after something was begun gets a note: what to type to have the rest made. ``began``
    has the numbers of the runs that were begun or taken up, ``made`` says how many images were made.

    Args:
        workspace: where it is made; for that note.
        tracking_uri: of the MLflow server that is told, when it is not the workspace's own.
        hints: what is said once something is begun.
        resuming: what is resumed, when that is what is done: ``7``, ``sweep:3``, or nothing for all that is owed.
    """

    def __init__(
        self,
        workspace: Workspace | None = None,
        *,
        resuming: str | None = None,
        tracking_uri: str | None = None,
        hints: Iterable[str] = (),
    ) -> None:
        self.began: set[int] = set()
        self._remarks: set[str] = set()
        self.made = 0
        self._workspace = workspace
        self._tracking_uri = tracking_uri
        self._begun: str | None = None
        self._resuming = resuming
        self._sweep = False
        self._made_of_run = 0
        self._finished = 0
        self._images_asked = 0
        self._bars: RichProgress | None = None
        self._waiting = WaitingLine("starting torch and diffusers")
        self._wait: tuple[str, TaskID] | None = None
        self._images: TaskID | None = None
        self._steps: TaskID | None = None
        self._progress: tuple[str, TaskID] | None = None
        self._waited = False
        self._notes: list[str] = []
        self._hints = [*hints]
        self._started = False

    def __enter__(self) -> Self:
        self._waiting.start()
        return self

    def _start_bars(self) -> None:
        """Start the bars, with the first event: a warm server answers before their library is imported."""
        if self._started:
            return
        self._started = True
        self._waiting.stop()
        if not (sys.stderr.isatty() or os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE")):
            return  # rich would say the same, and takes a twentieth of a second to import
        from rich.console import Console
        from rich.progress import Progress as RichProgress

        from promptlab.cli.progress_columns import progress_columns

        console = Console(file=cast("IO[str]", _Terminal(sys.stderr)))
        if console.is_terminal:
            self._bars = RichProgress(*progress_columns(), console=console, transient=True)
            self._bars.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.stop()
        if self._bars is not None:
            self._bars.stop()
        for sentence in self._notes:
            echo(f"promptlab: {sentence}", err=True)
        if error is not None and self._begun is not None:
            ref = self._begun if self._resuming is None else self._resuming
            error.add_note(f"promptlab resume {ref}".rstrip() + self._there())

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        from promptlab import engine
        from promptlab.lab.execution import events

        self._start_bars()
        match event:
            case events.TrackingFailed(run_id=run_id, reason=reason):
                self._note_tracking_failure(run_id, reason)
            case events.GridFailed() | events.ProbeTrackingFailed() | events.SweepCutShort():
                self._notes.append(_note(event))
            case events.PromptsTruncated() | events.DefaultsChosen() | engine.ModelLoaded():
                self._say_lines(event)
            case (
                events.BatchSizeChosen()
                | events.BatchSizeReduced()
                | events.Interrupted()
                | engine.WorkerLost()
                | engine.WorkerRefused()
                | engine.DevicesDiffer()
            ):
                self._say(_sentence(event))
            case events.JobWaiting(ahead=ahead):
                self._note_waiting(ahead)
            case events.SweepStarted(sweep_id=sweep_id):
                self._say_hints()
                self._sweep, self._begun = True, f"sweep:{sweep_id}"
            case events.RunStarted(run=run):
                self._say_hints()
                self.began.add(run.id)
                self._made_of_run = 0
                if not self._sweep:
                    self._begun = str(run.id)
            case events.ImagesGenerated(count=count):
                self.made, self._made_of_run = self.made + count - self._made_of_run, count
        if self._bars is not None:
            self._draw(self._bars, event)

    def _there(self) -> str:
        from promptlab.cli.paths import elsewhere

        return "" if self._workspace is None else elsewhere(self._workspace)

    def _note_waiting(self, ahead: int) -> None:
        """Say once that others come first; where there are bars, they count them down."""
        if ahead and self._bars is None and not self._waited:
            from promptlab.cli.render.server_status import waiting_line

            self._waited = True
            self._say(waiting_line(ahead))

    def _say_hints(self) -> None:
        """Say what is odd about what was typed, once it is certain that it is carried out."""
        for hint in self._hints:
            self._say(f"promptlab: {hint}")
        self._hints.clear()

    def _note_tracking_failure(self, run_id: int, reason: str) -> None:
        there = self._there()
        if self._tracking_uri is not None and not os.environ.get("PROMPTLAB_TRACKING_URI"):
            there += f" --tracking-uri {self._tracking_uri}"
        sentence = f"run {run_id} is whole, but MLflow was not told: {reason}; type: promptlab sync{there}"
        if sentence not in self._notes:
            self._notes.append(sentence)

    def _draw(self, bars: RichProgress, event: Event) -> None:
        from promptlab import engine
        from promptlab.lab.execution import events

        match event:
            case events.SweepStarted(images=images):
                self._images = bars.add_task("images", total=images)
                self._finished = self._images_asked = 0
            case events.RunStarted(run=run):
                self._run(bars, run)
            case engine.WorkersAtWork():
                from promptlab.cli.render.workers import workers_text

                self._show_wait(bars, workers_text(event))
            case engine.ModelLoading() | engine.ModelLoaded() | events.ProbeStarted() | events.JobWaiting():
                self._show_wait(bars, _wait_text(event))
            case engine.StepDone(step=step, steps=steps):
                if self._steps is None:
                    self._steps = bars.add_task("steps", total=steps)
                bars.update(self._steps, completed=step, total=steps)
            case events.ImagesGenerated(count=count) if self._images is not None:
                bars.update(self._images, completed=self._finished + count)
            case events.VerifyStarted(images=images):
                self._images = bars.add_task("images", total=images)
            case events.ImagesVerified(count=count) if self._images is not None:
                bars.update(self._images, completed=count)
            case events.Progress(what=what, count=count, of=of):
                self._draw_progress(bars, what, count, of)
            case events.TrackingStarted():
                self._show_wait(bars, "telling MLflow")

    def _run(self, bars: RichProgress, run: RunRecord) -> None:
        """Move the one bar for all images of a sweep, or of the runs that are resumed together."""
        self._finished += len(run.made)
        self._images_asked += len(run.images)
        if self._images is None:
            self._images = bars.add_task("images", total=self._images_asked)
        total = max(self._images_asked, int(bars.tasks[bars.task_ids.index(self._images)].total or 0))
        bars.update(self._images, completed=self._finished, total=total)

    def _draw_progress(self, bars: RichProgress, what: str, count: int, of: int) -> None:
        """Move the bar of what is looked at; the last such bar stays."""
        self._show_wait(bars, None)
        if self._progress is None or self._progress[0] != what:
            self._progress = what, bars.add_task(visible(what), total=of)
        bars.update(self._progress[1], completed=count, total=of)

    def _show_wait(self, bars: RichProgress, what: str | None) -> None:
        """Say what is waited for; seconds go on while it is the same, however much of it is there."""
        kind = None if what is None else what.partition(":")[0]
        if self._wait is not None and self._wait[0] == kind:
            bars.update(self._wait[1], description=visible(str(what)))
            return
        if self._wait is not None:
            bars.remove_task(self._wait[1])
        self._wait = None if what is None or kind is None else (kind, bars.add_task(visible(what), total=None))

    def _say_lines(self, event: PromptsTruncated | DefaultsChosen | ModelLoaded) -> None:
        """Say what is said in lines; of weights once, for each setting of a sweep loads them again."""
        from promptlab import engine

        for line in _lines(event):
            if line not in self._remarks:
                self._say(line)
            if isinstance(event, engine.ModelLoaded):
                self._remarks.add(line)

    def _say(self, sentence: str) -> None:
        """Write a line, also on a signal that came in the middle of one, or as the terminal was closed."""
        with suppress(RuntimeError, OSError):
            if self._bars is None:
                echo(sentence, err=True)
            else:
                self._bars.console.print(visible(sentence), markup=False, emoji=False)


class _Terminal:
    """Writes to a terminal for as long as it is there.

    One that is closed refuses what is written to it, a moment before SIGHUP says so. The signal ends the command, once
    the images under way are saved; a progress bar must not.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lines(event: PromptsTruncated | DefaultsChosen | ModelLoaded) -> Iterable[str]:
    from promptlab import engine
    from promptlab.cli.render.truncation import truncation_lines
    from promptlab.lab.execution import events

    match event:
        case engine.ModelLoaded(remarks=lines) | events.DefaultsChosen(lines=lines):
            return (f"promptlab: {line}" for line in lines)
        case _:
            return truncation_lines(event.prompts)


def _note(event: GridFailed | ProbeTrackingFailed | SweepCutShort) -> str:
    from promptlab.cli.render.warnings import cut_short_line
    from promptlab.lab.execution import events

    match event:
        case events.SweepCutShort(sweep_id=sweep_id, runs=runs):
            return cut_short_line(sweep_id, runs)
        case events.GridFailed(run_id=run_id, reason=reason):
            return f"run {run_id} is whole, but its grid was not drawn: {reason}"
    return f"MLflow was not told: {event.reason}"


def _sentence(
    event: BatchSizeChosen | BatchSizeReduced | Interrupted | WorkerLost | WorkerRefused | DevicesDiffer,
) -> str:
    from promptlab import engine
    from promptlab.cli.render.batch_sizes import chosen_batch_line
    from promptlab.cli.render.warnings import reduced_batch_line
    from promptlab.cluster.worker_sentences import worker_sentence
    from promptlab.lab.execution import events

    match event:
        case engine.WorkerLost() | engine.WorkerRefused() | engine.DevicesDiffer():
            return worker_sentence(event)
        case events.BatchSizeChosen(batch_size=batch_size, tried=tried):
            return chosen_batch_line(batch_size, tried)
        case events.BatchSizeReduced(rows=rows, batch_size=batch_size, images=images):
            return reduced_batch_line(rows, batch_size, images)
    return "finishing the pictures under way; Ctrl-C again stops at once"


def _wait_text(event: ModelLoading | ModelLoaded | ProbeStarted | JobWaiting) -> str | None:
    from promptlab import engine
    from promptlab.cli.render.batch_sizes import trial_text
    from promptlab.cli.render.server_status import waiting_line
    from promptlab.lab.execution import events

    match event:
        case events.JobWaiting(ahead=ahead) if ahead:
            return waiting_line(ahead)
        case engine.ModelLoading(what=what, done=done, total=total) if total:
            return f"loading {what}: {(done or 0) / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        case engine.ModelLoading(what=what):
            return f"loading {what}"
        case events.ProbeStarted(batch_size=batch_size, attention_slicing=sliced):
            return trial_text(batch_size, sliced=sliced)
    return None
