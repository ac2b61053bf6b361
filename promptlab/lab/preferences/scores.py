"""Scores images with models that predict what people like, and keeps the scores with the images.

A score is no part of a recipe: it can be had again of any picture, by any model. So it is measured once the picture is
there, by a run that asked for it or later, and what a model scored before is not scored again.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from promptlab.errors import EngineError
from promptlab.images.png import read_pixels
from promptlab.lab.context import LabContext
from promptlab.lab.execution.events import Progress, Watch
from promptlab.lab.execution.watch import unwatched
from promptlab.records import ImageRecord, ImageStatus, RunRecord
from promptlab.records.scorers import Scorer
from promptlab.store.image_scores import read_scores, write_scores
from promptlab.store.run_list import summaries

if TYPE_CHECKING:
    from promptlab.engine.scorers import ImageScorer

__all__ = ["ScoredImages", "score_images"]

_AT_ONCE: Final = 32
"""Images that are read at a time: all of a large run would fill the memory."""


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


def _image_choices(refs: Sequence[str], context: LabContext) -> dict[int, frozenset[int] | None]:
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
    watch: Watch = unwatched,
) -> ScoredImages:
    """Score images that lack a score, and store it; see :meth:`promptlab.lab.Lab.score`.

    Each model is loaded once, where there is something for it to do. What is scored is kept at once, so that whoever
    stops it loses little. Reports and MLflow are told by whoever calls.

    Raises:
        NotFound, InputError: when there is no such image or model, or a file is gone.
        EngineError: when a model would not load.
    """
    from promptlab.engine.scorers import load_scorer

    choices, new = _image_choices(refs, context), Counter[int]()
    of = len(scorers) * sum(len(_made(context.notebook.run(run_id), some)) for run_id, some in choices.items())
    seen = 0
    for scorer in scorers:
        model: ImageScorer | None = None
        for run_id, positions in choices.items():
            run = context.notebook.run(run_id)
            made = _made(run, positions)
            owed = made if again else _without_score(context, run, made, scorer)
            seen += len(made) - len(owed)
            for first in range(0, len(owed), _AT_ONCE):
                model = load_scorer(scorer, device=device) if model is None else model
                some = owed[first : first + _AT_ONCE]
                _score(context, run, some, scorer, model)
                new[run_id] += len(some)
                seen += len(some)
                watch(Progress(what="scores", count=seen, of=of))
    runs = tuple(context.notebook.run(run_id) for run_id in choices)
    places = tuple((run.id, image.position) for run in runs for image in _made(run, choices[run.id]))
    return ScoredImages(runs=runs, images=places, new=new.total(), changed=tuple(new))


def _without_score(
    context: LabContext, run: RunRecord, images: Sequence[ImageRecord], scorer: Scorer
) -> list[ImageRecord]:
    """Return those of a run's images that the scorer's model has not scored."""
    known = read_scores(context.database, [run.id], scorer=scorer.name)
    return [image for image in images if known.get((run.id, image.position)) != scorer.model]


def _score(
    context: LabContext, run: RunRecord, images: Sequence[ImageRecord], scorer: Scorer, model: ImageScorer
) -> None:
    """Score images of one run, and store what came of it."""
    pixels = [read_pixels(context.workspace.root / str(image.path)) for image in images]
    prompts = [run.variants[image.variant].variant.prompt for image in images]
    values = model.score(pixels, prompts)
    if not all(map(math.isfinite, values)):
        raise EngineError(f"the scorer {scorer} gave no number for a picture of run {run.id}: its weights are damaged")
    scores = {(run.id, image.position): value for image, value in zip(images, values, strict=True)}
    write_scores(context.database, scores, scorer=scorer.name, model=scorer.model)


def _made(run: RunRecord, positions: frozenset[int] | None) -> list[ImageRecord]:
    return [
        image
        for image in run.images
        if image.status is ImageStatus.MADE and image.path and (positions is None or image.position in positions)
    ]
