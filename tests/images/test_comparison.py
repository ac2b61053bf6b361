"""Two runs in one picture: the very pixels of both, and what differs between them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from promptlab.images.comparison import MAX_ROWS, compare_images, draw_comparison, save_comparison
from promptlab.images.layout import Label
from promptlab.images.png import read_pixels, write_png
from promptlab.records import ImageRecord, ImageStatus
from promptlab.workspace import Workspace


@pytest.fixture
def space(tmp_path):
    return Workspace.at(tmp_path)


def image(space, run, position, pixels=None, **said):
    """An image of a run, with its file where ``pixels`` are given."""
    record = ImageRecord(
        run_id=run, position=position, variant=0, seed=position, status=ImageStatus.OWED, recipe_key="0" * 64
    )
    if pixels is not None:
        path = space.run_folder(run) / space.image_name(0, position)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, pixels, {})
        height, width, _ = pixels.shape
        made = {"status": ImageStatus.MADE, "path": space.relative(path), "width": width, "height": height}
        record = dataclasses.replace(record, **made)
    return dataclasses.replace(record, **said)


def noise(seed, *, height=64, width=64):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def drawn(space, *pairs):
    rows = [(Label(title=f"seed {place}"), pair) for place, pair in enumerate(pairs)]
    return np.asarray(draw_comparison(rows, space, title="Run 1 and run 2", facts=["steps: 20 → 25"],
                                      headers=("Run 1", "Run 2")))  # fmt: skip


def holds(picture, part):
    """Whether ``part`` is somewhere in ``picture``, pixel for pixel."""
    height, width, _ = part.shape
    corners = np.argwhere((picture == part[0, 0]).all(axis=2))
    return any((picture[y : y + height, x : x + width] == part).all() for y, x in corners
               if y + height <= picture.shape[0] and x + width <= picture.shape[1])  # fmt: skip


def test_comparison_has_both_images_and_their_difference_to_the_pixel(space):
    """Cells hold the pixels of the PNGs; the third column is the difference, brighter by what is written under it."""
    before = noise(1)
    after = before // 2 + 60
    pair = compare_images(image(space, 1, 0, before), image(space, 2, 0, after), space)
    picture = drawn(space, pair)
    assert holds(picture, before)
    assert holds(picture, after)
    apart = np.abs(before.astype(int) - after)
    assert any(holds(picture, np.minimum(apart * gain, 255).astype(np.uint8)) for gain in (1, 2, 4))


def test_comparison_of_identical_images_has_a_black_difference(space):
    """Nothing is made brighter where nothing differs."""
    pair = compare_images(image(space, 1, 0, noise(1)), image(space, 2, 0, noise(1)), space)
    assert pair.difference is not None
    assert pair.difference.identical
    assert holds(drawn(space, pair), np.zeros((64, 64, 3), np.uint8))


def test_comparison_of_two_sizes_leaves_the_difference_out(space):
    """Both are shown and why they are not compared is said; with no difference at all there is no third column."""
    pair = compare_images(image(space, 1, 0, noise(1)), image(space, 2, 0, noise(2, height=48)), space)
    assert (pair.difference, pair.problem) == (None, "sizes differ: 64x64 and 64x48")
    alone = drawn(space, pair)
    assert holds(alone, noise(1))
    assert holds(alone, noise(2, height=48))
    other = compare_images(image(space, 1, 1, noise(3)), image(space, 2, 1, noise(4)), space)
    assert drawn(space, pair, other).shape[1] > alone.shape[1]


def test_comparison_missing_image_has_an_empty_place(space):
    """An owed picture, a lost file and a damaged one are a problem each, and the sheet is drawn."""
    there = image(space, 1, 0, noise(1))
    lost, broken = image(space, 2, 1, noise(2)), image(space, 2, 2, noise(3))
    (space.root / lost.path).unlink()
    (space.root / broken.path).write_bytes(b"no picture")
    pairs = [compare_images(there, other, space) for other in (image(space, 2, 0), lost, broken)]
    assert [pair.difference for pair in pairs] == [None] * 3
    assert "2/0 is not made yet" in pairs[0].problem
    assert "does not exist" in pairs[1].problem
    assert "is not a PNG" in pairs[2].problem
    assert holds(drawn(space, *pairs), noise(1))


def test_comparison_of_many_pairs_is_cut_and_says_so(space):
    """The first of them are drawn, so that the picture stays one that viewers open."""
    one, other = (image(space, run, 0, noise(run, height=8, width=8)) for run in (1, 2))
    pair = compare_images(one, other, space)
    assert drawn(space, *[pair] * (MAX_ROWS + 9)).shape[0] < drawn(space, *[pair] * MAX_ROWS).shape[0] + 60


def test_comparison_is_saved_under_both_names(space):
    """A run by its number, an image by its run and position; the file is the very picture."""
    path = space.comparison((1, None), (3, 12))
    assert space.relative(path) == "images/diff-00001-00003.12.png"
    pair = compare_images(image(space, 1, 0, noise(1)), image(space, 3, 12, noise(2)), space)
    picture = draw_comparison([(Label(title="seed 0"), pair)], space, title="x", facts=[], headers=("a", "b"))
    save_comparison(picture, path)
    assert (read_pixels(path) == np.asarray(picture)).all()
