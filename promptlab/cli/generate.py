"""Carries out ``run``, ``rerun`` and ``resume``, which make images, and ``plan``, which makes none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from promptlab.cli.cluster import take_workers
from promptlab.cli.completing import complete_refs, complete_runs, complete_seeds
from promptlab.cli.context import allow_pickle_option, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_option, show_run, show_sweep
from promptlab.cli.options import dry_run_option, experiment_options, json_option, record_options, setting_options
from promptlab.cli.output import echo
from promptlab.cli.parse import (
    RunOptions,
    changes_of,
    experiment_of,
    prompt_edit_of,
    seeds_of,
    sweep_of,
    takes_run_options,
)
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.score import check_scores, score_made, score_option
from promptlab.cli.warm import (
    may_refuse_early,
    open_lookup_lab,
    open_planning_lab,
    open_warm_lab,
    refuse_early,
    server_option,
    server_options,
)
from promptlab.errors import InputError
from promptlab.expand.seeds import noting_shortened, shortened_line
from promptlab.records.scorers import parse_scorers

if TYPE_CHECKING:
    from promptlab.expand import Experiment, Sweep
    from promptlab.lab import Lab, PromptEdit, RunOrImage
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.records import RunRecord, SweepRecord
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.specs import RunSpec

__all__ = ["plan", "rerun", "resume", "run"]

_ANY_WORDS: Final = ("a photograph",)
"""Stands for the words of a plan without any: memory does not depend on them."""

_SYNTAX: Final = re.compile(r"[()<>\[\]{}|+_]|--|^-|-$|>-")
"""Matches signs without which no text has a syntax of its own; see :mod:`promptlab.lab.word_hints`."""


@click.command()
@experiment_options
@setting_options
@record_options
@tracking_option
@server_options
@show_option
@score_option
@dry_run_option
@json_option("The run's record, or the sweep's,")
@takes_run_options
def run(options: RunOptions, as_json: bool) -> None:
    """Make a grid: every PROMPT (a row) at every seed (a column), under one setting.

    Without --model it uses the small model that ships with PromptLab, which needs no network and no GPU.
    In a PROMPT, {a|b||c} stands for one prompt each; a brace that is meant is written \\{.
    A setting with several values, --steps 10-30 (+10) or typed several times, makes a sweep: a run for each
    combination. Options override the file. What was made before is linked, not made again.

    \b
    promptlab run "portrait photo of a old warrior chief" --seeds 0-7
    promptlab run "a {red|blue} fox" --seeds random:4 --scheduler dpmsolver++ --steps 20
    promptlab run "a fox" --seeds 0-3 --scheduler euler --scheduler unipc --dtype float32 --dtype bfloat16
    promptlab run -f warrior.yaml --steps 30
    """
    with noting_shortened() as shortened:
        experiment = experiment_of(options)
    take_workers(experiment.workers, experiment.cluster, file=experiment.file)
    sweep = sweep_of(experiment)
    refuse_early(sweep.specs)
    hints = _hints(options, experiment, sweep, shortened)
    if options.dry_run:
        parse_scorers(options.scores)
        _say_plan(options, sweep, hints, as_json=as_json)
        return
    check_scores(options.scores)
    from promptlab.lab import DEFAULT_EXPERIMENT
    from promptlab.lab.history.experiment_like import begun_from

    lab = open_warm_lab(options.workspace, options.tracking_uri)
    line_of_work = experiment.experiment or DEFAULT_EXPERIMENT
    name, note, again = experiment.name, experiment.note, options.again
    sweep, parent = begun_from(sweep, options.like, lab.history.find)
    record: RunRecord | SweepRecord
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri, hints=hints) as progress:
        if len(sweep.cells) == 1:
            record = lab.run(
                sweep.cells[0].spec, experiment=line_of_work, name=name, note=note, parent=parent, again=again,
                watch=progress,
            )  # fmt: skip
        else:
            record = lab.run_sweep(
                sweep, experiment=line_of_work, name=name, note=note, parent=parent, again=again, watch=progress
            )
        ref = str(record.id) if len(sweep.cells) == 1 else f"sweep:{record.id}"
        scored = score_made(lab, ref, options, progress)
    _say_made(lab, record, progress, scored, show=options.show, as_json=as_json)


def _say_made(
    lab: Lab | RemoteLab,
    record: RunRecord | SweepRecord,
    progress: ProgressDisplay,
    scored: ScoredImages | None,
    *,
    show: bool | None,
    as_json: bool,
) -> None:
    """Say what was made, and show its grid; or print its record."""
    from promptlab.cli.render.run_results import run_lines, sweep_lines
    from promptlab.cli.render.scores import score_summary
    from promptlab.records import RunRecord, plain

    if scored is not None and isinstance(record, RunRecord):
        (record,) = scored.runs

    workspace, of_run = lab.workspace, isinstance(record, RunRecord)
    grid = workspace.grid(record.id) if of_run else workspace.sweep_grid(record.id, 1)
    if as_json:
        echo(_json({"run" if of_run else "sweep": plain(record), "grid": str(grid)}))
        return
    if isinstance(record, RunRecord):
        lines = run_lines(record, workspace, reused=record.id not in progress.began)
        show_run(record, workspace, show)
    else:
        lines = sweep_lines(record, lab.history.list(), workspace, new=progress.made)
        show_sweep(lab, record.id, [one.run_id for one in record.runs], workspace, show)
    lines += [] if scored is None else score_summary(scored)
    echo("\n".join(lines))


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


@click.command()
@experiment_options
@setting_options
@record_options
@server_option
@json_option("The plan")
@takes_run_options
def plan(options: RunOptions, as_json: bool) -> None:
    """Say what run would make, with the same options: runs, images, time, disk, memory. Makes nothing.

    Without a PROMPT it says whether the model will run here, and with which options it would. Nothing is downloaded.

    \b
    promptlab plan "a fox" --seeds 0-63 --steps 20
    promptlab plan --model black-forest-labs/FLUX.1-dev
    """
    wordless = not (options.prompts or options.file or options.like or options.prompts_file)
    with noting_shortened() as shortened:
        experiment = experiment_of(replace(options, prompts=_ANY_WORDS) if wordless else options)
        sweep = sweep_of(experiment)
    refuse_early(sweep.specs)
    hints = _taken(experiment) if wordless else _hints(options, experiment, sweep, shortened)
    _say_plan(options, sweep, hints, as_json=as_json, only_fit=wordless)


def _hints(options: RunOptions, experiment: Experiment, sweep: Sweep, shortened: Mapping[int, int]) -> list[str]:
    """Return what is odd about what was typed, and which defaults were taken for what was not."""
    from promptlab.cli.render.prompt_hints import prompt_hints

    return [*_taken(experiment), *prompt_hints(options.prompts, sweep.specs, shortened)]


def _taken(experiment: Experiment) -> list[str]:
    from promptlab.expand.defaults import defaults_line

    line = defaults_line(experiment)
    return [] if line is None else [line]


def _say_plan(
    options: RunOptions, sweep: Sweep, hints: Sequence[str], *, as_json: bool, only_fit: bool = False
) -> None:
    from promptlab.cli.fitting import fit_of
    from promptlab.cli.render.fit import fit_lines
    from promptlab.cli.render.plan import plan_lines
    from promptlab.cli.render.plan_json import plan_json
    from promptlab.specs import AUTO

    planned = open_planning_lab(options.workspace).plan(sweep.specs, again=options.again)
    fit = fit_of([run.resolved for run in planned.runs])
    if as_json:
        echo(_json(plan_json(planned, sweep, fit)))
    elif only_fit:
        model = planned.runs[0].resolved.spec.pipeline.model
        echo("\n".join([f"{model}: its sizes are not told"] if fit is None else fit_lines(model, fit)))
    else:
        echo("\n".join(plan_lines(planned, sweep, fit=fit)))
    if any(spec.batch_size == AUTO for spec in sweep.specs):
        echo("  batch size auto: run tries out how many fit; this plan counts with the default", err=as_json)
    for hint in hints:
        echo(f"promptlab: {hint}", err=True)


@click.command()
@click.argument("source", metavar="RUN|last|IMAGE.png", shell_complete=complete_refs)
@click.option(
    "--seed",
    "kept_seeds",
    multiple=True,
    metavar="SEEDS",
    shell_complete=complete_seeds,
    help="Keep only these of the parent's seeds.",
)
@click.option("--seeds", multiple=True, metavar="SEEDS", help="Other seeds than the parent's.")
@click.option("--prompt", "prompts", multiple=True, metavar="TEXT", help="Other words; several are several rows.")
@click.option("--append", multiple=True, metavar="TEXT", help="Words after every prompt; several are joined.")
@click.option("--prepend", multiple=True, metavar="TEXT", help="Words before every prompt; several are joined.")
@click.option("--replace", multiple=True, metavar="OLD=>NEW", help="Other words in place; {a|b||c} gives a row each.")
@setting_options
@record_options
@tracking_option
@server_options
@show_option
@score_option
@dry_run_option
@json_option("The run's record")
@takes_run_options
def rerun(options: RunOptions, source: str, as_json: bool) -> None:
    """Make a run, or one picture of it, again with other words, seeds or settings.

    What is not named is inherited. The new run remembers where it came from and what changed.

    \b
    promptlab rerun last --seed 1 --replace "a old=>{the oldest|a old|a|a young}"
    promptlab rerun 3/12 --append ", hard rim lighting" --steps 50
    promptlab rerun images/00003/v00-seed1.png --scheduler unipc
    """
    with noting_shortened() as shortened:
        kept, others = seeds_of(options.kept_seeds, what="--seed"), seeds_of(options.seeds, what="--seeds")
        changed = changes_of(options)
    if kept is not None and others is not None:
        raise InputError("--seeds", problem="is said beside --seed", allowed="--seed to keep, or --seeds for others")
    seeds, edit = kept or (), prompt_edit_of(options)
    changes = changed | ({} if others is None else {"seeds": others})
    if changes:
        _refuse_early(options, source, seeds, edit, changes)
    hints = [shortened_line(*pair) for pair in shortened.items()]
    if options.dry_run:
        parse_scorers(options.scores)
        _say_rerun(options, source, seeds, edit, changes, hints, as_json=as_json)
        return
    check_scores(options.scores)
    lab = open_warm_lab(options.workspace, options.tracking_uri)
    if "weighting" in changes or "model" in changes or _may_be_odd(edit):
        parent = lab.history.find(source)
        hints += _new_hints(parent, lab.rerun_spec(parent, seeds=seeds, edit=edit, changes=changes))
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri, hints=hints) as progress:
        record = lab.rerun(
            source, seeds=seeds, edit=edit, changes=changes, experiment=options.experiment, name=options.name,
            note=options.note, again=options.again, watch=progress,
        )  # fmt: skip
        scored = score_made(lab, str(record.id), options, progress)
    _say_made(lab, record, progress, scored, show=options.show, as_json=as_json)


def _say_rerun(
    options: RunOptions,
    source: str,
    seeds: tuple[int, ...],
    edit: PromptEdit,
    changes: Mapping[str, Any],
    hints: Sequence[str],
    *,
    as_json: bool,
) -> None:
    from promptlab.cli.render.plan import plan_lines
    from promptlab.cli.render.plan_json import plan_json

    lab = open_planning_lab(options.workspace, options.tracking_uri)
    parent = lab.history.find(source)
    spec = lab.rerun_spec(parent, seeds=seeds, edit=edit, changes=changes)
    planned = lab.plan([spec], again=options.again)
    echo(_json(plan_json(planned)) if as_json else "\n".join(plan_lines(planned, parent=parent.run)))
    for hint in (*hints, *_new_hints(parent, spec)):
        echo(f"promptlab: {hint}", err=True)


def _may_be_odd(edit: PromptEdit) -> bool:
    """Tell whether words may have a syntax, or mean nothing, alone or with what they are put to."""
    from promptlab.models.vocabulary import without_known_words

    words = [*edit.prompts, *edit.append, *edit.prepend, *edit.replace, *filter(None, [edit.negative_prompt])]
    return any(map(_SYNTAX.search, words)) or bool(without_known_words(words))


def _new_hints(parent: RunOrImage, spec: RunSpec) -> list[str]:
    """Return what is odd about the words of a rerun, and was not about its parent's."""
    from promptlab.lab.word_hints import word_hints

    known = set(word_hints([parent.run.spec]))
    return [hint for hint in word_hints([spec]) if hint not in known]


def _refuse_early(
    options: RunOptions, source: str, seeds: tuple[int, ...], edit: PromptEdit, changes: Mapping[str, Any]
) -> None:
    """Refuse settings that the parent's model cannot have, before anything is started for them."""
    if not may_refuse_early():
        return
    lab = open_lookup_lab(options.workspace, options.tracking_uri)
    refuse_early([lab.rerun_spec(lab.history.find(source), seeds=seeds, edit=edit, changes=changes)])


@click.command()
@click.argument("ref", required=False, metavar="[RUN|last|sweep:N]", shell_complete=complete_runs)
@workspace_options
@tracking_option
@server_options
@allow_pickle_option
@show_option
@json_option("The records of the runs that were completed")
def resume(ref: str | None, workspace: str | None, tracking_uri: str | None, show: bool | None, as_json: bool) -> None:
    """Make what a stopped or failed run, or sweep, still owes; without a name, whatever is owed.

    \b
    promptlab resume
    promptlab resume 7
    promptlab resume sweep:3
    """
    if ref is not None and not re.fullmatch(r"last|(sweep:)?\d{1,9}", ref):
        raise InputError(
            "RUN", ref, problem="names no run and no sweep", allowed="a run's number, last, or sweep:N",
            hint="promptlab list",
        )  # fmt: skip
    lab = open_warm_lab(workspace, tracking_uri)
    resuming = None if ref == "last" else ref or ""
    with ProgressDisplay(lab.workspace, resuming=resuming, tracking_uri=lab.tracking_uri) as progress:
        runs = lab.resume(ref, watch=progress)
    from promptlab.cli.render.run_results import run_lines, runs_lines
    from promptlab.records import plain

    if as_json:
        echo(_json({"runs": [plain(run) for run in runs]}))
    elif not runs:
        echo("nothing is owed: " + (f"{ref} has all its images" if ref else "every run has all its images"))
    elif len(runs) == 1:
        show_run(runs[0], lab.workspace, show)
        echo("\n".join(run_lines(runs[0], lab.workspace)))
    else:
        if runs[0].sweep_id is not None and {run.sweep_id for run in runs} == {runs[0].sweep_id}:
            show_sweep(lab, runs[0].sweep_id, [run.id for run in runs], lab.workspace, show)
        echo("\n".join(runs_lines(runs, lab.workspace)))
