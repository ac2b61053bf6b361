"""Follows one job for the pages that show it: how far it is, what it makes, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from promptlab import __version__
from promptlab.engine import ModelLoaded, ModelLoading, StepDone
from promptlab.errors import PromptLabError, from_dict
from promptlab.lab.execution.events import (
    Event,
    ImageStored,
    ImagesVerified,
    Interrupted,
    Progress,
    RunReused,
    RunStarted,
    SweepStarted,
    TrackingStarted,
    VerifyStarted,
)
from promptlab.lab.maintenance.verify import Verdict
from promptlab.page.shapes import error_shape
from promptlab.records import RunRecord
from promptlab.serving.jobs import Job
from promptlab.wire import decode

__all__ = ["JobView", "Outcome", "failure_of", "heard_event"]

Outcome = Literal["done", "stopped", "failed"]

_UNSEEN: Final = frozenset({"ImagesGenerated", "ImageStarted", "JobWaiting"})
"""Events of which a page shows nothing: they are not read."""


def heard_event(line: Mapping[str, Any]) -> Event | None:
    """Return the event that a job's line tells, where a page shows something of it."""
    plain = line.get("event")
    if plain is None or plain["type"] in _UNSEEN:
        return None
    event: Event = decode(Event, plain, theirs=__version__)
    return event


def failure_of(line: Mapping[str, Any]) -> PromptLabError | None:
    """Return why a job failed, as its last line tells; None where it did not."""
    if "error" in line:
        return from_dict(line["error"])
    if "unexpected" in line:
        told = line["unexpected"]
        return PromptLabError(f"unexpected {told['type']}: {told['message']}")
    return None


class JobView:
    """Follows one job.

    Attributes:
        runs: the records of those that it makes, by their numbers, as they were begun.
    """

    def __init__(self, job: Job, *, mine: bool) -> None:
        self.job, self._mine = job, mine
        self.runs: dict[int, RunRecord] = {}
        self.stopping = False
        self._reused: set[int] = set()
        self._joined: set[int] = set()
        self._made = 0
        self._images: int | None = None
        self._step = self._steps = 0
        self._doing: str | None = None

    def hear(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case SweepStarted(images=images):
                self._images = images
            case VerifyStarted(images=images):
                self._images = images
            case RunStarted(run=run):
                self._begin(run)
            case RunReused(run_id=run_id):
                self._reused.add(run_id)
            case ImageStored():
                self._made += 1
                self._step = 0
            case ImagesVerified(count=count):
                self._made = count
            case StepDone(step=step, steps=steps):
                self._step, self._steps = step, steps
            case Interrupted():
                self.stopping = True
        self._doing = _doing(event, self._doing)

    def _begin(self, run: RunRecord) -> None:
        sweeping = self._images is not None and run.sweep_id is not None
        if run.id not in self.runs:
            self._made += len(run.made)
            self._images = self._images if sweeping else (self._images or 0) + len(run.images)
        self.runs[run.id] = run

    def join(self, run_id: int) -> bool:
        """Take note of a run that it began before it was followed; say whether that was not known yet."""
        known = run_id in self._joined
        self._joined.add(run_id)
        return not known

    @property
    def run_ids(self) -> tuple[int, ...]:
        """Return the runs that it makes, or found there."""
        return tuple(sorted(self.runs.keys() | self._reused | self._joined))

    def shape(self, place: int) -> dict[str, Any]:
        """Return it as a page reads it.

        Args:
            place: how many jobs are before it.
        """
        running = self.job.state == "running"
        return {
            "job": self.job.id,
            "verb": self.job.request.verb,
            "state": "running" if running else "waiting",
            "place": place,
            "runs": list(self.run_ids),
            "made": self._made,
            "images": self._images,
            "step": self._step,
            "steps": self._steps,
            "doing": self._doing if self._mine or not running else "pictures of another workspace",
            "stopping": self.stopping,
            "mine": self._mine,
        }

    def ended(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Return what came of it, told by its last line."""
        failure = failure_of(line)
        outcome: Outcome = "done" if failure is None else "failed"
        if "interrupted" in line or "closed" in line:
            outcome = "stopped"
        return {
            "job": self.job.id,
            "outcome": outcome,
            "closed": "closed" in line,  # with the server: a command asks the next one for it, a page does not
            "runs": list(self.run_ids),
            "verdicts": self._verdicts(line) if self.job.request.verb == "verify" else [],
            "error": None if failure is None else error_shape(failure),
        }

    @staticmethod
    def _verdicts(line: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "result" not in line:
            return []
        verdicts: tuple[Verdict, ...] = decode(tuple[Verdict, ...], line["result"], theirs=__version__)
        return [_verdict(each) for each in verdicts]


def _doing(event: Event, before: str | None) -> str | None:
    """Return what is being done beside making pictures, after ``event``."""
    match event:
        case VerifyStarted():
            return "verifying"
        case ModelLoading(what=what):
            return f"loading {what}"
        case Progress(what=what):
            return what
        case TrackingStarted():
            return "telling MLflow"
        case StepDone() | ModelLoaded():
            return None
    return before


def _verdict(verdict: Verdict) -> dict[str, Any]:
    found = verdict.verification
    return {
        "ref": verdict.ref,
        "outcome": None if found is None else found.outcome.value,
        "differing_pixels": None if found is None else found.differing_pixels,
        "greatest_difference": None if found is None else found.greatest_difference,
        "changes": [] if found is None else [*map(str, found.changes)],
        "problem": verdict.problem,
    }
