"""Pictures of characters: as large as they can be, as many as fit, with their words as text."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from rich.console import Console

from promptlab.cli.render.half_blocks import LEAST, half_blocks, placed


@pytest.mark.parametrize(
    ("count", "screen", "across", "places"),
    [
        (4, (120, 41), 0, (2, 2, 38)),
        (4, (160, 24), 0, (4, 1, 38)),
        (4, (80, 24), 0, (2, 2, 22)),
        (1, (80, 24), 0, (1, 1, 46)),
        (8, (100, 45), 4, (4, 2, 23)),
        (32, (80, 24), 8, (3, 2, 22)),
        (3, (10, 5), 0, (1, 1, 8)),
    ],
    ids=["two by two", "in a row", "a small screen", "alone", "as the grid has them", "not all fit", "a tiny screen"],
)
def test_placed_pictures_are_as_large_as_the_screen_lets_them_be(count, screen, across, places):
    """One screen, each picture with its line; where not all fit, the first of them at a size that shows a face."""
    assert placed(count, (128, 128), screen, across=across) == places


@pytest.mark.parametrize("count", [1, 2, 5, 9, 40])
@pytest.mark.parametrize("shape", [(512, 512), (768, 512), (512, 768), (8, 8), (1024, 64)])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_placed_pictures_never_stick_out(count, shape, columns):
    """Neither beyond the terminal's width nor beyond the picture's own."""
    across, down, width = placed(count, shape, (columns, 30))
    assert across * (width + 2) - 2 <= columns
    assert 1 <= width <= shape[0]
    assert across * down >= min(count, across)
    assert width >= min(LEAST, shape[0]) or count == 1


def test_half_blocks_each_picture_has_its_words_below_it():
    """Side by side, in true colours; words that are too long for their picture end in …."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=40, no_color=False)
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    console.print(half_blocks([red, blue, red], ["old", "the very oldest", "늙은 전사"], (2, 2, 8)))
    lines = console.file.getvalue().splitlines()
    assert [line.count("▀") for line in lines[:5]] == [16, 16, 16, 16, 0]
    assert "38;2;255;0;0;48;2;255;0;0" in lines[0]
    assert "38;2;0;0;255;48;2;0;0;255" in lines[0]
    assert lines[4].split() == ["old", "the", "ver…"]
    assert [line.count("▀") for line in lines[5:9]] == [8] * 4
    assert lines[9] == "늙은 전…"
