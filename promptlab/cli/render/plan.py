"""Renders a plan in the order in which a person asks: what, how much, how long, with which words.

Invariant: nothing is said twice, and no list is longer than a screen, however large the sweep is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from promptlab.cli.render.fit import fit_pairs
from promptlab.cli.render.layout import counted, pairs, table
from promptlab.cli.render.text import change_line, setting_pairs
from promptlab.cli.render.truncation import truncation_lines
from promptlab.expand import Sweep
from promptlab.plan import Plan, PlannedRun
from promptlab.plan.memory import FitReport
from promptlab.records import RunRecord

__all__ = ["plan_lines"]

_MOST: Final = 40
"""Lines of one list."""


def plan_lines(
    plan: Plan, sweep: Sweep | None = None, *, parent: RunRecord | None = None, fit: FitReport | None = None
) -> list[str]:
    """Return a plan as lines.

    Args:
        plan: of one run or more.
        sweep: what it was made of, in the order as written; names the runs.
        parent: what its one run is varied from.
        fit: whether the largest of its runs fits, where that is known.
    """
    single = len(plan.runs) == 1
    lines = [_run_line(plan.runs[0]) if single else _sweep_line(plan, sweep)]
    lines += pairs([*_costs(plan), *([] if fit is None else fit_pairs(fit)), *_common_setting(plan.runs)])
    lines += _variants(plan.runs)
    lines += [f"  {line}" for line in dict.fromkeys(line for run in plan.runs for line in run.resolved.remarks)]
    lines += [f"  {line}" for line in truncation_lines(plan.cut)]
    if not single:
        lines += _runs(plan, sweep)
    if parent is not None:
        spec = plan.runs[0].resolved.spec
        lines += [f"  changed from run {parent.id}:", *(f"    {change_line(each)}" for each in parent.spec.diff(spec))]
    return lines


def _run_line(run: PlannedRun) -> str:
    spec = run.resolved.spec
    shape = f"{counted(len(spec.variants), 'variant')} × {counted(len(spec.seeds), 'seed')}"
    if not run.owed_count:
        return f"would make nothing: {counted(run.images, 'image')} ({shape}) made before"
    of = "" if run.owed_count == run.images else f" of {run.images:,}"
    batches = f"{counted(run.batches, 'batch', 'batches')} of {run.rows}"
    return f"would make {counted(run.owed_count, 'image')}{of}: {shape}, in {batches}"


def _sweep_line(plan: Plan, sweep: Sweep | None) -> str:
    axes = ""
    if sweep is not None and sweep.dimensions:
        groups = (f"{' and '.join(axis.field for axis in axes)} ({len(axes[0].values)})" for axes in sweep.dimensions)
        axes = f": {' × '.join(groups)}"
    runs = f"{counted(len(plan.runs), 'run')}{axes}"
    if not plan.owed:
        return f"would make nothing: {counted(plan.images, 'image')} in {runs}, made before"
    of = "" if plan.owed == plan.images else f" of {plan.images:,}"
    return f"would make {counted(plan.owed, 'image')}{of} in {runs}"


def _costs(plan: Plan) -> list[tuple[str, str | None]]:
    guess = " (a guess: nothing quite like it was made here yet)" if plan.guess else ""
    single = len(plan.runs) == 1
    return [
        ("already there", f"{counted(plan.there, 'image')}, linked" if plan.there else None),
        ("made once", f"{counted(plan.repeated, 'image')} that several runs ask for" if plan.repeated else None),
        ("batches", None if single else f"{plan.batches:,}"),
        ("forwards", f"{plan.forwards:,} of the denoiser" if plan.forwards else None),
        ("model loads", f"{plan.loads:,}"),
        ("order", None if single else f"{plan.order_line} (what takes longest to change, outermost)"),
        ("time", f"about {_duration(plan.seconds)}{guess}" if plan.owed else None),
        ("disk", f"about {_size(plan.bytes)}{guess}" if plan.owed else None),
    ]


def _common_setting(runs: Sequence[PlannedRun]) -> list[tuple[str, str | None]]:
    """Return the settings that all runs have alike."""
    common = _setting(runs[0])
    for run in runs[1:]:
        own = set(_setting(run))
        common = [pair for pair in common if pair in own]
    return common


def _setting(run: PlannedRun) -> list[tuple[str, str | None]]:
    resolved = run.resolved
    return setting_pairs(resolved.spec, resolved.device, resolved.model_identity, resolved.vae_identity)


def _variants(runs: Sequence[PlannedRun]) -> list[str]:
    prompts = list(dict.fromkeys(variant.prompt for run in runs for variant in run.resolved.spec.variants))
    lines = [f"  variant {at}  {prompt}" for at, prompt in enumerate(prompts[:_MOST])]
    return lines + _more(len(prompts))


def _runs(plan: Plan, sweep: Sweep | None) -> list[str]:
    rows = []
    for at, run in enumerate(plan.runs[:_MOST], 1):
        label = "" if sweep is None else sweep.cells[run.original].label
        there = run.images - run.owed_count
        made = counted(run.owed_count, "image") + (f" of {run.images:,}" if there else "")
        rows.append((f"    {at}", label, made))
    return ["  runs, in this order", *table(("    RUN", "SETTING", "TO MAKE"), rows)[1:], *_more(len(plan.runs))]


def _more(count: int) -> list[str]:
    return [f"    … {count - _MOST:,} more"] if count > _MOST else []


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "a second"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours < 48 else f"{hours / 24:,.0f} days"


def _size(size: int) -> str:
    if size < 2**20:
        return f"{size / 2**10:,.0f} KiB"
    return f"{size / 2**20:,.0f} MiB" if size < 10 * 2**30 else f"{size / 2**30:,.1f} GiB"
