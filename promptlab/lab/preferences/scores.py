"""Scores images with models that predict what people like, and keeps the scores with the images.

A score is no part of a recipe: it can be had again of any picture, by any model. So it is measured once the picture is
there, by a run that asked for it or later, and what a model scored before is not scored again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptlab.errors import EngineError
from promptlab.images.png import read_pixels
from promptlab.lab.context import LabContext
from promptlab.records import ImageRecord, ImageStatus, RunRecord
from promptlab.records.scorers import Scorer
from promptlab.store.image_scores import read_scores, write_scores
from promptlab.store.run_list import summaries

if TYPE_CHECKING:
    from promptlab.engine.scorers import ImageScorer

__all__ = ["ScoredImages", "image_choices", "score_images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredImages:
    """Says what came of scoring.

    Args:
        runs: as they are now, in the order in which they were named.
        images: the places of the images that were named, each a run and its position there.
        new: how many scores were measured; the others were known.
        changed: the runs of their images.
    """

    runs: tuple[RunRecord, ...]
    images: tuple[tuple[int, int], ...]
    new: int
    changed: tuple[int, ...] = ()


def image_choices(refs: Sequence[str], context: LabContext) -> dict[int, frozenset[int] | None]:
    """Return the runs that ``refs`` name, each with the images' positions; ``None`` stands for all.

    Args:
        refs: runs, images and sweeps as :meth:`promptlab.lab.history.history.History.find` takes them; none is every
            run of the workspace.

    Raises:
        NotFound, InputError: when there is no such thing.
    """
    from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs

    if not refs:
        if not context.database.is_begun:
            return {}
        context.database.prepare()
        return dict.fromkeys(sorted(one.id for one in summaries(context.database)))
    chosen: dict[int, frozenset[int] | None] = {}
    for ref in refs:
        if (sweep_id := find_sweep(ref, context)) is not None:
            chosen.update(dict.fromkeys(one.run_id for one in find_sweep_runs(sweep_id, context).runs))
            continue
        found = find_run_or_image(ref, context)
        before = chosen.get(found.run.id, frozenset())
        whole = found.position is None or before is None
        chosen[found.run.id] = None if whole else (before or frozenset()) | {found.position or 0}
    return chosen


def score_images(
    context: LabContext,
    refs: Sequence[str],
    scorers: Sequence[Scorer],
    *,
    again: bool = False,
    device: str | None = None,
) -> ScoredImages:
    """Score images that lack a score, and store it; see :meth:`promptlab.lab.Lab.score`.

    Each model is loaded once, where there is something for it to do. Reports and MLflow are told by whoever calls.

    Raises:
        NotFound, InputError: when there is no such image or model, or a file is gone.
        EngineError: when a model would not load.
    """
    from promptlab.engine.scorers import load_scorer

    choices, new = image_choices(refs, context), Counter[int]()
    for scorer in scorers:
        loaded: list[ImageScorer] = []

        def model(scorer: Scorer = scorer, loaded: list[ImageScorer] = loaded) -> ImageScorer:
            if not loaded:
                loaded.append(load_scorer(scorer, device=device))
            return loaded[0]

        for run_id, positions in choices.items():
            new[run_id] += _score_run(context, run_id, positions, scorer, model, again=again)
    runs = tuple(context.notebook.run(run_id) for run_id in choices)
    places = tuple((run.id, image.position) for run in runs for image in _made(run, choices[run.id]))
    changed = tuple(run_id for run_id, many in new.items() if many)
    return ScoredImages(runs=runs, images=places, new=new.total(), changed=changed)


def _score_run(
    context: LabContext,
    run_id: int,
    positions: frozenset[int] | None,
    scorer: Scorer,
    model: Callable[[], ImageScorer],
    *,
    again: bool,
) -> int:
    """Score the images of one run that lack it, and return how many these were."""
    known = {} if again else read_scores(context.database, [run_id], scorer=scorer.name)
    run = context.notebook.run(run_id)
    wanted = [image for image in _made(run, positions) if known.get((run_id, image.position)) != scorer.model]
    if not wanted:
        return 0
    pixels = [read_pixels(context.workspace.root / str(image.path)) for image in wanted]
    prompts = [run.variants[image.variant].variant.prompt for image in wanted]
    values = model().score(pixels, prompts)
    if not all(map(math.isfinite, values)):
        raise EngineError(f"the scorer {scorer} gave no number for a picture of run {run_id}: its weights are damaged")
    scores = {(run_id, image.position): value for image, value in zip(wanted, values, strict=True)}
    write_scores(context.database, scores, scorer=scorer.name, model=scorer.model)
    return len(wanted)


def _made(run: RunRecord, positions: frozenset[int] | None) -> Iterator[ImageRecord]:
    for image in run.images:
        if image.status is ImageStatus.MADE and image.path and (positions is None or image.position in positions):
            yield image
