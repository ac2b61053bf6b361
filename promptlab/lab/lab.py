"""The story in code: run, rerun, look up, tell MLflow. The only room that decides in which order things happen.

Rerun is ``load ∘ vary ∘ run``: :meth:`Lab.rerun` reads a spec back, changes it and hands it to :meth:`Lab.run`, with
the run it came from as parent. There is no second path by which a picture comes to be.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine import Engine, diffusers_engine
from promptlab.errors import EngineError, InputError, one_line
from promptlab.lab.events import Reused, SweepBegan, Telling, Watch, unwatched
from promptlab.lab.finding import find
from promptlab.lab.survey import survey
from promptlab.lab.variation import Source, Wording, varied
from promptlab.plan import Plan, ResolvedSpec, tasks_of
from promptlab.records import Environment, RunRecord, RunSummary, SweepRecord, SweepRun
from promptlab.spec import RunSpec
from promptlab.store import glance
from promptlab.store.migrate import HEAD
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.expand.axes import Sweep
    from promptlab.lab.workshop import Workshop
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

    @cached_property
    def _workshop(self) -> Workshop:
        from promptlab.lab.workshop import Workshop

        return Workshop(self.engine, self.notebook, self.workspace, self.tracker)

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
        again: bool = False,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """Make the images of ``spec``, remember them, draw their grid, tell MLflow.

        Pictures that exist in this workspace by the same recipe and environment are linked and not made. When a run of
        the experiment is all of it already, that run is given back; when one was begun and left, it is completed.

        Args:
            again: make everything anew.

        Returns:
            The run as it ended: FINISHED.

        Raises:
            InputError: before anything is written.
            EngineError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        resolved = self.resolve(spec)
        environment = self.engine.environment(resolved)
        tasks = tasks_of(resolved)
        if not again and name is None and note is None:
            same = self.notebook.same_run([task.recipe_key for task in tasks], environment, experiment)
            if same is not None and not self._workshop.busy(same):
                return self._complete(self.notebook.run(same), resolved, environment, watch)
        run = self.notebook.begin_run(
            resolved, tasks, environment=environment, experiment=experiment, name=name, note=note, parent=parent
        )
        return self._workshop.carry_out(run, resolved, environment, parent=parent, again=again, watch=watch)

    def run_sweep(
        self,
        sweep: Sweep,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> SweepRecord:
        """Make a run of every cell of ``sweep``, slow changes (model, VAE, dtype) outermost, and one overview of all.

        All runs are in the notebook before the first pixel is made, so :meth:`resume` knows them whatever happens. The
        same sweep asked for again is completed, not begun anew.

        Raises:
            InputError: before anything is written.
            EngineError: when some runs failed; the others are made.
            KeyboardInterrupt: what was made stays.
        """
        glance.check_workspace(self.workspace)
        plan, environments = survey(self.engine, self._workshop, sweep.specs, there=frozenset())
        digest = sha256()
        for planned in plan.runs:
            digest.update("\n".join((environments[planned.original].hash, *planned.keys)).encode())
        key = digest.hexdigest()
        found = None if again or name or note else self.notebook.same_sweep(key, experiment)
        if found is None:
            fields = tuple(tuple(axis.field for axis in dimension) for dimension in sweep.dimensions)
            begun = self.notebook.begin_sweep(experiment=experiment, name=name, note=note, dimensions=fields, key=key)
            for planned in plan.runs:
                cell = sweep.cells[planned.original]
                self.notebook.begin_run(
                    planned.resolved,
                    planned.tasks,
                    environment=environments[planned.original],
                    experiment=experiment,
                    name=name,
                    note=note,
                    sweep_id=begun.id,
                    place=SweepRun(run_id=0, place=cell.place, values=cell.values),
                )
            found = self.notebook.sweep(begun.id)
        watch(SweepBegan(sweep_id=found.id, runs=len(found.runs), images=sweep.image_count))
        return self._carry_out_sweep(found, again=again, watch=watch)

    def resume(self, ref: str | None = None, *, watch: Watch = unwatched) -> tuple[RunRecord, ...]:
        """Make what is still owed, exactly as it was recorded.

        Args:
            ref: a run as :meth:`source` knows it, or ``sweep:3``; ``None`` for everything in this workspace that no
                other process is making.

        Returns:
            The runs that were completed.

        Raises:
            NotFound: when there is no such run or sweep.
            InputError: when a model is not the one it was, or another process is making the run.
        """
        if not self.workspace.database.exists():
            return ()
        if ref is not None and (match := re.fullmatch(r"sweep:(\d{1,9})", ref)):
            sweep = self.notebook.sweep(int(match[1]))
            owing = [run.run_id for run in sweep.runs if not self.notebook.run(run.run_id).complete]
            watch(SweepBegan(sweep_id=sweep.id, runs=len(owing), images=0))
            self._carry_out_sweep(sweep, again=False, watch=watch)
            return tuple(self.notebook.run(run_id) for run_id in owing)
        if ref is not None:
            run = self.source(ref).run
            return () if run.complete else (self._resume(run, watch),)
        unfinished = [one for one in self.notebook.unfinished() if not self._workshop.busy(one)]
        done = [self._resume(self.notebook.run(one), watch) for one in unfinished]
        for sweep_id in dict.fromkeys(run.sweep_id for run in done if run.sweep_id is not None):
            self._workshop.show_sweep(self.notebook.sweep(sweep_id), watch)
        return tuple(done)

    def plan(self, specs: Sequence[RunSpec], *, again: bool = False) -> Plan:
        """What running ``specs`` would come to: order, images, loads, seconds, bytes, words that would be cut.

        Nothing is loaded but tokenizers, nothing is written.
        """
        revision = glance.check_workspace(self.workspace)
        workshop = self._workshop if revision == HEAD else None
        return survey(self.engine, workshop, specs, there=frozenset() if again else None, cut=True)[0]

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
        again: bool = False,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """Run again with other words, seeds or settings; what is not named is inherited, batch size included.

        Args:
            source: see :meth:`source`.
            seeds: picked out of the source's own; all of them when none are named.
            wording: what to do to the prompts.
            changes: fields of the spec by their names, as :meth:`promptlab.spec.RunSpec.vary` takes them.
            again: make pictures anew that exist already.
        """
        return self.run(
            self.variation(source, seeds=seeds, wording=wording, changes=changes),
            experiment=experiment or source.run.experiment,
            name=name,
            note=note,
            parent=source.run,
            again=again,
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
        return find(ref, self.workspace, lambda: self.notebook)

    def sweep_record(self, sweep_id: int) -> SweepRecord:
        """A sweep with the numbers of its runs.

        Raises:
            NotFound: naming the sweeps that are there.
        """
        return self.notebook.sweep(sweep_id)

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
            self._workshop.tell(self.notebook.run(run_id))
        return told

    def serve(self, *, host: str = "127.0.0.1", port: int | None = None) -> AbstractContextManager[Server]:
        """MLflow's pages of this workspace, for as long as the context lasts: see :func:`promptlab.tracking.serve`."""
        from promptlab.tracking import serve

        allowed = () if host in ("127.0.0.1", "localhost", "::1") else (host, "localhost", "127.0.0.1")
        return serve(self.workspace, host=host, port=port, allowed_hosts=allowed)

    def _complete(self, run: RunRecord, resolved: ResolvedSpec, environment: Environment, watch: Watch) -> RunRecord:
        """A run that is there already: given back when it is whole, else taken up."""
        if self._workshop.whole(run):
            watch(Reused(run_id=run.id))
            return self.notebook.ask_again(run.id)
        parent = None if run.parent_run_id is None else self.notebook.run(run.parent_run_id)
        return self._workshop.carry_out(run, resolved, environment, parent=parent, watch=watch)

    def _resume(self, run: RunRecord, watch: Watch) -> RunRecord:
        resolved = self._as_recorded(run)
        return self._complete(run, resolved, self.engine.environment(resolved), watch)

    def _as_recorded(self, run: RunRecord) -> ResolvedSpec:
        """The run's spec, resolved here and now to the weights that it was begun with.

        Raises:
            InputError: when a model changed under its name.
        """
        resolved = self.resolve(run.spec)
        for option, was, now in (
            ("--model", run.model_identity, resolved.model_identity),
            ("--vae", run.vae_identity, resolved.vae_identity),
        ):
            if was != now:
                name = run.spec.pipeline.model if option == "--model" else run.spec.pipeline.vae
                raise InputError(
                    option, name, problem=f"is not what run {run.id} was begun with ({was} then, {now} now)",
                    allowed="the same weights", hint=f"promptlab rerun {run.id}",
                )  # fmt: skip
        return resolved

    def _carry_out_sweep(self, sweep: SweepRecord, *, again: bool, watch: Watch) -> SweepRecord:
        """Every run of the sweep that is not whole; one that fails does not take the others along."""
        failures: list[EngineError] = []
        runs = [self.notebook.run(one.run_id) for one in sweep.runs]
        owing = [run for run in runs if again or not self._workshop.whole(run)]
        if not owing and sweep.tracked_at is not None:
            return sweep
        for run in owing:
            resolved = self._as_recorded(run)
            try:
                self._workshop.carry_out(run, resolved, self.engine.environment(resolved), again=again, watch=watch)
            except EngineError as error:
                failures.append(error)
        shown = self._workshop.show_sweep(self.notebook.sweep(sweep.id), watch)
        if failures:
            raise EngineError(f"{len(failures)} of {len(sweep.runs)} runs failed: {one_line(failures[0])}")
        return shown
