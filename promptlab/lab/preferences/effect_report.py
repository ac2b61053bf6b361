"""Measures the prompt effect of a run from its image files; writes plot and figures beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.engine import Engine
from promptlab.errors import InputError, one_line
from promptlab.images.effect_plot import Bar, Bars, draw_effect, save_effect
from promptlab.images.png import read_pixels, write_atomically
from promptlab.lab.preferences.prompt_effect import (
    MIN_SEEDS,
    Estimate,
    PromptEffect,
    comparable_seeds,
    effect_in_words,
    measure,
    pairwise_distances,
    perceptual_vectors,
)
from promptlab.records import RunRecord, plain
from promptlab.records.scorers import clip_score
from promptlab.tracking.measures import measures_json
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["estimate_text", "label_of", "measure_run", "metrics_of", "save_effect_report"]

MAX_PLOTTED_PAIRS: Final = 28
"""Pairs that a plot has room for: of eight prompts."""


def measure_run(
    run: RunRecord,
    workspace: Workspace,
    engine: Callable[[], Engine],
    *,
    clip_model: str | None = None,
    score: bool = False,
    device: str | None = None,
) -> PromptEffect:
    """Measure the prompt effect of ``run``; see :mod:`promptlab.lab.preferences.prompt_effect`.

    Raises:
        InputError: when there is too little to compare, an image file is gone, or the CLIP model is none.
        EngineError: when the CLIP model would not load.
    """
    seeds = comparable_seeds(run)
    pictures = _pictures(run, workspace, seeds)
    shapes = {one.shape for row in pictures for one in row}
    if len(shapes) > 1:
        raise InputError("run", run.id, problem="has pictures of several sizes", allowed="pictures of one size")
    measured = [measure("pixels", *pairwise_distances(perceptual_vectors(pictures)))]
    if clip_model is None:
        return PromptEffect(run_id=run.id, seeds=seeds, measured=tuple(measured))
    prompts = [one.variant.prompt for one in run.variants] if score else []
    flat = [one for row in pictures for one in row]
    embedded = engine().clip(clip_model, images=flat, prompts=prompts, device=device)
    directions = embedded.images.astype("float64").reshape(len(pictures), len(seeds), -1)
    words, seed = pairwise_distances(directions)
    measured.append(measure("clip", words**2 / 2, seed**2 / 2))  # of directions of length 1, that is 1 - cos
    scores: tuple[float, ...] = ()
    if score:
        cosines = (directions * embedded.prompts.astype("float64")[:, None, :]).sum(axis=-1)
        scores = tuple(sum(map(clip_score, row)) / len(row) for row in cosines.tolist())
    return PromptEffect(run_id=run.id, seeds=seeds, measured=tuple(measured), scores=scores, clip_model=clip_model)


def save_effect_report(effect: PromptEffect, run: RunRecord, workspace: Workspace) -> Path:
    """Write the plot and the figures beside the images; return the plot's path.

    Raises:
        StoreError: when they cannot be written.
    """
    path = workspace.effect(run.id)
    text = measures_json(run, metrics_of(effect), plain(effect))
    save_effect(_plot(effect, run), path)
    write_atomically(path.with_suffix(".json"), text.encode())
    return path


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


def _pictures(run: RunRecord, workspace: Workspace, seeds: Sequence[int]) -> list[list[NDArray[np.uint8]]]:
    by_place = {(image.variant, image.seed): image.path for image in run.images}
    return [[read_pixels(workspace.root / str(by_place[one.position, seed])) for seed in seeds] for one in run.variants]


def _plot(effect: PromptEffect, run: RunRecord) -> Image:
    facts = [
        "How far two wordings lie apart at one seed, against how far two seeds lie apart under one wording.",
        f"{len(effect.seeds)} seeds"
        + (", with the interval of a bootstrap over them" if len(effect.seeds) >= MIN_SEEDS else
           f"; fewer than {MIN_SEEDS} say nothing about how sure that is"),
    ]  # fmt: skip
    kinds = {"pixels": "pixels, from a step away", "clip": f"CLIP ({effect.clip_model})"}
    rows = [Bars(label="Each wording against the others")]
    scores = effect.scores
    for one in run.variants:
        label = label_of(run, one.position, limit=160)
        label += f"\nCLIP score {scores[one.position]:.1f}" if scores else ""
        estimates = [each.wordings[one.position].effect for each in effect.measured]
        rows.append(Bars(label=label, bars=_bars(estimates)))
    pairs = effect.measured[0].pairs
    if 1 < len(pairs) <= MAX_PLOTTED_PAIRS:
        rows.append(Bars(label="Two wordings against each other"))
        for at, pair in enumerate(pairs):
            label = f"{label_of(run, pair.before)}\n{label_of(run, pair.after)}"
            rows.append(Bars(label=label, bars=_bars([each.pairs[at].effect for each in effect.measured])))
    return draw_effect(
        title=" · ".join(part for part in (f"Run {run.id}", run.name, run.experiment, "what the words do") if part),
        facts=facts,
        kinds=[kinds[each.kind] for each in effect.measured],
        rows=rows,
    )


def _bars(estimates: Sequence[Estimate]) -> tuple[Bar, ...]:
    return tuple(
        Bar(value=one.value, low=one.low, high=one.high, text=f"{estimate_text(one)} · {effect_in_words(one)}")
        for one in estimates
    )
