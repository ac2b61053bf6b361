"""Measures and draws effects: of the wordings of a run, of the settings of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, one_line, ref_value
from promptlab.images.effect_plot import Bar, Bars, draw_effect, save_effect
from promptlab.images.png import write_atomically
from promptlab.lab.context import LabContext
from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs
from promptlab.lab.preferences.group_distances import Measurements, measure_groups
from promptlab.lab.preferences.picture_groups import asked_dimensions, axis_name, group_by_axis, group_by_wording
from promptlab.lab.preferences.prompt_effect import (
    MIN_SEEDS,
    Estimate,
    PromptEffect,
    SettingEffect,
    SweepEffect,
    effect_in_words,
)
from promptlab.records import RunRecord, plain
from promptlab.tracking.measures import measures_json

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["estimate_text", "label_of", "measure_effect", "metrics_of"]

MAX_PLOTTED_PAIRS: Final = 28
"""Pairs that a plot has room for: of eight prompts."""


def measure_effect(
    context: LabContext,
    ref: str,
    by: Sequence[str] = (),
    *,
    clip_model: str | None = None,
    score: bool = False,
    device: str | None = None,
) -> PromptEffect | SweepEffect:
    """Measure the effect of what ``ref`` names and draw its plot.

    Args: those of :meth:`promptlab.lab.Lab.effect`.

    Raises:
        NotFound, InputError: when there is no such run or sweep, or too little to compare; when an image file is gone,
            or the CLIP model is none.
        EngineError: when the CLIP model would not load.
        StoreError: when the plot cannot be written.
    """
    measured = partial(
        measure_groups, workspace=context.workspace, engine=lambda: context.engine, clip_model=clip_model, score=score,
        device=device,
    )  # fmt: skip
    sweep_id = find_sweep(ref, context)
    if sweep_id is None:
        run = find_run_or_image(ref, context).run
        if by and run.sweep_id is None:
            hint = f"promptlab rerun {run.id} {ref_value(by[0], 'A')} {ref_value(by[0], 'B')}"
            raise InputError("run", run.id, problem="is no part of a sweep", allowed="a run of a sweep", hint=hint)
        if not by and (len(run.variants) > 1 or run.sweep_id is None):
            return _of_run(run, measured(group_by_wording(run)), context, clip_model)
        sweep_id = run.sweep_id
    return _of_sweep(sweep_id or 0, by, measured, context, clip_model)


def _of_run(run: RunRecord, measured: Measurements, context: LabContext, clip_model: str | None) -> PromptEffect:
    """Return the effect of the wordings of ``run``; its plot and figures are put beside the images."""
    found = PromptEffect(
        run_id=run.id, seeds=measured.seeds, measured=measured.effects, scores=measured.scores, clip_model=clip_model
    )
    path = context.workspace.effect(run.id)
    text = measures_json(run, metrics_of(found), plain(found))
    title = " · ".join(part for part in (f"Run {run.id}", run.name, run.experiment, "what the words do") if part)
    names = [label_of(run, one.position, limit=160) for one in run.variants]
    save_effect(_plot(found, title, names, ("wording", "wordings")), path)
    write_atomically(path.with_suffix(".json"), text.encode())
    return found


def _of_sweep(
    sweep_id: int, by: Sequence[str], measured: partial[Measurements], context: LabContext, clip_model: str | None
) -> SweepEffect:
    """Return the effects of the settings of a sweep; plots are put beside its overview."""
    sweep = find_sweep_runs(sweep_id, context)
    runs = {one.run_id: context.notebook.run(one.run_id) for one in sweep.runs}
    settings: list[SettingEffect] = []
    refused: list[InputError] = []
    for dimension in asked_dimensions(sweep, by):
        name = axis_name(sweep.dimensions[dimension])
        try:
            grouped = group_by_axis(sweep, runs, dimension)
            told = measured(grouped, what=name, psnr=True)
        except InputError as error:
            if by or error.field != "sweep":
                raise
            refused.append(error)
            continue
        found = SettingEffect(
            name=name, values=tuple(one.name for one in grouped.groups), seeds=told.seeds,
            circumstances=grouped.circumstances, measured=told.effects, scores=told.scores, clip_model=clip_model,
        )  # fmt: skip
        title = " · ".join(part for part in (f"Sweep {sweep.id}", sweep.name, sweep.experiment, f"what {name} does")
                           if part)  # fmt: skip
        plot = _plot(found, title, found.values, (f"value of {name}", f"values of {name}"))
        save_effect(plot, context.workspace.sweep_effect(sweep.id, name))
        settings.append(found)
    if not settings:
        raise refused[0]
    return SweepEffect(sweep_id=sweep.id, settings=tuple(settings), left_out=tuple(map(str, refused)))


def metrics_of(effect: PromptEffect) -> dict[int, dict[str, float]]:
    """Return MLflow's metrics by variant: ``effect``, ``clip_effect``, each with ``_low`` and ``_high``."""
    found: dict[int, dict[str, float]] = {}
    for measured in effect.measured:
        name = "effect" if measured.kind == "pixels" else f"{measured.kind}_effect"
        for one in measured.wordings:
            values = {name: one.effect.value, f"{name}_low": one.effect.low, f"{name}_high": one.effect.high}
            held = found.setdefault(one.position, {})
            held.update({key: value for key, value in values.items() if value is not None})
    for position, score in enumerate(effect.scores):
        found[position]["clip_score"] = score
    return found


