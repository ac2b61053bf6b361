"""Runs and images display themselves in Jupyter, and records become a pandas table."""

import pickle
from datetime import UTC

import pytest

from promptlab.errors import InputError, NotFound
from promptlab.lab.history.display import table_columns, table_rows
from promptlab.specs import PipelineSpec, RunSpec, Variant

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"), Variant(prompt="a <b>cat</b> & 'dog'")),
    seeds=(3, 4),
)  # fmt: skip


def test_display_of_a_run_and_an_image_is_grid_and_png(lab):
    """The grid; the very PNG with its words beside it, as text and never as markup."""
    run = lab.run(SPEC)
    look = lab.history.show(run)
    assert repr(look) == "<run 1, finished: 4 of 4 images>"
    assert look._repr_png_().startswith(b"\x89PNG")
    assert [one.record.ref for one in look] == ["1/0", "1/1", "1/2", "1/3"]
    image = lab.history.show("1/3")
    assert image == look[3] == lab.history.show(run.images[3])
    assert image._repr_png_() == (lab.workspace.root / run.images[3].path).read_bytes()
    assert "seed 4: a &lt;b&gt;cat&lt;/b&gt; &amp; &#x27;dog&#x27;" in image._repr_html_()
    assert image.open().size == (run.images[3].width, run.images[3].height)
    assert lab.history.show("last") == lab.history.show(1) == look
    assert pickle.loads(pickle.dumps(look)) == look


def test_display_without_a_picture_says_so(lab):
    """A picture and a grid that are gone; a name that is none."""
    run = lab.run(SPEC)
    (lab.workspace.root / run.images[0].path).unlink()
    lab.workspace.grid(1).unlink()
    assert lab.history.show("1/0")._repr_png_() is None
    assert "<i>" in lab.history.show("1/0")._repr_html_()
    assert lab.history.show(1)._repr_html_() == "<p>&lt;run 1, finished: 4 of 4 images&gt;</p>"
    with pytest.raises(InputError, match="does not exist"):
        lab.history.show("1/0").open()
    with pytest.raises(NotFound):
        lab.history.show(9)


def test_to_pandas_has_a_row_for_each_image(lab):
    """A row for each image, with what it was made from and what came of it; one run, several, or all there are."""
    assert list(lab.history.to_pandas().columns) == list(table_columns())
    first, second = lab.run(SPEC), lab.run(SPEC.vary(seeds=(9,)))
    frame = lab.history.to_pandas()
    assert list(frame["run"]) == [1] * 4 + [2] * 2
    assert list(frame["seed"]) == [3, 4, 3, 4, 9, 9]
    assert list(lab.history.to_pandas(second)["prompt"]) == ["a fox", "a <b>cat</b> & 'dog'"]
    assert lab.history.to_pandas([first, second]).equals(frame)
    assert frame["made_at"].dt.tz == UTC
    assert tuple(next(table_rows([first]))) == table_columns()
    assert list(frame["path"][:2]) == [image.path for image in first.images[:2]]
