"""A sweep's overview: every picture of every run on the crossing of its values, on as many pages as that needs."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from promptlab.images.overview import save_overview
from promptlab.images.png import read_pixels
from promptlab.records import ImageStatus, RunStatus
from promptlab.workspace import Workspace
from tests.images.sweeping import paint_sweep

SCHEDULERS = [{"scheduler": name} for name in ("ddim", "euler", "unipc", "heun")]
STEPS = [{"steps": steps} for steps in ("5", "10", "20")]
GUIDANCE = [{"guidance": scale} for scale in ("1", "7.5")]


@pytest.fixture
def workspace(tmp_path):
    return Workspace.at(tmp_path / "space")


def places_of(picture, page):
    """Where on the page the very pixels of a picture are: (x, y) of its corner, each once."""
    picture = numbered(picture)
    height, width = picture.shape
    ys, xs = np.nonzero(page[: -height + 1, : -width + 1] == picture[0, 0])
    return [
        (int(x), int(y)) for x, y in zip(xs, ys, strict=True) if (page[y : y + height, x : x + width] == picture).all()
    ]


def pixels(path):
    with Image.open(path) as image:
        return numbered(np.asarray(image.convert("RGB")))


def numbered(colours):
    """Each pixel as one number: compared quickly, however large the page."""
    red, green, blue = np.moveaxis(colours.astype(np.uint32), 2, 0)
    return red << 16 | green << 8 | blue


def test_overview_two_dimensions_are_rows_and_columns(workspace):
    """Each run's picture stands once, unscaled, in the row of its first value and the column of its second."""
    sweep, runs = paint_sweep(workspace, [SCHEDULERS, STEPS])
    (path,) = save_overview(sweep, runs, workspace)
    assert path == workspace.sweep_grid(sweep.id, 1)
    page = pixels(path)
    corners = {}
    for part, run in zip(sweep.runs, runs, strict=True):
        (corners[part.place],) = places_of(read_pixels(workspace.root / run.images[0].path), page)
    for row in range(4):
        assert len({corners[row, column][1] for column in range(3)}) == 1
    for column in range(3):
        assert len({corners[row, column][0] for row in range(4)}) == 1
    assert [corners[row, 0][1] for row in range(4)] == sorted(corners[row, 0][1] for row in range(4))
    assert [corners[0, column][0] for column in range(3)] == sorted(corners[0, column][0] for column in range(3))


def test_overview_more_dimensions_make_pages(workspace):
    """The first of three dimensions turns the page; every run is on exactly one."""
    sweep, runs = paint_sweep(workspace, [GUIDANCE, SCHEDULERS, STEPS])
    paths = save_overview(sweep, runs, workspace)
    assert paths == (workspace.sweep_grid(sweep.id, 1), workspace.sweep_grid(sweep.id, 2))
    pages = [pixels(path) for path in paths]
    for part, run in zip(sweep.runs, runs, strict=True):
        picture = read_pixels(workspace.root / run.images[0].path)
        assert [len(places_of(picture, page)) for page in pages] == [int(part.place[0] == at) for at in (0, 1)]


def test_overview_zipped_fields_are_one_dimension(workspace):
    """A zip group of two fields is one strip of runs."""
    sweep, runs = paint_sweep(workspace, [[{"steps": "5", "guidance": "1"}, {"steps": "10", "guidance": "2"}]])
    (path,) = save_overview(sweep, runs, workspace)
    for run in runs:
        assert len(places_of(read_pixels(workspace.root / run.images[0].path), pixels(path))) == 1


def test_overview_missing_run_is_said_not_drawn(workspace):
    """An excluded combination, a failed run and an owed picture leave calm places; nothing raises."""
    sweep, runs = paint_sweep(workspace, [SCHEDULERS, STEPS], skip=[(0, 0)])
    owed = dataclasses.replace(runs[1].images[0], status=ImageStatus.OWED, path=None)
    runs = [runs[0], dataclasses.replace(runs[1], status=RunStatus.FAILED, images=(owed,)), *runs[2:]]
    (path,) = save_overview(sweep, runs, workspace)
    page = pixels(path)
    assert [len(places_of(read_pixels(workspace.root / run.images[0].path), page)) for run in runs[2:]] == [1] * 9


@pytest.mark.slow
def test_overview_two_hundred_combinations_fit(workspace):
    """No page is larger than viewers can open, and no run is lost."""
    axes = [[{"guidance": str(n)} for n in range(20)], [{"steps": str(n)} for n in range(10)]]
    sweep, runs = paint_sweep(workspace, axes, side=32)
    pages = [pixels(path) for path in save_overview(sweep, runs, workspace)]
    assert all(max(page.shape) <= 16_000 for page in pages)
    found = [
        sum(len(places_of(read_pixels(workspace.root / run.images[0].path), page)) for page in pages) for run in runs
    ]
    assert found == [1] * 200
