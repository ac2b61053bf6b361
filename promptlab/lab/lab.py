"""The story in code: run, rerun, look up, tell MLflow. The only room that decides in which order things happen.

Rerun is ``load ∘ vary ∘ run``: :meth:`Lab.rerun` reads a spec back, changes it and hands it to :meth:`Lab.run`, with
the run it came from as parent. There is no second path by which a picture comes to be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import EngineError, TrackerError, one_line
from promptlab.lab.context import LabContext
from promptlab.lab.execution.active_run import RunJob
from promptlab.lab.execution.events import (
    ProbeTrackingFailed,
    PromptsTruncated,
    RunReused,
    SweepStarted,
    TrackingStarted,
    Watch,
    unwatched,
)
from promptlab.lab.execution.preflight import begin_sweep, survey
from promptlab.lab.execution.weights import as_recorded
from promptlab.lab.history.history import History
from promptlab.lab.history.refs import find_run_or_image, find_sweep
from promptlab.lab.history.rerun import PromptEdit, RunOrImage, rerun_spec
from promptlab.lab.maintenance.maintenance import Maintenance
from promptlab.lab.maintenance.verify import Verdict, Verifier
from promptlab.lab.maintenance.verify_selection import sampled, wanted
from promptlab.lab.preferences.ratings import Ratings
from promptlab.plan import Plan, ResolvedSpec, TruncatedPrompt, requests_of
from promptlab.records import ProbeRecord, RunRecord, SweepRecord, TruncatedText
from promptlab.specs import AUTO, RunSpec
from promptlab.store.migrate import HEAD

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.maintenance.batch_size_probe import Prober
    from promptlab.lab.preferences.prompt_effect import PromptEffect
    from promptlab.store.database import Database
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import Tracker
    from promptlab.workspace import Workspace

__all__ = ["DEFAULT_EXPERIMENT", "Lab"]

DEFAULT_EXPERIMENT: Final = "promptlab"


class Lab:
    """Makes images in one workspace, remembers them and records them in MLflow.

    What is remembered is looked up by :attr:`history`, judged by :attr:`ratings` and looked after by
    :attr:`maintenance`.

    Args:
        workspace: the folder that holds all state; the current one by default. Nothing is written before a run begins.
        database: where the rows are, when not in the workspace's ``mlflow.db``: ``postgresql://…`` or ``sqlite:///…``;
            MLflow's own tables stay where they are.
        engine: what makes the images; diffusers by default, loaded when first needed.
        tracker: where ended runs are recorded; MLflow in the workspace by default.
        tracking_uri: of an MLflow server elsewhere on which runs are recorded instead, ``http(s)://…``.
        allow_pickle: whether pickled weights are read, where a model has no others; never remembered.

    Raises:
        InputError: when ``database`` or ``tracking_uri`` is no address.
    """

    def __init__(
        self,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        database: str | None = None,
        engine: Engine | None = None,
        tracker: Tracker | None = None,
        tracking_uri: str | None = None,
        allow_pickle: bool = False,
    ) -> None:
        self.context = LabContext.create(
            workspace, database=database, engine=engine, tracker=tracker, tracking_uri=tracking_uri,
            allow_pickle=allow_pickle,
        )  # fmt: skip
        self.history = History(self.context)
        self.ratings = Ratings(self.context)
        self.maintenance = Maintenance(self.context)

    @property
    def workspace(self) -> Workspace:
        """Return the workspace."""
        return self.context.workspace

    @property
    def database(self) -> Database:
        """Return the database that holds the rows."""
        return self.context.database

    @property
    def engine(self) -> Engine:
        """Return the engine. Imports torch when first called."""
        return self.context.engine

    @property
    def tracker(self) -> Tracker:
        """Return the tracker. Imports MLflow when first called."""
        return self.context.tracker

    @property
    def tracking_uri(self) -> str | None:
        """Return the URL of the MLflow server elsewhere, without a name or password in it; ``None`` without one."""
        return self.context.tracking_uri

    @property
    def notebook(self) -> Notebook:
        """Return the workspace's notebook. Its tables are created or upgraded when first called."""
        return self.context.notebook

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Find everything that is wrong with ``spec`` or with the workspace, and fill in the defaults. Writes nothing.

        Raises:
            InputError: see :meth:`promptlab.engine.Engine.resolve`.
        """
        self.context.check()
        (resolved,) = self.context.resolve((spec,))
        return resolved

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
        if spec.batch_size == AUTO:
            (spec,) = self._prober(watch).settled((spec,))
            resolved = self.resolve(spec)
        cut = self._report_truncated((resolved,), watch)
        environment, requests = resolved.environment, requests_of(resolved)
        with self.context.executor.locks.beginning():
            same = None
            if not again and name is None and note is None:
                same = self.notebook.same_run([request.recipe_key for request in requests], environment, experiment)
            if same is None or self.context.executor.is_busy(same):
                same = None
                run = self.notebook.begin_run(
                    resolved, requests, environment=environment, experiment=experiment, name=name, note=note,
                    parent=parent,
                )  # fmt: skip
                self.context.executor.locks.take(run)
                self._store_truncated(run, cut)
        if same is not None:
            return self._completed([self.notebook.run(same)], watch, resolved=[resolved])[0]
        job = RunJob(run=run, resolved=resolved, parent=parent, again=again)
        return self.context.executor.execute(job, watch)

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
        self.context.check()
        if any(spec.batch_size == AUTO for spec in sweep.specs):
            self.context.resolve(sweep.specs)  # what is wrong is said before anything is tried out
            specs = self._prober(watch).settled(sweep.specs)
            cells = zip(sweep.cells, specs, strict=True)
            sweep = replace(sweep, cells=tuple(replace(cell, spec=spec) for cell, spec in cells))
        with self.context.executor.locks.beginning():
            found = begin_sweep(
                self.engine, self.notebook, sweep, permissions=self.context.permissions,
                experiment=experiment, name=name, note=note, again=again,
            )  # fmt: skip
            self.context.executor.locks.take_sweep(found.id)
        self._report_truncated(self.context.resolve(sweep.specs), watch)
        watch(SweepStarted(sweep_id=found.id, runs=len(found.runs), images=sweep.image_count))
        return self._execute_sweep(found, again=again, watch=watch)

    def resume(self, ref: str | None = None, *, watch: Watch = unwatched) -> tuple[RunRecord, ...]:
        """Make what is still owed, exactly as it was recorded.

        Args:
            ref: a run as ``lab.history.find`` takes it, or ``sweep:3``; ``None`` for everything in this workspace that
                no other process is making.

        Returns:
            The runs that were completed.

        Raises:
            NotFound: when there is no such run or sweep.
            InputError: when a model is not the one it was, or another process is making the run.
        """
        if not self.database.is_begun:
            return ()
        if ref is not None and (sweep_id := find_sweep(ref, self.context)) is not None:
            sweep = self.notebook.sweep(sweep_id)
            owing = [
                run.run_id for run in sweep.runs if not self.context.executor.is_whole(self.notebook.run(run.run_id))
            ]
            watch(SweepStarted(sweep_id=sweep.id, runs=len(owing), images=0))
            self._execute_sweep(sweep, again=False, watch=watch)
            return tuple(self.notebook.run(run_id) for run_id in owing)
        if ref is not None:
            run = find_run_or_image(ref, self.context).run
            return () if self.context.executor.is_whole(run) else self._completed([run], watch)
        unfinished = [one for one in self.notebook.unfinished() if not self.context.executor.is_busy(one)]
        done = self._completed([self.notebook.run(one) for one in unfinished], watch)
        for sweep_id in dict.fromkeys(run.sweep_id for run in done if run.sweep_id is not None):
            self.context.publisher.publish_sweep(self.notebook.sweep(sweep_id), watch)
        return done

    def plan(self, specs: Sequence[RunSpec], *, again: bool = False) -> Plan:
        """What running ``specs`` would come to: order, images, loads, seconds, bytes, words that would be cut.

        Nothing is loaded but tokenizers, nothing is written.
        """
        revision = self.context.check()
        return survey(
            self.engine, self.context.executor if revision == HEAD else None, specs,
            permissions=self.context.permissions, there=frozenset() if again else None, truncation=True,
        )  # fmt: skip

    def probe(
        self,
        spec: RunSpec,
        *,
        sizes: Sequence[int] = (1, 2, 4, 8),
        slicing: Sequence[bool] = (False, True),
        experiment: str = "probes",
        watch: Watch = unwatched,
    ) -> ProbeRecord:
        """Try out how many images fit into one forward, how long each takes and how much memory; tell MLflow.

        Nothing is kept but what was measured: ``batch_size="auto"`` knows it from then on.

        Args:
            spec: what is drawn and how; its batch size, seeds and attention slicing are not looked at.
            sizes: smallest first; those above one that does not fit are not tried.
            slicing: without attention slicing, with it, or both.
            experiment: the MLflow experiment that is told.

        Raises:
            InputError: see :meth:`resolve`.
            EngineError: when the model would not load.
        """
        self.resolve(spec.vary(batch_size=None, attention_slicing=False))
        found = self._prober(watch).table(spec, sizes, slicing)
        watch(TrackingStarted())
        try:
            self.tracker.record_probe(found, experiment)
        except TrackerError as error:
            watch(ProbeTrackingFailed(reason=str(error)))
        return found

    def rerun(
        self,
        source: RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """Run again with other words, seeds or settings; what is not named is inherited, batch size included.

        Args:
            source: a run or image that ``lab.history.find`` found.
            seeds: picked out of the source's own; all of them when none are named.
            edit: what to do to the prompts.
            changes: fields of the spec by their names, as :meth:`promptlab.specs.RunSpec.vary` takes them.
            again: make pictures anew that exist already.
        """
        return self.run(
            self.rerun_spec(source, seeds=seeds, edit=edit, changes=changes),
            experiment=experiment or source.run.experiment,
            name=name,
            note=note,
            parent=source.run,
            again=again,
            watch=watch,
        )

    @staticmethod
    def rerun_spec(
        source: RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """The spec that :meth:`rerun` would run."""
        return rerun_spec(source.spec(seeds), edit or PromptEdit(), changes or {})

    def verify(
        self,
        refs: Sequence[str] = (),
        *,
        everything: bool = False,
        sample: int | None = None,
        watch: Watch = unwatched,
    ) -> tuple[Verdict, ...]:
        """Make pictures again, exactly as recorded, and compare them with those that are kept.

        What came of each is stored, and MLflow told.

        Args:
            refs: runs and images as ``lab.history.find`` takes them, ``sweep:3``, or files of images that PromptLab
                made elsewhere, of which nothing is stored.
            everything: all that was made in this workspace.
            sample: compare only so many, drawn at random.

        Raises:
            NotFound, InputError: when there is nothing of that name, or it cannot be made again.
        """
        verifier = Verifier(
            self.engine, lambda: self.notebook, self.workspace, watch, permissions=self.context.permissions
        )
        ours, files = wanted(refs, self.context, everything=everything)
        verdicts = list(verifier.images(sampled(ours, sample))) if ours else []
        verdicts += map(verifier.file, files)
        for run_id in dict.fromkeys(verdict.run_id for verdict in verdicts if verdict.verification):
            if run_id is not None:
                self.context.publisher.publish_run(self.notebook.run(run_id), watch)
        return tuple(verdicts)

    def effect(
        self,
        ref: str,
        *,
        clip_model: str | None = None,
        score: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> PromptEffect:
        """Measure how much each prompt of a run changes the image, against how much the seed does; record it in MLflow.

        The plot is written to ``workspace.effect(run)``. See :mod:`promptlab.lab.preferences.prompt_effect`.

        Args:
            ref: a run; of an image, its run is meant.
            clip_model: folder or Hub id; with it, CLIP's distance is measured as well.
            score: whether CLIP's score against the prompt is measured, too.
            device: where CLIP runs.

        Raises:
            NotFound, InputError: when there is no such run, or not two prompts at two seeds.
            EngineError: when the CLIP model would not load.
            StoreError: when the plot cannot be written.
        """
        from promptlab.lab.preferences.effect_report import measure_run, save_effect_report

        run = find_run_or_image(ref, self.context).run
        found = measure_run(run, self.workspace, lambda: self.engine, clip_model=clip_model, score=score, device=device)
        save_effect_report(found, run, self.workspace)
        self.context.publisher.track_run(run, watch)
        return found

    def _prober(self, watch: Watch) -> Prober:
        from promptlab.lab.maintenance.batch_size_probe import Prober

        return Prober(self.engine, self.notebook, watch, permissions=self.context.permissions)

    def _report_truncated(self, resolved: Sequence[ResolvedSpec], watch: Watch) -> tuple[TruncatedPrompt, ...]:
        with suppress(EngineError):  # a tokenizer that will not load is the engine's to say, with the weights
            if cut := self.context.truncated_prompts(resolved):
                watch(PromptsTruncated(prompts=cut))
                return cut
        return ()

    def _store_truncated(self, run: RunRecord, cut: Sequence[TruncatedPrompt]) -> None:
        if cut:
            kept = [TruncatedText(prompt=each.prompt, encoder=each.encoder, words=each.words) for each in cut]
            self.notebook.add_truncated_texts(run.id, kept)

    def _completed(
        self, runs: Sequence[RunRecord], watch: Watch, *, resolved: Sequence[ResolvedSpec] | None = None
    ) -> tuple[RunRecord, ...]:
        """Runs that are there already: given back when they are whole, else taken up, together.

        Args:
            resolved: of each run; found out where it is not given.

        Raises:
            EngineError: when some failed; the others are made.
        """
        whole = {run.id for run in runs if self.context.executor.is_whole(run)}
        owing = [(place, run) for place, run in enumerate(runs) if run.id not in whole]
        for run_id in whole:
            watch(RunReused(run_id=run_id))
        given = self._as_recorded(runs) if resolved is None else resolved
        jobs = self._jobs([run for _, run in owing], [given[place] for place, _ in owing])
        self.notebook.mark_requested([run.id for run in runs])
        outcomes = self.context.executor.execute_all(jobs, watch) if jobs else ()
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        if failures:
            raise failures[0] if len(runs) == 1 else _failed(failures, len(runs))
        made = {outcome.run.id: outcome.run for outcome in outcomes}
        return tuple(made.get(run.id) or self.notebook.run(run.id) for run in runs)

    def _jobs(
        self, runs: Sequence[RunRecord], resolved: Sequence[ResolvedSpec], *, again: bool = False
    ) -> list[RunJob]:
        parents: dict[int | None, RunRecord] = {
            run.parent_run_id: self.notebook.run(run.parent_run_id) for run in runs if run.parent_run_id
        }
        return [
            RunJob(run=run, resolved=one, parent=parents.get(run.parent_run_id), again=again)
            for run, one in zip(runs, resolved, strict=True)
        ]

    def _as_recorded(self, runs: Sequence[RunRecord]) -> list[ResolvedSpec]:
        """The runs' specs, resolved here and now to the weights that they were begun with.

        Raises:
            InputError: when a model changed under its name.
        """
        self.context.check()
        return as_recorded(self.engine, runs, permissions=self.context.permissions)

    def _execute_sweep(self, sweep: SweepRecord, *, again: bool, watch: Watch) -> SweepRecord:
        """Every run of the sweep that is not whole; one that fails does not take the others along.

        Raises:
            InputError: when another process is making it.
        """
        with self.context.executor.locks.sweep_held(sweep.id):
            return self._made_sweep(sweep, again=again, watch=watch)

    def _made_sweep(self, sweep: SweepRecord, *, again: bool, watch: Watch) -> SweepRecord:
        runs = [self.notebook.run(one.run_id) for one in sweep.runs]
        self.notebook.mark_requested([run.id for run in runs])
        owing = [run for run in runs if again or not self.context.executor.is_whole(run)]
        if not owing and sweep.tracked_at is not None:
            return sweep
        jobs = self._jobs(owing, self._as_recorded(owing), again=again)
        for job in jobs:
            with suppress(EngineError):
                self._store_truncated(job.run, self.context.truncated_prompts((job.resolved,)))
        outcomes = self.context.executor.execute_all(jobs, watch) if jobs else ()
        shown = self.context.publisher.publish_sweep(self.notebook.sweep(sweep.id), watch)
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        if failures:
            raise _failed(failures, len(sweep.runs))
        return shown


def _failed(failures: Sequence[EngineError], of: int) -> EngineError:
    return EngineError(f"{len(failures)} of {of} runs failed: {one_line(failures[0])}")
