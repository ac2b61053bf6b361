"""Launches runs and sweeps, and resumes what was left: one path by which images come to be.

A run is in the notebook, and locked, before its first image is made; so whatever happens then, it can be resumed. A run
or sweep that is requested again is completed, not begun anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from promptlab.errors import EngineError, InputError, one_line
from promptlab.lab.context import LabContext
from promptlab.lab.execution.active_run import RunJob
from promptlab.lab.execution.events import (
    DefaultsChosen,
    PromptsTruncated,
    RunReused,
    SweepCutShort,
    SweepStarted,
    Watch,
)
from promptlab.lab.execution.preflight import begin_sweep
from promptlab.lab.execution.publisher import remove_leftovers
from promptlab.lab.execution.weights import as_recorded
from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs
from promptlab.plan import ResolvedSpec, TruncatedPrompt, requests_of
from promptlab.records import RunRecord, SweepRecord, TruncatedText
from promptlab.specs import AUTO, RunSpec

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.execution.runner import RunOutcome

__all__ = ["launch_run", "launch_sweep", "resume"]


def launch_run(
    context: LabContext,
    spec: RunSpec,
    *,
    experiment: str,
    name: str | None,
    note: str | None,
    parent: RunRecord | None,
    again: bool,
    watch: Watch,
) -> RunRecord:
    """Begin a run, or take up the same one, and make its images; see :meth:`promptlab.lab.Lab.run`."""
    context.check()
    context.start_recorder()
    (resolved,) = context.resolve((spec,))
    if spec.batch_size == AUTO:
        (resolved,) = context.resolve(_with_batch_sizes(context, (spec,), watch))
    _report_defaults((resolved,), watch)
    truncated = _report_truncated(context, (resolved,), watch)
    requests = requests_of(resolved)
    with context.locks.beginning():
        same = None
        if not again and name is None and note is None:
            keys = [request.recipe_key for request in requests]
            same = context.notebook.same_run(keys, resolved.environment, experiment)
        if same is None or context.locks.busy(same):
            same = None
            run = context.notebook.begin_run(
                resolved, requests, environment=resolved.environment, experiment=experiment, name=name, note=note,
                parent=parent,
            )  # fmt: skip
            context.locks.take(run)
            _store_truncated(context, run, truncated)
    if same is not None:
        return _complete(context, [context.notebook.run(same)], watch, resolved=[resolved])[0]
    outcomes = context.runner(watch).execute([RunJob(run=run, resolved=resolved, parent=parent, again=again)])
    _raise_failures(outcomes, of=1, alone=True)
    return outcomes[0].run


def launch_sweep(
    context: LabContext,
    sweep: Sweep,
    *,
    experiment: str,
    name: str | None,
    note: str | None,
    parent: RunRecord | None,
    again: bool,
    watch: Watch,
) -> SweepRecord:
    """Begin a sweep, or take up the same one, and make its images; as ``Lab.run_sweep``."""
    context.check()
    context.start_recorder()
    if any(spec.batch_size == AUTO for spec in sweep.specs):
        context.resolve(sweep.specs)  # what is wrong is said before anything is tried out
        specs = _with_batch_sizes(context, sweep.specs, watch)
        cells = zip(sweep.cells, specs, strict=True)
        sweep = replace(sweep, cells=tuple(replace(cell, spec=spec) for cell, spec in cells))
    with context.locks.beginning():
        begun = begin_sweep(
            context.engine, context.notebook, sweep, permissions=context.permissions,
            experiment=experiment, name=name, note=note, again=again, parent=parent,
        )  # fmt: skip
        context.locks.take_sweep(begun.id)
    resolved = context.resolve(sweep.specs)
    _report_defaults(resolved, watch)
    _report_truncated(context, resolved, watch)
    watch(SweepStarted(sweep_id=begun.id, runs=len(begun.runs), images=sweep.image_count))
    return _complete_sweep(context, begun, again=again, watch=watch)


def resume(context: LabContext, ref: str | None, *, watch: Watch) -> tuple[RunRecord, ...]:
    """Make what is still owed; see :meth:`promptlab.lab.Lab.resume`."""
    if not context.database.is_begun:
        return ()
    context.start_recorder()
    notebook, existing = context.notebook, context.existing_images
    if ref is not None and (sweep_id := find_sweep(ref, context)) is not None:
        return _resume_sweep(context, sweep_id, watch)
    if ref is not None:
        run = find_run_or_image(ref, context).run
        if not existing.is_whole(run):
            if run.origin is not None and run.is_foreign:
                problem = f"was made by {run.origin.program}, and its picture is gone"
                raise InputError("run", run.id, problem=problem, hint="promptlab import FILE")
            return _complete(context, [run], watch)
        if not context.locks.busy(run.id):
            _publish_left(context, [run], watch)
        return ()
    owing = notebook.unfinished()
    unfinished = [run_id for run_id in owing if not context.locks.busy(run_id)]
    owed = [run for run in map(notebook.run, unfinished) if not run.is_foreign]  # which no engine makes
    completed = _complete(context, owed, watch)
    left = _publish_left(context, notebook.runs(_left_unpublished(context, without=owing)), watch)
    for sweep_id in dict.fromkeys(run.sweep_id for run in (*completed, *left) if run.sweep_id is not None):
        _publish_sweep(context, sweep_id, watch)
    for sweep_id, runs in context.cut_short_sweeps().items():
        watch(SweepCutShort(sweep_id=sweep_id, runs=runs))
    return completed


def _resume_sweep(context: LabContext, sweep_id: int, watch: Watch) -> tuple[RunRecord, ...]:
    """Make what those runs of a sweep owe that are written; say so where these are not all."""
    sweep = find_sweep_runs(sweep_id, context)
    run_ids = [one.run_id for one in sweep.runs]
    owing = [run.id for run in context.notebook.runs(run_ids) if not context.existing_images.is_whole(run)]
    watch(SweepStarted(sweep_id=sweep.id, runs=len(owing), images=0))
    _complete_sweep(context, sweep, again=False, watch=watch)
    for runs in context.cut_short_sweeps(sweep_id).values():
        watch(SweepCutShort(sweep_id=sweep_id, runs=runs))
    return context.notebook.runs(owing)


def _with_batch_sizes(context: LabContext, specs: Sequence[RunSpec], watch: Watch) -> tuple[RunSpec, ...]:
    """Return the specs with the largest batch size that fits, in place of ``auto``."""
    from promptlab.lab.maintenance.batch_size_probe import Prober

    return Prober(context.engine, context.notebook, watch, permissions=context.permissions).settled(specs)


def _report_defaults(resolved: Sequence[ResolvedSpec], watch: Watch) -> None:
    lines = tuple(dict.fromkeys(line for each in resolved for line in each.remarks))
    if lines:
        watch(DefaultsChosen(lines=lines))


def _report_truncated(
    context: LabContext, resolved: Sequence[ResolvedSpec], watch: Watch
) -> tuple[TruncatedPrompt, ...]:
    with suppress(EngineError):  # a tokenizer that will not load is the engine's to say, with the weights
        if truncated := context.truncated_prompts(resolved):
            watch(PromptsTruncated(prompts=truncated))
            return truncated
    return ()


def _store_truncated(context: LabContext, run: RunRecord, truncated: Sequence[TruncatedPrompt]) -> None:
    if truncated:
        texts = [TruncatedText(prompt=each.prompt, encoder=each.encoder, words=each.words) for each in truncated]
        context.notebook.add_truncated_texts(run.id, texts)


def _complete(
    context: LabContext,
    runs: Sequence[RunRecord],
    watch: Watch,
    *,
    resolved: Sequence[ResolvedSpec] | None = None,
) -> tuple[RunRecord, ...]:
    """Complete runs that are in the notebook, together; those that are whole are returned as they are.

    Args:
        resolved: of each run; resolved as it was recorded where not given.

    Raises:
        EngineError: when some failed; the others are made.
    """
    whole = {run.id for run in runs if context.existing_images.is_whole(run)}
    owing = [(place, run) for place, run in enumerate(runs) if run.id not in whole]
    for run_id in whole:
        watch(RunReused(run_id=run_id))
    _publish_left(context, [run for run in runs if run.id in whole], watch)
    given = _as_recorded(context, runs) if resolved is None else resolved
    jobs = _jobs(context, [run for _, run in owing], [given[place] for place, _ in owing])
    context.notebook.mark_requested([run.id for run in runs])
    outcomes = context.runner(watch).execute(jobs) if jobs else ()
    _raise_failures(outcomes, of=len(runs), alone=len(runs) == 1)
    made = {outcome.run.id: outcome.run for outcome in outcomes}
    return tuple(made.get(run.id) or context.notebook.run(run.id) for run in runs)


def _complete_sweep(context: LabContext, sweep: SweepRecord, *, again: bool, watch: Watch) -> SweepRecord:
    """Complete every run of the sweep that is not whole; one that fails does not take the others along.

    Raises:
        InputError: when another process is making it.
    """
    notebook = context.notebook
    with context.locks.sweep_held(sweep.id):
        runs = notebook.runs([one.run_id for one in sweep.runs])
        notebook.mark_requested([run.id for run in runs])
        owing = [run for run in runs if again or not context.existing_images.is_whole(run)]
        if not again:
            owed = {run.id for run in owing}
            _publish_left(context, [run for run in runs if run.id not in owed], watch)
        if not owing and sweep.tracked_at is not None:
            return sweep
        jobs = _jobs(context, owing, _as_recorded(context, owing), again=again)
        for job in jobs:
            with suppress(EngineError):
                _store_truncated(context, job.run, context.truncated_prompts((job.resolved,)))
        outcomes = context.runner(watch).execute(jobs) if jobs else ()
        published = _publish_sweep(context, sweep.id, watch)
        _raise_failures(outcomes, of=len(sweep.runs))
        return published


def _publish_sweep(context: LabContext, sweep_id: int, watch: Watch) -> SweepRecord:
    """Publish a sweep, unless it was cut short: MLflow would keep the axes of what is there for good."""
    sweep = context.notebook.sweep(sweep_id)
    if context.cut_short_sweeps(sweep_id):
        return sweep
    remove_leftovers(context.workspace.sweep_folder(sweep_id))
    return context.publisher.publish_sweep(sweep, watch)


def _left_unpublished(context: LabContext, *, without: Sequence[int]) -> list[int]:
    """Return the runs that ended and that nobody publishes, though MLflow knows nothing of them."""
    untracked = sorted(set(context.notebook.untracked()).difference(without))
    return [one for one in untracked if not context.publisher.is_published(one) and not context.locks.busy(one)]


def _publish_left(context: LabContext, runs: Sequence[RunRecord], watch: Watch) -> list[RunRecord]:
    """Publish those of ``runs``, all made, whose process was killed before it came to that; return them."""
    left = [run for run in runs if not context.publisher.is_published(run.id)]
    for run in left:  # each locked for itself: there may be more than a process may open
        with context.locks.held([run]):
            remove_leftovers(context.workspace.run_folder(run.id))
            context.publisher.publish_run(run, watch)
    return left


def _jobs(
    context: LabContext, runs: Sequence[RunRecord], resolved: Sequence[ResolvedSpec], *, again: bool = False
) -> list[RunJob]:
    parents = {run.parent_run_id: context.notebook.run(run.parent_run_id) for run in runs if run.parent_run_id}
    return [
        RunJob(run=run, resolved=one, parent=parents.get(run.parent_run_id or 0), again=again)
        for run, one in zip(runs, resolved, strict=True)
    ]


def _as_recorded(context: LabContext, runs: Sequence[RunRecord]) -> list[ResolvedSpec]:
    """Resolve the runs' specs here and now, to the very weights that they were begun with.

    Raises:
        InputError: when a model changed under its name.
    """
    context.check()
    return as_recorded(context.engine, runs, permissions=context.permissions)


def _raise_failures(outcomes: Sequence[RunOutcome], *, of: int, alone: bool = False) -> None:
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    if failures:
        raise failures[0] if alone else EngineError(f"{len(failures)} of {of} runs failed: {one_line(failures[0])}")
