"""The renderer: what a caption says can be seen, and a picture is a function of its number."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("skia", reason="the renderer needs skia-python, and that libGL", exc_type=ImportError)

from training.attributes import AGES, COLOURS, MAKEUPS, ROLES, VIEWS, Attributes, choose
from training.drawing import render
from training.frame import SIZE

pytestmark = pytest.mark.slow

CORNER = np.s_[2:10, 2:10]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def test_drawing_of_one_number_is_always_the_same() -> None:
    """Drawn twice, the same bytes; its neighbour is another picture."""
    first = render(choose(7), 7)
    assert first.shape == (SIZE, SIZE, 3)
    assert first.dtype == np.uint8
    assert (first == render(choose(7), 7)).all()
    assert difference(first, render(choose(8), 8)) > 5


@pytest.mark.parametrize("colour", COLOURS)
def test_drawing_background_has_the_named_colour(colour: str) -> None:
    """Its corner is nearest to that of all ten."""
    corner = render(Attributes(background=colour), 3)[CORNER].reshape(-1, 3).mean(0) / 255
    nearest = min(COLOURS, key=lambda name: float(((np.array(COLOURS[name]) - corner) ** 2).sum()))
    assert nearest == colour


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("view", VIEWS)
def test_drawing_of_every_role_shows_its_age_and_paint(role: str, view: str) -> None:
    """At one seed, each age and each make-up is another picture, while the background stays."""
    base = Attributes(role=role, view=view)
    ages = [render(replace(base, age=age), 5) for age in AGES]
    paints = [render(replace(base, makeup=makeup), 5) for makeup in MAKEUPS]
    for some in (ages, paints):
        assert min(difference(a, b) for i, a in enumerate(some) for b in some[:i]) > 0.3
        assert all((some[0][CORNER] == other[CORNER]).all() for other in some[1:])


def test_drawing_of_sides_is_a_mirrored_profile() -> None:
    """A profile to the left looks left: the nose's half of the silhouette changes places."""
    right, left = (render(Attributes(view="profile", side=side, background="white"), 4) for side in (1, -1))
    assert difference(right, left) > 5
    assert difference(right, left[:, ::-1]) < difference(right, left)


@pytest.mark.parametrize("light", ["rim", "dramatic"])
def test_drawing_light_darkens_and_edges(light: str) -> None:
    """Both leave the middle darker than soft light does; a rim is brighter than anything in the figure."""
    soft, lit = (render(Attributes(role="man", light=name, background="black"), 6) for name in ("soft", light))
    assert lit[40:90, 40:90].mean() < soft[40:90, 40:90].mean()
    if light == "rim":
        assert lit.max() > 225
