"""Launches what Python asks for in words: one path, whether a lab is here or behind a server."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptlab.api.keywords import Texts, asked_experiment, asked_rerun, one_run
from promptlab.api.progress import watching
from promptlab.errors import InputError
from promptlab.expand import Experiment
from promptlab.expand.defaults import defaults_line, read_defaults
from promptlab.expand.seeds import noting_shortened, shortened_line
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.line_of_work import DEFAULT_EXPERIMENT
from promptlab.lab.word_hints import word_hints

if TYPE_CHECKING:
    from promptlab.expand import Sweep
    from promptlab.expand.defaults import Defaults
    from promptlab.lab import Lab, RunOrImage
    from promptlab.lab.execution.events import Watch
    from promptlab.plan import Plan
    from promptlab.records import RunRecord, SweepRecord
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.specs import RunSpec

__all__ = ["plan_words", "rerun_words", "run_words", "sweep_words"]


def run_words(
    lab: Lab | RemoteLab,
    prompts: Texts,
    given: Mapping[str, Any],
    *,
    again: bool,
    watch: Watch | None,
    remembered: Mapping[str, str | None],
) -> RunRecord:
    """Make the images of one run.

    Args:
        prompts: templates.
        given, remembered: see :func:`promptlab.api.keywords.asked_experiment`.
        again, watch: see :meth:`promptlab.lab.Lab.run`.
    """
    with noting_shortened() as shortened:
        asked = asked_experiment(prompts, given, call="run", remembered=remembered, defaults=_defaults(lab))
    sweep, parent = _begun_from(lab, one_run(asked), given)
    with watching(watch, _hints(sweep.specs, shortened, asked)) as told:
        return lab.run(
            sweep.cells[0].spec, experiment=asked.experiment or DEFAULT_EXPERIMENT, name=asked.name, note=asked.note,
            parent=parent, again=again, watch=told,
        )  # fmt: skip


def sweep_words(
    lab: Lab | RemoteLab,
    prompts: Texts,
    given: Mapping[str, Any],
    *,
    again: bool,
    watch: Watch | None,
    remembered: Mapping[str, str | None],
) -> SweepRecord:
    """Make a run for each combination of the settings that have several values; as :func:`run_words`.

    Raises:
        InputError: when there is no such setting.
    """
    with noting_shortened() as shortened:
        asked = asked_experiment(prompts, given, call="sweep", remembered=remembered, defaults=_defaults(lab))
    sweep = _sweep_of(asked)
    if not sweep.dimensions:
        raise InputError(
            "sweep", problem="varies nothing", allowed="one or more settings with several values",
            hint="lab.sweep(…, steps=[10, 20])",
        )  # fmt: skip
    sweep, parent = _begun_from(lab, sweep, given)
    with watching(watch, _hints(sweep.specs, shortened, asked)) as told:
        return lab.run_sweep(
            sweep, experiment=asked.experiment or DEFAULT_EXPERIMENT, name=asked.name, note=asked.note, parent=parent,
            again=again, watch=told,
        )  # fmt: skip


def plan_words(lab: Lab | RemoteLab, prompts: Texts, given: Mapping[str, Any], *, again: bool) -> Plan:
    """Estimate what a run or a sweep of the same words would take."""
    with noting_shortened() as shortened:
        asked = asked_experiment(prompts, given, call="plan", defaults=_defaults(lab))
    specs = _sweep_of(asked).specs
    with watching(unwatched, _hints(specs, shortened, asked)):
        return lab.plan(specs, again=again)


def rerun_words(
    lab: Lab | RemoteLab,
    source: RunOrImage | str,
    given: Mapping[str, Any],
    *,
    again: bool,
    watch: Watch | None,
    remembered: Mapping[str, str | None],
) -> RunRecord:
    """Make a run, or one image of it, again with other words, seeds or settings.

    Args:
        source: a name as ``lab.history.find`` takes it, or what that found.
        given: keywords, see :func:`promptlab.api.keywords.asked_rerun`.
        again, watch: see :meth:`promptlab.lab.Lab.rerun`.
        remembered: ``experiment``, ``name`` and ``note``; the experiment is the parent's where it is not named.
    """
    with noting_shortened() as shortened:
        asked = asked_rerun(given)
    found = lab.history.find(source) if isinstance(source, str) else source
    spec = lab.rerun_spec(found, seeds=asked.seeds, edit=asked.edit, changes=asked.changes)
    known = {*word_hints([found.run.spec])}
    hints = (hint for hint in _hints([spec], shortened) if hint not in known)
    with watching(watch, hints) as told:
        return lab.rerun(
            found, seeds=asked.seeds, edit=asked.edit, changes=asked.changes, again=again, watch=told, **remembered
        )


def _sweep_of(asked: Experiment) -> Sweep:
    from promptlab.models import DEFAULT_MODEL

    return asked.sweep(default_model=DEFAULT_MODEL)


def _begun_from(lab: Lab | RemoteLab, sweep: Sweep, given: Mapping[str, Any]) -> tuple[Sweep, RunRecord | None]:
    """Return ``sweep`` and its parent: the run of the picture ``like``, where it was made here."""
    from promptlab.lab.history.experiment_like import begun_from

    picture = given.get("like")
    return begun_from(sweep, None if picture is None else os.fspath(picture), lab.history.find)


def _defaults(lab: Lab | RemoteLab) -> Defaults:
    """Return the defaults of the lab's workspace, read here: also where a server makes the images."""
    return read_defaults(lab.workspace.root)


def _hints(specs: Sequence[RunSpec], shortened: Mapping[int, int], asked: Experiment | None = None) -> Iterator[str]:
    taken = None if asked is None else defaults_line(asked)
    if taken is not None:
        yield taken
    if asked is not None and (asked.workers or asked.cluster):
        yield (
            f"workers and cluster of {asked.file} are for the command line; here PROMPTLAB_WORKERS and "
            "PROMPTLAB_CLUSTER name them before the lab is opened, or Lab(engine=RayEngine(…))"
        )
    for pair in shortened.items():
        yield shortened_line(*pair)
    yield from word_hints(specs)
