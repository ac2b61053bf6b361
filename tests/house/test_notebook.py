"""The example notebook runs, and what its cells end with shows itself; ``from promptlab import Lab`` stays cheap."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import pytest

from tests.house.readme import ROOT

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
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


def shown_by(cells):
    """What the cells show, by their ids: each the value of its last expression, all in one namespace."""
    names, shown = {"__name__": "__main__"}, {}
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names)
            html = getattr(value, "_repr_html_", None)
            shown[cell["id"]] = html() if html else repr(value)
    return shown


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(workspace, tmp_path, monkeypatch):
    """Top to bottom with the bundled model; grids and pictures come out as pictures, the table as a table."""
    workspace.root.rename(tmp_path / "notebook-demo")
    monkeypatch.chdir(tmp_path)
    shown = shown_by(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"])
    assert list(shown) == ["grid", "image", "rerun", "make-up", "sweep", "runs", "frame", "mean", "effect"]
    for cell in ("grid", "image", "rerun", "make-up", "sweep"):
        assert "<img" in shown[cell]
        assert "data:image/png;base64," in shown[cell]
    assert "<table" in shown["frame"]
    assert shown["runs"].count("<tr>") == 5
    assert shown["effect"].startswith("Estimate(value=")
    assert (tmp_path / "notebook-demo" / "images" / "00002" / "grid.png").is_file()


def test_import_of_the_package_loads_nothing_heavy():
    """``import promptlab`` brings nothing in; ``Lab`` neither torch nor MLflow, SQLAlchemy, pandas or Pillow."""
    said = subprocess.run([sys.executable, "-c", FRONT_DOOR], capture_output=True, text=True)
    assert said.stdout == "['promptlab'] [] True False\n", said.stderr
