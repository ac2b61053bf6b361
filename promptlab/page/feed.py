"""Tells pages what happens in their workspace: to jobs of this server, and by other processes.

One thread a page hears the jobs, so that whoever makes pictures never waits for who looks on. Between two events it
looks whether the database has been written to: the times of its files say so, for next to nothing, and only then it is
asked what has changed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Final

from promptlab.engine import ImageStarted, StepDone
from promptlab.errors import PromptLabError
from promptlab.lab.execution.events import Event, ImageStored, RunStarted
from promptlab.page.event_log import EventLog
from promptlab.page.job_view import JobView, heard_event
from promptlab.page.shapes import image_shape
from promptlab.page.workspace_changes import WorkspaceChanges
from promptlab.records import ImageRecord, RunRecord
from promptlab.serving.jobs import Job
from promptlab.serving.lab_server import LabServer

__all__ = ["Feed"]

_log = logging.getLogger("promptlab.serving")

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the database's files, while anybody listens."""

_PROGRESS_EVERY: Final = 0.1
"""Seconds between two events of progress."""


class Feed:
    """Turns what jobs tell into the events of a page.

    Args:
        is_mine: whether a job is of the page's workspace.
        shape: writes a run as it is in the database now, or was begun.
        hidden: whether a job is one that pages do not show.
        changed: told when another process has changed something.
    """

    def __init__(
        self,
        server: LabServer,
        log: EventLog,
        changes: WorkspaceChanges,
        *,
        is_mine: Callable[[Job], bool],
        shape: Callable[[RunRecord | int], Mapping[str, Any] | None],
        hidden: Callable[[Job], bool],
        changed: Callable[[], None],
    ) -> None:
        self._server, self._log, self._changes = server, log, changes
        self._is_mine, self._shape, self._hidden, self._changed = is_mine, shape, hidden, changed
        self._heard: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._views: dict[str, JobView] = {}
        self._told_jobs: list[dict[str, Any]] = []
        self._told_progress = self._looked = 0.0
        self._thread = threading.Thread(target=self._work, name="page-feed", daemon=True)

    def start(self) -> None:
        """Begin to hear jobs."""
        self._thread.start()

    def stop(self) -> None:
        """Stop hearing jobs."""
        self._heard.put(None)
        self._thread.join()

    def observe(self, job: Job | None) -> None:
        """Take note of a job that came, or of a line that moved; see :data:`promptlab.serving.jobs.Observer`."""
        if job is None:
            self._heard.put(self._tell_queue)
            return
        self._heard.put(lambda: self._meet(job))
        job.listen(lambda job, line: self._heard.put(lambda: self._hear(job, line)))

    def know(self, run_ids: Iterable[int]) -> None:
        """Take what was changed of these runs as told."""
        ids = tuple(run_ids)
        self._heard.put(lambda: self._changes.know(ids))

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs that are under way and wait, in order."""
        shown: list[dict[str, Any]] = []
        for summary in self._server.jobs:
            view = self._views.get(summary.id)
            if view is not None and not self._hidden(view.job):
                shown.append(view.shape(len(shown) if view.job.state != "running" else 0))
        return shown

    def _work(self) -> None:
        while True:
            with suppress(Empty):
                heard = self._heard.get(timeout=_LOOK_EVERY)
                if heard is None:
                    return
                self._take(heard)
            if time.monotonic() - self._looked >= _LOOK_EVERY:  # also while a job has something to tell all the time
                self._take(self._look)

    def _take(self, heard: Callable[[], None]) -> None:
        try:
            heard()
        except PromptLabError as error:  # the database is away for a moment: later events say it again
            _log.info("a page was not told: %s", error)
        except Exception:  # noqa: BLE001 - one event that is not understood must not end the hearing of all others
            _log.exception("a page was not told")

    def _meet(self, job: Job) -> None:
        self._views.setdefault(job.id, JobView(job, mine=self._is_mine(job)))

    def _tell_queue(self) -> None:
        jobs = self.jobs()
        if jobs != self._told_jobs:  # a plan, which is not shown, came and went: a page that hears of it plans anew
            self._told_jobs = jobs
            self._log.tell("queue", {"jobs": jobs})
        self._look()

    def _hear(self, job: Job, line: Mapping[str, Any]) -> None:
        view = self._views[job.id]
        if "event" not in line:
            self._end(view, line)
        elif self._is_mine(job) and (event := heard_event(line)) is not None:
            view.hear(event)
            self._tell(view, event)

    def _tell(self, view: JobView, event: Event) -> None:
        match event:
            case RunStarted(run=run):
                self._tell_run(run)
            case ImageStored(image=image):
                self._tell_image(view, image)
        passing = isinstance(event, StepDone | ImageStarted)
        now = time.monotonic()
        if not passing or now - self._told_progress >= _PROGRESS_EVERY:
            self._told_progress = now
            self._log.tell("progress", view.shape(0))

    def _tell_image(self, view: JobView, image: ImageRecord) -> None:
        shape, owner = image_shape(image), view.runs.get(image.run_id)
        if owner is not None:
            shape = image_shape(replace(image, parent=owner.images[image.position].parent))
        else:  # it was begun before this page was opened: it is told once, and with it what its images came from
            del shape["parent"]
            if view.join(image.run_id):
                self._tell_run(image.run_id)
        self._log.tell("image", {"job": view.job.id, "run": image.run_id, "image": shape})

    def _end(self, view: JobView, line: Mapping[str, Any]) -> None:
        del self._views[view.job.id]
        if not self._is_mine(view.job) or self._hidden(view.job):
            return
        self._changes.know(view.run_ids)  # what this job wrote is told here
        for run_id in view.run_ids:
            self._tell_run(run_id)
        self._log.tell("ended", view.ended(line))

    def _tell_run(self, run: RunRecord | int) -> None:
        shape = self._shape(run)
        if shape is not None:
            self._log.tell("run", shape)

    def _look(self) -> None:
        self._looked = time.monotonic()
        if not self._log.is_heard:
            return
        with suppress(PromptLabError):
            busy = {run_id for view in self._views.values() for run_id in view.run_ids}
            if changed := self._changes.look() - busy:
                self._changed()
                self._log.tell("changed", {"runs": sorted(changed)[-1000:]})
