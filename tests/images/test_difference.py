"""How far two pictures are from one another, against NumPy's and Pillow's own arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageChops

from promptlab.images.difference import GAINS, difference, difference_image, visible_gain

PICTURES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


def grey(level, *, height=4, width=5):
    return np.full((height, width, 3), level, np.uint8)


def test_difference_of_equal_images_is_nothing():
    """No pixel, no level, and no signal-to-noise ratio, which would be infinite."""
    found = difference(grey(7), grey(7))
    assert found is not None
    assert (found.differing_pixels, found.pixels, found.greatest, found.mean, found.psnr) == (0, 20, 0, 0.0, None)
    assert found.identical
    assert not difference_image(grey(7), grey(7), gain=128).any()


def test_difference_in_one_channel_counts_as_one_pixel():
    """A pixel differs when any of its channels does; the mean is over all channels."""
    after = grey(10)
    after[1, 2, 0] = 40
    found = difference(grey(10), after)
    assert found is not None
    assert (found.differing_pixels, found.greatest, found.mean) == (1, 30, 0.5)
    assert found.psnr == pytest.approx(10 * math.log10(255**2 / (900 / 60)))


def test_difference_of_black_and_white_is_the_greatest():
    """255 levels, and a ratio of 0 dB: nothing overflows."""
    found = difference(grey(0, height=300, width=300), grey(255, height=300, width=300))
    assert found is not None
    assert (found.greatest, found.mean, found.psnr, found.differing_pixels) == (255, 255.0, 0.0, 90_000)


@pytest.mark.parametrize("other", [grey(1, width=6), grey(1, height=3)])
def test_difference_of_two_sizes_is_none(other):
    """There is no difference to be told, and none to be drawn."""
    assert difference(grey(1), other) is None
    with pytest.raises(ValueError, match="two sizes"):
        difference_image(grey(1), other)


@given(st.data())
def test_difference_in_both_directions_agrees_with_pillow(data):
    """The difference is the same from either side, and its picture is Pillow's."""
    before = data.draw(PICTURES)
    after = data.draw(arrays.arrays(np.uint8, before.shape))
    assert difference(before, after) == difference(after, before)
    drawn = difference_image(before, after)
    expected = np.asarray(ImageChops.difference(Image.fromarray(before), Image.fromarray(after)))
    assert (drawn == expected).all()
    assert visible_gain(before, after) in GAINS


def test_difference_image_shows_faint_ones_and_never_wraps_around():
    """One level becomes 128; a few bright pixels are cut at 255 and leave the others as bright."""
    before, after = grey(100, height=100, width=100), grey(101, height=100, width=100)
    assert visible_gain(before, after) == 128
    after[0, 0] = 255
    assert visible_gain(before, after) == 128
    drawn = difference_image(before, after, gain=128)
    assert (drawn[0, 0] == 255).all()
    assert (drawn[1:] == 128).all()
    assert visible_gain(grey(0), grey(200)) == 1
