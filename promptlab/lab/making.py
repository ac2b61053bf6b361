"""One run being made: its pictures saved, its time taken, and MLflow got ready meanwhile.

MLflow takes seconds to import and, in a new workspace, to make its tables. That is done on a thread of its own from the
moment the pipeline is loaded: after torch's imports, beside its work.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from promptlab.engine import Engine, Loaded
from promptlab.errors import TrackerError
from promptlab.lab.events import Event, Generated, Watch
from promptlab.lab.recorder import Recorder
from promptlab.plan import ImageTask, ResolvedSpec
from promptlab.records import RunRecord, RunStatus
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.tracking import Tracker

__all__ = ["Making"]


class Making:
    """Carries out ``run``: :meth:`generate`, then :meth:`end` with how it went."""

    def __init__(
        self,
        engine: Engine,
        notebook: Notebook,
        workspace: Workspace,
        tracker: Tracker,
        run: RunRecord,
        resolved: ResolvedSpec,
        parent: RunRecord | None,
        watch: Watch,
    ) -> None:
        self._engine, self._notebook, self._workspace, self._tracker = engine, notebook, workspace, tracker
        self._run, self._resolved, self._parent, self._watch = run, resolved, parent, watch
        self._preparing: threading.Thread | None = None
        self._load_seconds: float | None = None
        self._began: float | None = None
        self._generate_seconds: float | None = None

    def generate(self, tasks: tuple[ImageTask, ...]) -> None:
        """Make and save every picture of ``tasks``.

        Raises:
            EngineError, StoreError: what was made before stays made.
        """
        try:
            with Recorder(self._run, self._workspace, self._notebook, describe=self._describe) as recorder:
                for count, picture in enumerate(self._engine.generate(tasks, self._heard), start=1):
                    recorder.add(picture)
                    self._watch(Generated(count=count))
        finally:
            if self._began is not None:
                self._generate_seconds = time.perf_counter() - self._began
            if self._preparing is not None:
                self._preparing.join()

    def end(self, status: RunStatus, *, error: str | None = None) -> RunRecord:
        """Write how it ended."""
        return self._notebook.end_run(
            self._run.id,
            status,
            load_seconds=self._load_seconds,
            generate_seconds=self._generate_seconds,
            error=error,
        )

    def _heard(self, event: Event) -> None:
        if isinstance(event, Loaded):
            self._load_seconds = (self._load_seconds or 0.0) + event.seconds
            if self._began is None:
                self._began = time.perf_counter()
                self._preparing = threading.Thread(target=self._prepare, name="mlflow")
                self._preparing.start()
        self._watch(event)

    def _prepare(self) -> None:
        with suppress(TrackerError):  # telling will meet it again, and say so
            self._tracker.prepare()

    def _describe(self, task: ImageTask, size: tuple[int, int]) -> dict[str, str]:
        from promptlab.images.metadata import describe

        ancestor = self._run.images[task.position].parent
        parent = None
        if ancestor is not None and self._parent is not None:
            parent = self._parent.images[ancestor[1]].recipe_key
        return describe(
            self._resolved,
            task,
            run_uid=self._run.uid,
            run_id=self._run.id,
            experiment=self._run.experiment,
            environment_hash=self._run.environment.hash,
            parent=parent,
            size=size,
        )