def label_of(run: RunRecord, position: int, *, limit: int = 60) -> str:
    """Return a short label for a prompt."""
    variant = run.variants[position].variant
    return one_line(variant.label or variant.prompt or "(empty prompt)", limit=limit)


def estimate_text(effect: Estimate) -> str:
    """Format an effect with its interval: ``0.42 (0.31 to 0.55)``."""
    if effect.value is None:
        return "-"
    if effect.low is None or effect.high is None:
        return f"{effect.value:.2f}"
    return f"{effect.value:.2f} ({effect.low:.2f} to {effect.high:.2f})"


def _plot(found: PromptEffect | SettingEffect, title: str, names: Sequence[str], noun: tuple[str, str]) -> Image:
    one, several = noun
    facts = [
        f"How far two {several} lie apart at one seed, against how far two seeds lie apart under one {one}.",
        f"{len(found.seeds)} seeds"
        + (", with the interval of a bootstrap over them" if len(found.seeds) >= MIN_SEEDS else
           f"; fewer than {MIN_SEEDS} say nothing about how sure that is"),
    ]  # fmt: skip
    kinds = {"pixels": "pixels, from a step away", "clip": f"CLIP ({found.clip_model})"}
    rows = [Bars(label=f"Each {one} against the others")]
    scores, (pixels, *_) = found.scores, found.measured
    for at, (name, each) in enumerate(zip(names, pixels.wordings, strict=True)):
        label = one_line(name, limit=160) + (f"\nCLIP score {scores[at]:.1f}" if scores else "")
        label += "" if each.psnr is None else f"\nPSNR {each.psnr:.1f} dB"
        rows.append(Bars(label=label, bars=_bars([kind.wordings[at].effect for kind in found.measured])))
    if 1 < len(pixels.pairs) <= MAX_PLOTTED_PAIRS:
        rows.append(Bars(label=f"Two {several} against each other"))
        for at, pair in enumerate(pixels.pairs):
            label = "\n".join(one_line(names[place], limit=60) for place in (pair.before, pair.after))
            label += "" if pair.psnr is None else f"\nPSNR {pair.psnr:.1f} dB"
            rows.append(Bars(label=label, bars=_bars([kind.pairs[at].effect for kind in found.measured])))
    return draw_effect(title=title, facts=facts, kinds=[kinds[each.kind] for each in found.measured], rows=rows)


def _bars(estimates: Sequence[Estimate]) -> tuple[Bar, ...]:
    return tuple(
        Bar(value=one.value, low=one.low, high=one.high, text=f"{estimate_text(one)} · {effect_in_words(one)}")
        for one in estimates
    )
