"""The example notebook runs, and what its cells end with shows itself; ``from promptlab import Lab`` stays cheap."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import UTC

import pytest

from promptlab.errors import InputError, NotFound
from promptlab.lab.history.display import table_columns, table_rows
from promptlab.specs import PipelineSpec, RunSpec, Variant
from tests.house.readme import ROOT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"), Variant(prompt="a <b>cat</b> & 'dog'")),
    seeds=(3, 4),
)  # fmt: skip

RUN = '''
"""As a notebook does it: the cells in order in one namespace, the value of a last expression shown."""
import ast, json, sys, warnings

warnings.simplefilter("error")
names, shown = {"__name__": "__main__"}, []
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell["id"], "exec"), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
        html = getattr(value, "_repr_html_", None)
        shown.append([cell["id"], html() if html else repr(value)])
json.dump(shown, open(sys.argv[2], "w", encoding="utf-8"))
'''


FRONT_DOOR = """
import sys, promptlab
before = sorted(name for name in sys.modules if name.startswith("promptlab"))
from promptlab import Lab, RunSpec
lab = Lab("nowhere")
heavy = {"torch", "mlflow", "sqlalchemy", "pandas", "PIL", "numpy"} & set(sys.modules)
print(before, sorted(heavy), "Lab" in dir(promptlab), hasattr(promptlab, "nothing"))
"""


def test_notebook_is_stored_without_outputs():
    """As nbformat 4.5 has it: every cell an id of its own, nothing of anybody's machine in it."""
    held = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (held["nbformat"], held["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in held["cells"]}) == len(held["cells"])
    code = [cell for cell in held["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert all(line.endswith("\n") for cell in held["cells"] for line in cell["source"][:-1])


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(tmp_path):
    """Top to bottom with the bundled model; grids and pictures come out as pictures, the table as a table."""
    (tmp_path / "run.py").write_text(RUN, encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "run.py", str(NOTEBOOK), "shown.json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert said.returncode == 0, said.stderr
    shown = dict(json.loads((tmp_path / "shown.json").read_text(encoding="utf-8")))
    assert list(shown) == ["grid", "image", "rerun", "frame", "mean", "effect"]
    for cell in ("grid", "image", "rerun"):
        assert "<img" in shown[cell]
        assert "data:image/png;base64," in shown[cell]
    assert "<table" in shown["frame"]
    assert shown["effect"].startswith("Estimate(value=")
    assert (tmp_path / "notebook-demo" / "images" / "00002" / "grid.png").is_file()


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


def test_frame_of_records_has_a_row_for_each_image(lab):
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


def test_import_of_the_package_loads_nothing_heavy():
    """``import promptlab`` brings nothing in; ``Lab`` neither torch nor MLflow, SQLAlchemy, pandas or Pillow."""
    said = subprocess.run([sys.executable, "-c", FRONT_DOOR], capture_output=True, text=True)
    assert said.stdout == "['promptlab'] [] True False\n", said.stderr
