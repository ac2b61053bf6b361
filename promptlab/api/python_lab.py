"""Offers the lab of Python programs and notebooks: options as keywords, runs that show themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from promptlab.api.handles import Image, Run, Runs, SweepRuns
from promptlab.api.keywords import RerunWords, RunWords, takes_keywords
from promptlab.api.launching import plan_words, rerun_words, run_words, sweep_words
from promptlab.api.naming import Named, ref_of, refs_of
from promptlab.api.opening import open_lab
from promptlab.api.progress import watching
from promptlab.errors import InputError
from promptlab.lab.line_of_work import DEFAULT_EXPERIMENT
from promptlab.records import RunRecord
from promptlab.specs import RunSpec

if TYPE_CHECKING:
    from promptlab.engine import Engine
    from promptlab.expand import Sweep
    from promptlab.lab import Lab, PromptEdit, RunOrImage
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.history.history import History
    from promptlab.lab.maintenance.maintenance import Maintenance
    from promptlab.lab.maintenance.verify import Verdict
    from promptlab.lab.preferences.prompt_effect import PromptEffect, SweepEffect
    from promptlab.lab.preferences.ratings import Ratings
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.plan import Plan
    from promptlab.records import ProbeRecord, SweepRecord
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.serving.remote_services import RemoteHistory, RemoteMaintenance, RemoteRatings
    from promptlab.tracking import Tracker
    from promptlab.workspace import Workspace

__all__ = ["PythonLab"]


class PythonLab:
    """Makes images in one workspace, and remembers them; ``from promptlab import Lab`` gives it.

    ::

        lab = Lab("warrior")
        run = lab.run("portrait of a {old|young} chief", seeds=range(8), scheduler="dpmsolver++", steps=20)
        run.images[1].rerun(replace="old=>{oldest|young}")

    Keywords are the options of the command line, with underscores for hyphens, or the names that diffusers has for the
    same: ``steps`` or ``num_inference_steps``. ``help(lab.run)`` lists them. A call shows a progress bar in a notebook
    and in a terminal, unless it is given a ``watch``.

    Args:
        workspace: the folder that holds all state; by default ``$PROMPTLAB_WORKSPACE``, or the current folder. Nothing
            is written before a run begins.
        server: the address of a server on another machine, ``http://HOST:PORT``, that makes the images; True for this
            machine's own, which is started where none is running; False for this process. By default
            ``$PROMPTLAB_SERVER``, or this process, which keeps its model as long as the lab is used.
        database: where the rows are, ``postgresql://…`` or ``sqlite:///…``; by default ``$PROMPTLAB_DATABASE``, or the
            workspace's ``mlflow.db``.
        tracking_uri: an MLflow server that is told instead of the workspace's own, ``http(s)://…``; by default
            ``$PROMPTLAB_TRACKING_URI``, or ``$MLFLOW_TRACKING_URI`` where that is one.
        allow_pickle: whether pickled weights are read, where a model has no others; never remembered.
        engine: what makes the images, where it is no server; diffusers by default, loaded when first needed.
        tracker: where ended runs are recorded, where it is no server; MLflow by default.

    Raises:
        InputError: when ``server``, ``database`` or ``tracking_uri`` is no address.
    """

    def __init__(
        self,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        server: str | bool | None = None,
        database: str | None = None,
        tracking_uri: str | None = None,
        allow_pickle: bool = False,
        engine: Engine | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        self.lab = open_lab(
            workspace, server=server, database=database, tracking_uri=tracking_uri, allow_pickle=allow_pickle,
            engine=engine, tracker=tracker,
        )  # fmt: skip

    @classmethod
    def over(cls, lab: Lab | RemoteLab) -> PythonLab:
        """Return the same for a lab that is open already."""
        made = cls.__new__(cls)
        made.lab = lab
        return made

    @property
    def workspace(self) -> Workspace:
        """Return the workspace, which names its files."""
        return self.lab.workspace

    @property
    def tracking_uri(self) -> str | None:
        """Return the URL of the MLflow server elsewhere, without credentials; ``None`` without one."""
        return self.lab.tracking_uri

    @property
    def history(self) -> History | RemoteHistory:
        """Return what looks up records of runs, images and sweeps."""
        return self.lab.history

    @property
    def ratings(self) -> Ratings | RemoteRatings:
        """Return what keeps stars, favourites and votes."""
        return self.lab.ratings

    @property
    def maintenance(self) -> Maintenance | RemoteMaintenance:
        """Return what looks after the workspace."""
        return self.lab.maintenance

    @overload
    def run(
        self,
        prompts: RunSpec,
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch | None = None,
    ) -> RunRecord: ...
    @overload
    def run(
        self,
        prompts: str | Sequence[str] = (),
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> Run: ...
    @takes_keywords(RunWords)
    def run(
        self,
        prompts: RunSpec | str | Sequence[str] = (),
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> RunRecord | Run:
        """Make the images of one setting: every prompt at every seed, a labelled grid, a run in MLflow.

        Images that exist in this workspace with the same recipe key and environment are linked, not made. A run of the
        experiment that is the same is returned, completed if it was left unfinished.

        Args:
            prompts: one prompt or several, each a template: ``{a|b||c}`` stands for one prompt each. Or a spec, which
                says everything; then the record of the run is returned.
            experiment: the MLflow experiment.
            name, note: of the run; one that has either is always a new run.
            parent: of a spec, the run that it was derived from.
            again: make all images, also those that exist.
            watch: called with each event, see :mod:`promptlab.lab.execution.events`, in place of the progress bar.
            keywords: settings, and what is done to the words (:class:`promptlab.api.keywords.RunWords`). ``seeds`` are
                numbers 0 … 2³²−1, or text: ``"0-7"``, ``"random:4"``; of a longer one the lower 32 bits are used.

        Raises:
            InputError: before anything is written: a keyword that there is none of, a value that a setting cannot have,
                or several values of one, which are for :meth:`sweep`.
            EngineError: the run is FAILED; what was made stays.
            KeyboardInterrupt: the run is KILLED; what was made stays.
        """
        if not isinstance(prompts, RunSpec):
            _refuse_parent(parent)
            remembered = {"experiment": experiment, "name": name, "note": note}
            record = run_words(self.lab, prompts, keywords, again=again, watch=watch, remembered=remembered)
            return Run(record=record, lab=self.lab)
        _refuse_beside_spec(keywords)
        with watching(watch) as told:
            return self.lab.run(
                prompts, experiment=experiment or DEFAULT_EXPERIMENT, name=name, note=note, parent=parent, again=again,
                watch=told,
            )  # fmt: skip

    @takes_keywords(RunWords)
    def sweep(
        self,
        prompts: str | Sequence[str] = (),
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> SweepRuns:
        """Make a run for each combination of the settings that have several values, and one overview of all.

        ``lab.sweep("a king", seeds=range(4), steps=[10, 20, 30], scheduler=["euler", "unipc"])``. The arguments are
        those of :meth:`run`; a list is several values, and so is a range as text, ``steps="10-30 (+10)"``.

        Raises:
            InputError: before anything is written; when nothing is varied, among others.
            EngineError: when some runs failed; the others are made.
            KeyboardInterrupt: what was made stays; the same call completes it.
        """
        remembered = {"experiment": experiment, "name": name, "note": note}
        record = sweep_words(self.lab, prompts, keywords, again=again, watch=watch, remembered=remembered)
        return SweepRuns(record=record, lab=self.lab)

    @overload
    def plan(self, prompts: RunSpec | Sequence[RunSpec], *, again: bool = False) -> Plan: ...
    @overload
    def plan(self, prompts: str | Sequence[str] = (), *, again: bool = False, **keywords: Any) -> Plan: ...
    @takes_keywords(RunWords)
    def plan(
        self, prompts: str | Sequence[str] | RunSpec | Sequence[RunSpec] = (), *, again: bool = False, **keywords: Any
    ) -> Plan:
        """Estimate what :meth:`run` or :meth:`sweep` would take: images, seconds, bytes, truncated prompts.

        Loads no weights, and writes nothing.

        Args:
            prompts: as those take them; or a spec, or several.
            again: as if all images were made, also those that exist.
            keywords: as those of :meth:`run`.
        """
        several = [prompts] if isinstance(prompts, str | RunSpec) else prompts
        specs = [each for each in several if isinstance(each, RunSpec)]
        if not specs or len(specs) < len(several):  # a spec among words is refused by name
            return plan_words(self.lab, several, keywords, again=again)  # type: ignore[arg-type]
        _refuse_beside_spec(keywords)
        return self.lab.plan(specs, again=again)

    @overload
    def rerun(
        self,
        source: str | int | Run | Image | RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit,
        changes: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
    ) -> RunRecord: ...
    @overload
    def rerun(
        self,
        source: str | int | Run | Image | RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        changes: Mapping[str, Any],
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
    ) -> RunRecord: ...
    @overload
    def rerun(
        self,
        source: str | int | Run | Image | RunOrImage,
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> Run: ...
    @takes_keywords(RerunWords)
    def rerun(
        self,
        source: str | int | Run | Image | RunOrImage,
        *,
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> RunRecord | Run:
        """Make a run, or one image of it, again with other words, seeds or settings; the rest is inherited.

        ``lab.rerun("last", seed=1, append=", blue on red")``.

        Args:
            source: ``"last"``, a run's number, an image as ``"3/12"`` or ``"3@seed:1"``, a file, or what was returned.
            edit, changes: what is done to the prompts and to fields of the spec, by those who write specs; ``seeds``
                then picks out of the source's own, and the record of the run is returned.
            experiment: that of the source by default.
            name, note, again, watch: as those of :meth:`run`.
            keywords: settings, and what is done to the words (:class:`promptlab.api.keywords.RerunWords`): ``seed``
                keeps some of the source's seeds, ``seeds`` are others.

        Raises:
            NotFound: when there is no such run, image or seed.
            InputError: before anything is written; for several values of a setting, among others.
            EngineError: the run is FAILED; what was made stays.
        """
        found = _named(source)
        if edit is None and changes is None:
            remembered = {"experiment": experiment, "name": name, "note": note}
            record = rerun_words(self.lab, found, keywords, again=again, watch=watch, remembered=remembered)
            return Run(record=record, lab=self.lab)
        seeds = tuple(keywords.pop("seeds", ()))
        _refuse_beside_spec(keywords)
        with watching(watch) as told:
            return self.lab.rerun(
                found, seeds=seeds, edit=edit, changes=changes, experiment=experiment, name=name, note=note,
                again=again, watch=told,
            )  # fmt: skip

    def rerun_spec(
        self,
        source: RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """Return the spec that a rerun of ``source`` by ``edit`` and ``changes`` would run."""
        return self.lab.rerun_spec(source, seeds=seeds, edit=edit, changes=changes)

    def find(self, what: str | int | Run | Image | RunOrImage | RunRecord) -> Run | Image:
        """Find a run or an image, which shows itself in a notebook.

        Args:
            what: as :meth:`rerun` takes it, or a record.

        Raises:
            NotFound, InputError: see :meth:`promptlab.lab.history.history.History.find`.
        """
        if isinstance(what, RunRecord):
            return Run(record=what, lab=self.lab)
        named = _named(what)
        found = self.lab.history.find(named) if isinstance(named, str) else named
        run = Run(record=found.run, lab=self.lab)
        return run if found.position is None else run.images[found.position]

    def runs(self, *, experiment: str | None = None, limit: int | None = None) -> Runs:
        """List the runs of the workspace, newest first; each is looked up when it is asked for.

        Args:
            experiment: only those of this one.
            limit: at most so many.
        """
        return Runs(summaries=self.lab.history.list(experiment=experiment, limit=limit), lab=self.lab)

    def resume(self, ref: str | int | Run | SweepRuns | None = None, *, watch: Watch | None = None) -> tuple[Run, ...]:
        """Make the images that are still owed, exactly as recorded; return the runs that were completed.

        Args:
            ref: a run, or ``"sweep:3"``; by default everything in this workspace that no other process is making.
            watch: as that of :meth:`run`.

        Raises:
            NotFound: when there is no such run or sweep.
            InputError: when a model is not the one it was, or another process is making the run.
        """
        with watching(watch) as told:
            runs = self.lab.resume(None if ref is None else ref_of(ref), watch=told)
        return tuple(Run(record=run, lab=self.lab) for run in runs)

    def run_sweep(self, sweep: Sweep, *, watch: Watch | None = None, **remembered: Any) -> SweepRecord:
        """Make the runs of a sweep that was built by hand; see :meth:`promptlab.lab.Lab.run_sweep`."""
        with watching(watch) as told:
            return self.lab.run_sweep(sweep, watch=told, **remembered)

    def probe(self, spec: RunSpec, *, watch: Watch | None = None, **options: Any) -> ProbeRecord:
        """Measure which batch sizes fit, their seconds and bytes; see :meth:`promptlab.lab.Lab.probe`."""
        with watching(watch) as told:
            return self.lab.probe(spec, watch=told, **options)

    def verify(
        self,
        refs: Named | Sequence[Named] = (),
        *,
        everything: bool = False,
        sample: int | None = None,
        watch: Watch | None = None,
    ) -> tuple[Verdict, ...]:
        """Make images again as recorded, and compare every pixel; see :meth:`promptlab.lab.Lab.verify`."""
        with watching(watch) as told:
            return self.lab.verify([*refs_of(refs)], everything=everything, sample=sample, watch=told)

    def score(
        self,
        refs: Named | Sequence[Named],
        scorers: str | Sequence[str] = "clip",
        *,
        watch: Watch | None = None,
        **options: Any,
    ) -> ScoredImages:
        """Score images by models that predict what people like; see :meth:`promptlab.lab.Lab.score`."""
        with watching(watch) as told:
            by = [scorers] if isinstance(scorers, str) else scorers
            return self.lab.score([*refs_of(refs)], by, watch=told, **options)

    def effect(
        self,
        ref: str | int | Run | Image | SweepRuns,
        *,
        by: str | Sequence[str] = (),
        watch: Watch | None = None,
        **options: Any,
    ) -> PromptEffect | SweepEffect:
        """Measure how much each prompt of a run, or setting of a sweep, changes the image.

        Args:
            ref: a run, or ``sweep:3``.
            by: one setting of the sweep or several; all by default.
            options: see :meth:`promptlab.lab.Lab.effect`.
        """
        with watching(watch) as told:
            return self.lab.effect(ref_of(ref), by=[by] if isinstance(by, str) else by, watch=told, **options)

    def close(self) -> None:
        """Close what recording has opened in this process; a server goes on."""
        from promptlab.lab import Lab

        if isinstance(self.lab, Lab):
            self.lab.close()

    def __repr__(self) -> str:
        return f"<lab of {self.workspace.root}>"


def _named(source: str | int | Run | Image | RunOrImage) -> RunOrImage | str:
    """Return what a lab takes for a run or an image."""
    return ref_of(source) if isinstance(source, str | int | Run | Image) else source


def _refuse_parent(parent: RunRecord | None) -> None:
    if parent is not None:
        raise InputError("parent", parent.id, problem="is for specs", hint="lab.rerun(…)")


def _refuse_beside_spec(keywords: Mapping[str, Any]) -> None:
    if keywords:
        problem = "is said beside a spec, which says everything"
        raise InputError(next(iter(keywords)), problem=problem, hint="spec.vary(…)")
