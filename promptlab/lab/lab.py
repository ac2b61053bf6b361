"""The story in code: run, rerun, look up, tell MLflow. The only room that decides in which order things happen.

Rerun is ``load ∘ vary ∘ run``: :meth:`Lab.rerun` reads a spec back, changes it and hands it to :meth:`Lab.run`, with
the run it came from as parent. There is no second path by which a picture comes to be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine import Engine, diffusers_engine
from promptlab.errors import InputError, NotFound, StoreError, TrackerError, one_line
from promptlab.lab.events import RunBegan, Telling, Undrawn, Untold, Watch, unwatched
from promptlab.lab.variation import Source, Wording, varied
from promptlab.plan import ResolvedSpec, tasks_of
from promptlab.records import ImageRecord, RunRecord, RunStatus, RunSummary
from promptlab.spec import RunSpec
from promptlab.store import glance
from promptlab.store.migrate import HEAD
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import Server, Tracker

__all__ = ["DEFAULT_EXPERIMENT", "Lab"]

DEFAULT_EXPERIMENT: Final = "promptlab"


class Lab:
    """One workspace, an engine to draw and a tracker to tell.

    Args:
        workspace: the folder that holds all state; the current one by default. Nothing is written before a run begins.
        engine: what makes the images; diffusers by default, loaded when first needed.
        tracker: whom to tell when a run has ended; MLflow in the workspace by default.
    """

    def __init__(
        self,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        engine: Engine | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace.at(workspace)
        if engine is not None:
            self.engine = engine
        if tracker is not None:
            self.tracker = tracker

    @cached_property
    def engine(self) -> Engine:
        """What makes the images. Imports torch when first asked for."""
        return diffusers_engine()

    @cached_property
    def tracker(self) -> Tracker:
        """Whom to tell when a run has ended."""
        from promptlab.tracking import MlflowTracker

        return MlflowTracker(self.workspace)

    @cached_property
    def notebook(self) -> Notebook:
        """The workspace's memory, made or upgraded when first asked for."""
        from promptlab.store.notebook import Notebook

        return Notebook.at(self.workspace)

    # making

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Find everything that is wrong with ``spec`` or with the workspace, and fill in the defaults. Writes nothing.

        Raises:
            InputError: see :meth:`promptlab.engine.Engine.resolve`.
        """
        glance.check_workspace(self.workspace)
        return self.engine.resolve(spec)

    def run(
        self,
        spec: RunSpec,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """Make the images of ``spec``, remember them, draw their grid, tell MLflow.

        Returns:
            The run as it ended: FINISHED.

        Raises:
            InputError: before anything is written.
            EngineError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        from promptlab.lab.making import Making

        resolved = self.resolve(spec)
        environment = self.engine.environment(resolved)
        tasks = tasks_of(resolved)
        run = self.notebook.begin_run(
            resolved, tasks, environment=environment, experiment=experiment, name=name, note=note, parent=parent
        )
        watch(RunBegan(run=run))
        making = Making(self.engine, self.notebook, self.workspace, self.tracker, run, resolved, parent, watch)
        failure: BaseException | None = None
        try:
            making.generate(tasks)
            ended = making.end(RunStatus.FINISHED)
        except KeyboardInterrupt as interrupt:
            ended, failure = making.end(RunStatus.KILLED), interrupt
        except Exception as error:  # noqa: BLE001 - whatever it was, the row must say so before it goes on
            ended, failure = making.end(RunStatus.FAILED, error=one_line(error)), error
        ended = self._show(ended, parent, watch)
        if failure is not None:
            raise failure
        return ended

    def rerun(
        self,
        source: Source,
        *,
        seeds: tuple[int, ...] = (),
        wording: Wording | None = None,
        changes: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """Run again with other words, seeds or settings; what is not named is inherited, batch size included.

        Args:
            source: see :meth:`source`.
            seeds: picked out of the source's own; all of them when none are named.
            wording: what to do to the prompts.
            changes: fields of the spec by their names, as :meth:`promptlab.spec.RunSpec.vary` takes them.
        """
        return self.run(
            self.variation(source, seeds=seeds, wording=wording, changes=changes),
            experiment=experiment or source.run.experiment,
            name=name,
            note=note,
            parent=source.run,
            watch=watch,
        )

    @staticmethod
    def variation(
        source: Source,
        *,
        seeds: tuple[int, ...] = (),
        wording: Wording | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """The spec that :meth:`rerun` would run."""
        return varied(source.spec(seeds), wording or Wording(), changes or {})

    # looking up

    def source(self, ref: str) -> Source:
        """What ``ref`` names: ``last``, a run's number, an image as ``RUN/POSITION``, or the path of a picture.

        Raises:
            NotFound: naming what is there.
            InputError: when ``ref`` is none of these.
        """
        if ref == "last":
            last = self.notebook.last_run_id() if self.workspace.database.exists() else None
            if last is None:
                raise NotFound("run", ref, allowed="none yet in this workspace", hint='promptlab run "…"')
            return Source(run=self.notebook.run(last))
        if match := re.fullmatch(r"(\d{1,9})(?:/(\d{1,9}))?", ref):
            run = self._run(int(match[1]))
            if match[2] is None:
                return Source(run=run)
            self._image(run, int(match[2]))
            return Source(run=run, position=int(match[2]))
        if ref.lower().endswith(".png") or Path(ref).is_file():
            return self._picture(Path(ref))
        raise InputError(
            "RUN", ref, problem="names no run and no image",
            allowed="a run's number, an image as RUN/POSITION, last, or the path of a PNG", hint="promptlab list",
        )  # fmt: skip

    def summaries(self, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
        """The runs of this workspace in a line each, newest first."""
        return glance.summaries(self.workspace.database, experiment=experiment, limit=limit)

    def schema(self) -> tuple[str | None, str]:
        """The schema revision that the database has (``None``: no tables of ours yet), and the one written here."""
        return glance.revision_of(self.workspace.database), HEAD

    def upgrade(self) -> tuple[str | None, str]:
        """Make the tables, or bring older ones up to date after a backup; what :meth:`schema` said before."""
        from promptlab.store.notebook import Notebook

        glance.check_workspace(self.workspace)
        return Notebook.upgrade(self.workspace), HEAD

    # telling

    def sync(self, watch: Watch = unwatched) -> tuple[int, ...]:
        """Tell MLflow about every ended run that it has not heard of, oldest first.

        Returns:
            The numbers of the runs it now knows.

        Raises:
            TrackerError: when it cannot be told; the runs told before stay told.
        """
        if not self.workspace.database.exists():
            return ()
        told = self.notebook.untracked()
        for run_id in told:
            watch(Telling())
            run = self.notebook.run(run_id)
            self._tell(run, None if run.parent_run_id is None else self.notebook.run(run.parent_run_id))
        return told

    def serve(self, *, host: str = "127.0.0.1", port: int | None = None) -> AbstractContextManager[Server]:
        """MLflow's pages of this workspace, for as long as the context lasts: see :func:`promptlab.tracking.serve`."""
        from promptlab.tracking import serve

        allowed = () if host in ("127.0.0.1", "localhost", "::1") else (host, "localhost", "127.0.0.1")
        return serve(self.workspace, host=host, port=port, allowed_hosts=allowed)

    def _run(self, run_id: int) -> RunRecord:
        if not self.workspace.database.exists():
            raise NotFound("run", run_id, allowed="none yet in this workspace", hint='promptlab run "…"')
        return self.notebook.run(run_id)

    def _image(self, run: RunRecord, position: int) -> ImageRecord:
        if position >= len(run.images):
            raise NotFound(
                "image", f"{run.id}/{position}",
                allowed=f"{run.id}/0 to {run.id}/{len(run.images) - 1}", hint=f"promptlab show {run.id}",
            )  # fmt: skip
        return run.images[position]

    def _picture(self, path: Path) -> Source:
        """The image that a picture's own metadata names; the whole run, where the picture is a grid."""
        from promptlab.images.metadata import grid_run_uid, self_description

        if not path.is_file():
            raise NotFound("image", str(path), hint="promptlab show last")
        described = self_description(path)
        uid = grid_run_uid(path) if described is None else described.run_uid
        run = self.notebook.run_by_uid(uid) if uid is not None and self.workspace.database.exists() else None
        if run is None:
            raise InputError(
                "image", str(path), problem="was not made in this workspace",
                allowed="a picture made by a run here", hint="promptlab list, or --workspace FOLDER",
            )  # fmt: skip
        return Source(run=run, position=None if described is None else described.position)

    def _show(self, run: RunRecord, parent: RunRecord | None, watch: Watch) -> RunRecord:
        """The faces of an ended run: its grid, and MLflow. Neither can take the run down with it."""
        from promptlab.images.grid import save_grid

        try:
            save_grid(run, self.workspace)
        except StoreError as error:
            watch(Undrawn(run_id=run.id, reason=str(error)))
        watch(Telling())
        try:
            return self._tell(run, parent)
        except TrackerError as error:
            watch(Untold(run_id=run.id, reason=str(error)))
            return run

    def _tell(self, run: RunRecord, parent: RunRecord | None) -> RunRecord:
        from promptlab.images.grid import thumbnail

        grid = self.workspace.grid(run.id)
        told = self.tracker.record(run, parent=parent, thumbnail=thumbnail(grid) if grid.is_file() else b"")
        return self.notebook.mark_tracked(run.id, told)
