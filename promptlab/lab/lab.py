"""Carries out specs: makes images, and finds, rates and maintains what was made.

Rerun is ``load ∘ change ∘ run``: :meth:`Lab.rerun` reads a spec back, changes it and hands it to :meth:`Lab.run`, with
the run it came from as parent. There is no second path by which an image comes to be.

A list of runs is the most frequent of all questions, and quicker than an import of what makes them: so each verb
imports what it needs when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptlab.lab.context import LabContext
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.line_of_work import DEFAULT_EXPERIMENT

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.history.history import History
    from promptlab.lab.history.prompt_edit import PromptEdit
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.maintenance.maintenance import Maintenance
    from promptlab.lab.maintenance.verify import Verdict
    from promptlab.lab.preferences.prompt_effect import PromptEffect, SweepEffect
    from promptlab.lab.preferences.ratings import Ratings
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.plan import Plan, ResolvedSpec
    from promptlab.records import ProbeRecord, RunRecord, SweepRecord
    from promptlab.specs import RunSpec
    from promptlab.store.database import Database
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import Tracker
    from promptlab.workspace import Workspace

__all__ = ["Lab"]


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
        make_engine: creates the engine where none is given, when it is first needed; that of diffusers by default.
        record_apart: whether runs are recorded in MLflow by a process of its own, which imports MLflow while this one
            imports torch: for programs that end once their pictures are made. :meth:`close` ends it.

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
        make_engine: Callable[[], Engine] | None = None,
        record_apart: bool = False,
    ) -> None:
        self.context = LabContext.create(
            workspace, database=database, engine=engine, tracker=tracker, tracking_uri=tracking_uri,
            allow_pickle=allow_pickle, make_engine=make_engine, record_apart=record_apart,
        )  # fmt: skip

    @cached_property
    def history(self) -> History:
        """Return what looks up runs, images and sweeps."""
        from promptlab.lab.history.history import History

        return History(self.context)

    @cached_property
    def ratings(self) -> Ratings:
        """Return what keeps stars, favourites and votes."""
        from promptlab.lab.preferences.ratings import Ratings

        return Ratings(self.context)

    @cached_property
    def maintenance(self) -> Maintenance:
        """Return what looks after the workspace."""
        from promptlab.lab.maintenance.maintenance import Maintenance

        return Maintenance(self.context)

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
        """Return the URL of the MLflow server elsewhere, without credentials; ``None`` without one."""
        return self.context.tracking_uri

    @property
    def notebook(self) -> Notebook:
        """Return the workspace's notebook. Its tables are created or upgraded when first called."""
        return self.context.notebook

    def close(self) -> None:
        """Close what recording has opened; it is opened again where something else is recorded."""
        self.context.close()

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Check ``spec`` and the workspace, and fill in the model's defaults. Writes nothing.

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
        """Make the images of ``spec``, store them, draw their grid, record the run in MLflow.

        Images that exist in this workspace with the same recipe key and environment are linked, not made. A run of the
        experiment that is the same is returned, completed if it was left unfinished.

        Args:
            spec: prompts, seeds, model and settings.
            experiment: the MLflow experiment.
            name, note: of the run; one that has either is always a new run.
            parent: the run that it was derived from.
            again: make all images, also those that exist.
            watch: called with each event, see :mod:`promptlab.lab.execution.events`.

        Returns:
            The run as it ended: FINISHED.

        Raises:
            InputError: before anything is written.
            EngineError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        from promptlab.lab.launch import launch_run

        return launch_run(
            self.context, spec, experiment=experiment, name=name, note=note, parent=parent, again=again, watch=watch
        )

    def run_sweep(
        self,
        sweep: Sweep,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> SweepRecord:
        """Make a run for every cell of ``sweep``, loading each model once, and one overview of all.

        All runs are in the notebook before the first image is made, so :meth:`resume` knows them whatever happens. The
        same sweep requested again is completed, not begun anew.

        Args:
            sweep: as :func:`promptlab.expand.build_sweep` makes it; the other arguments as those of :meth:`run`.
            parent: the run that all of it was varied from.

        Raises:
            InputError: before anything is written.
            EngineError: when some runs failed; the others are made.
            KeyboardInterrupt: what was made stays.
        """
        from promptlab.lab.launch import launch_sweep

        return launch_sweep(
            self.context, sweep, experiment=experiment, name=name, note=note, parent=parent, again=again, watch=watch
        )

    def resume(self, ref: str | None = None, *, watch: Watch = unwatched) -> tuple[RunRecord, ...]:
        """Make the images that are still owed, exactly as recorded.

        Args:
            ref: a run as ``lab.history.find`` takes it, or ``sweep:3``; ``None`` for everything in this workspace that
                no other process is making.

        Returns:
            The runs that were completed.

        Raises:
            NotFound: when there is no such run or sweep.
            InputError: when a model is not the one it was, or another process is making the run.
        """
        from promptlab.lab.launch import resume

        return resume(self.context, ref, watch=watch)

    def plan(self, specs: Sequence[RunSpec], *, again: bool = False) -> Plan:
        """Estimate what running ``specs`` takes: order, images, loads, seconds, bytes, truncated prompts.

        Loads nothing but tokenizers, and writes nothing.

        Args:
            again: as if all images were made, also those that exist.
        """
        from promptlab.lab.execution.preflight import survey
        from promptlab.store.migrate import HEAD

        begun = self.context.check() == HEAD  # else there is no database yet, and none is made
        return survey(
            self.engine, specs, permissions=self.context.permissions, truncation=True,
            existing=self.context.existing_images if begun and not again else None,
            pace=self.notebook.pace if begun else None,
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
        """Measure how many images fit into one forward pass, their time and memory; record it in MLflow.

        No image is kept; ``batch_size="auto"`` uses what was measured from then on.

        Args:
            spec: prompt, model and settings; its batch size, seeds and attention slicing are ignored.
            sizes: batch sizes, smallest first; those above one that does not fit are not tried.
            slicing: without attention slicing, with it, or both.
            experiment: the MLflow experiment.

        Raises:
            InputError: see :meth:`resolve`.
            EngineError: when the model would not load.
        """
        from promptlab.errors import TrackerError
        from promptlab.lab.execution.events import ProbeTrackingFailed, TrackingStarted
        from promptlab.lab.maintenance.batch_size_probe import Prober

        self.resolve(spec.vary(batch_size=None, attention_slicing=False))
        prober = Prober(self.engine, self.notebook, watch, permissions=self.context.permissions)
        found = prober.table(spec, sizes, slicing)
        watch(TrackingStarted())
        try:
            self.tracker.record_probe(found, experiment)
        except TrackerError as error:
            watch(ProbeTrackingFailed(reason=str(error)))
        return found

    def rerun(
        self,
        source: RunOrImage | str,
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
        """Run again with other prompts, seeds or settings; what is not named is inherited.

        Args:
            source: a run or image that ``lab.history.find`` found, or its name as that takes it.
            seeds: picked out of the source's own; all of them when none are named.
            edit: what to do to the prompts.
            changes: fields of the spec by their names, as :meth:`promptlab.specs.RunSpec.vary` takes them.
            again: make all images, also those that exist.
        """
        if isinstance(source, str):
            source = self.history.find(source)
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
        """Return the spec that :meth:`rerun` would run."""
        from promptlab.lab.history.rerun import derived_spec

        return derived_spec(source, seeds, edit, changes)

    def verify(
        self,
        refs: Sequence[str] = (),
        *,
        everything: bool = False,
        sample: int | None = None,
        watch: Watch = unwatched,
    ) -> tuple[Verdict, ...]:
        """Make images again, exactly as recorded, and compare every pixel with the files.

        The outcomes are stored and recorded in MLflow.

        Args:
            refs: runs and images as ``lab.history.find`` takes them, ``sweep:3``, or files of images that PromptLab
                made elsewhere, of which nothing is stored.
            everything: all images that were made in this workspace.
            sample: compare only this many, drawn at random.

        Raises:
            NotFound, InputError: when there is nothing of that name, or it cannot be made again.
        """
        from promptlab.lab.maintenance.verify import Verifier
        from promptlab.lab.maintenance.verify_selection import sampled, wanted

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

    def score(
        self,
        refs: Sequence[str],
        scorers: Sequence[str],
        *,
        again: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> ScoredImages:
        """Score images with models that predict what people like; store the scores and record them in MLflow.

        Args:
            refs: runs and images as ``lab.history.find`` takes them, and sweeps; none is all of the workspace.
            scorers: see :data:`promptlab.records.scorers.SCORERS`: ``pickscore``, or ``clip=FOLDER_OR_ID``.
            again: score also what the same model scored before.
            device: where the models run, which are loaded in this process; the first of cuda, mps and cpu.

        Raises:
            NotFound, InputError: when there is no such image or scorer, or it has no safetensors.
            EngineError: when a model would not load.
        """
        from promptlab.lab.preferences.scores import score_images
        from promptlab.records.scorers import parse_scorers

        found = score_images(self.context, refs, parse_scorers(tuple(scorers)), again=again, device=device, watch=watch)
        if found.changed:
            self.context.publisher.refresh_reports([run for run in found.runs if run.id in found.changed], watch)
            self.ratings.publish(watch=watch)
        return found

    def effect(
        self,
        ref: str,
        *,
        by: Sequence[str] = (),
        clip_model: str | None = None,
        score: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> PromptEffect | SweepEffect:
        """Measure how much each prompt of a run, or setting of a sweep, changes the image, beside the seed.

        A run's is recorded in MLflow. Plots are written to ``workspace.effect(run)`` and ``workspace.sweep_effect(…)``.
        See :mod:`promptlab.lab.preferences.prompt_effect`.

        Args:
            ref: a run, or ``sweep:3``; of an image, its run is meant. The sweep of a run of one prompt is, too.
            by: settings of the sweep, or of the run's sweep; all that have two values by default.
            clip_model: folder or Hub id; with it, CLIP's distance is measured as well.
            score: whether CLIP's score against the prompt is measured, too.
            device: where CLIP runs.

        Raises:
            NotFound, InputError: when there is no such run, or not two prompts, or values, at two seeds.
            EngineError: when the CLIP model would not load.
            StoreError: when a plot cannot be written.
        """
        from promptlab.lab.preferences.effect_report import measure_effect
        from promptlab.lab.preferences.prompt_effect import PromptEffect

        found = measure_effect(self.context, ref, by, clip_model=clip_model, score=score, device=device)
        if isinstance(found, PromptEffect):
            self.context.publisher.track_run(self.notebook.run(found.run_id), watch)
        return found
