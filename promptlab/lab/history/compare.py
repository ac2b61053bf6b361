"""Compares two runs, or two images: settings, environments, prompts, and the images of the same seed.

Images are paired by their prompts: each prompt with the one that it was varied from, or else is most like, seed by
seed. Two single images are compared whatever their seeds are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptlab.errors import one_line
from promptlab.expand.settings_text import change_text
from promptlab.expand.variant_pairs import Pair, paired
from promptlab.expand.word_diff import cut, marked, word_diff
from promptlab.images.comparison import ComparedRow, compare_images, draw_comparison, save_comparison
from promptlab.images.label_text import Label
from promptlab.lab.history.rerun import RunOrImage
from promptlab.records import ImageRecord, RunRecord
from promptlab.specs import Change, Variant
from promptlab.workspace import Workspace

__all__ = ["RunComparison", "compare", "draw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Holds the differences of two runs or images.

    Args:
        before, after: the two sides.
        changes: settings and seeds that differ, and weights that changed under their name.
        environment: facts of the environment that differ.
        pairs: positions of paired prompts in ``before.run`` and ``after.run``.
        pictures: the images of each pair and seed, compared.
    """

    before: RunOrImage
    after: RunOrImage
    changes: tuple[Change, ...]
    environment: tuple[Change, ...]
    pairs: tuple[Pair, ...]
    pictures: tuple[ComparedRow, ...]

    @property
    def seeds(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the seeds of each side."""
        return _seeds(self.before), _seeds(self.after)


def compare(before: RunOrImage, after: RunOrImage, workspace: Workspace) -> RunComparison:
    """Compare two runs or images. Reads every image file of both."""
    pairs = _pairs(before, after)
    return RunComparison(
        before=before,
        after=after,
        changes=tuple(_changes(before, after)),
        environment=_environment(before.run, after.run),
        pairs=pairs,
        pictures=tuple(compare_images(one, other, workspace) for one, other in _images(before, after, pairs)),
    )


def draw(comparison: RunComparison, workspace: Workspace) -> Path | None:
    """Draw the comparison as one image file; return its path, or None when there are no images.

    The file is ``workspace.comparison(…)``.

    Raises:
        StoreError: when it cannot be written.
    """
    if not comparison.pictures:
        return None
    before, after = comparison.before, comparison.after
    words, labels = _labels(comparison)
    picture = draw_comparison(
        list(zip(labels, comparison.pictures, strict=True)),
        workspace,
        title=f"{_title(before)} and {_title(after).lower()}",
        facts=[*words, *(change_text(change) for change in comparison.changes if change.field != "seeds")],
        headers=(_header(before), _header(after)),
    )
    path = workspace.comparison((before.run.id, before.position), (after.run.id, after.position))
    save_comparison(picture, path)
    return path


def _changes(before: RunOrImage, after: RunOrImage) -> Iterator[Change]:
    for change in before.spec().diff(after.spec()):
        if not change.field.endswith("prompts"):
            yield change
    for field in ("model", "vae"):
        old, new = (getattr(side.run, f"{field}_identity") for side in (before, after))
        if old != new:
            yield Change(field=f"{field} weights", before=old, after=new)


def _environment(before: RunRecord, after: RunRecord) -> tuple[Change, ...]:
    old, new = before.environment.facts, after.environment.facts
    return tuple(
        Change(field=name, before=old.get(name), after=new.get(name))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _pairs(before: RunOrImage, after: RunOrImage) -> tuple[Pair, ...]:
    """Pair the prompts of both sides; of an image, only its own."""
    mine, theirs = before.run.spec.variants, after.run.spec.variants
    one, other = _variant(before), _variant(after)
    if one is not None and other is not None:
        return (Pair(before=one, after=other),)
    if before.run.parent_run_id == after.run.id:
        found = tuple(Pair(before=pair.after, after=pair.before) for pair in paired(theirs, mine, varied=True))
    else:
        found = paired(mine, theirs, varied=after.run.parent_run_id == before.run.id)
    if one is not None:
        own = tuple(pair for pair in found if pair.before == one and pair.after is not None)
        return own or _pair_alone(mine[one], one, theirs)
    if other is not None:
        own = tuple(pair for pair in found if pair.after == other and pair.before is not None)
        alone = _pair_alone(theirs[other], other, mine)
        return own or tuple(Pair(before=pair.after, after=pair.before) for pair in alone)
    return found


def _pair_alone(variant: Variant, place: int, others: Sequence[Variant]) -> tuple[Pair, ...]:
    """Pair one prompt with its nearest in a run whose own pairing leaves it out."""
    plain = dataclasses.replace(variant, source=None)
    return tuple(
        Pair(before=place, after=pair.after) for pair in paired([plain], others, varied=False) if pair.before == 0
    )


def _images(before: RunOrImage, after: RunOrImage, pairs: Sequence[Pair]) -> Iterator[tuple[ImageRecord, ImageRecord]]:
    if before.position is not None and after.position is not None:
        yield before.run.images[before.position], after.run.images[after.position]
        return
    mine, theirs = ({(image.variant, image.seed): image for image in side.run.images} for side in (before, after))
    common = [seed for seed in _seeds(before) if seed in set(_seeds(after))]
    for pair in pairs:
        if pair.before is not None and pair.after is not None:
            yield from ((mine[pair.before, seed], theirs[pair.after, seed]) for seed in common)


def _labels(comparison: RunComparison) -> tuple[list[str], list[Label]]:
    """Return lines for the head, and a label for each pair: its seed, and the prompt if there are several."""
    before, after = (side.run.spec.variants for side in (comparison.before, comparison.after))
    both = [pair for pair in comparison.pairs if pair.before is not None and pair.after is not None]
    labels = []
    last: tuple[int, int] | None = None
    for found in comparison.pictures:
        old, new = before[found.before.variant], after[found.after.variant]
        seeds = dict.fromkeys((found.before.seed, found.after.seed))
        title = f"seed {' and '.join(map(str, seeds))}"
        here = (found.before.variant, found.after.variant)
        if len(both) < 2:
            labels.append(Label(title=title))
            continue
        name = one_line(new.label or new.prompt, limit=60)
        words = "" if here == last else _marked_diff(old.prompt, new.prompt)
        labels.append(Label(title=f"{name}\n{title}" if name else title, prompt=words))
        last = here
    if len(both) != 1:
        return [], labels
    old, new = before[both[0].before or 0], after[both[0].after or 0]
    head = [f"prompt: {_marked_diff(old.prompt, new.prompt)}"]
    if old.negative_prompt or new.negative_prompt:
        head.append(f"negative: {_marked_diff(old.negative_prompt, new.negative_prompt)}")
    return head, labels


def _marked_diff(before: str, after: str) -> str:
    return marked(word_diff(before, after)) or "(empty)"


def _variant(side: RunOrImage) -> int | None:
    return None if side.position is None else side.run.images[side.position].variant


def _seeds(side: RunOrImage) -> tuple[int, ...]:
    return side.run.spec.seeds if side.position is None else (side.run.images[side.position].seed,)


def _title(side: RunOrImage) -> str:
    return f"Run {side.run.id}" if side.position is None else f"Image {side.run.id}/{side.position}"


def _header(side: RunOrImage) -> str:
    return " · ".join(part for part in (_title(side), cut(side.run.name or "", 40)) if part)
