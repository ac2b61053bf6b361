"""Nothing heavy is imported to show help or a list; a subprocess is asked what it loaded."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "mlflow",
    "sqlalchemy",
    "alembic",
    "numpy",
    "PIL",
    "rich",
    "yaml",
    "pydantic",
}
LOADED = (
    "import json, sys; from promptlab import cli; code = cli._exit_code(sys.argv[1:]); "
    "print(json.dumps(sorted(sys.modules)), file=sys.stderr); sys.exit(code)"
)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["plan", "--help"],
        ["resume", "--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["tree"],
        ["tree", "last", "--json"],
        ["search", "a"],
        ["search", "a", "--csv"],
        ["completion", "bash"],
        ["db", "current"],
    ],
    ids=" ".join,
)
def test_import_time_of_help_and_lists_has_nothing_heavy(words, lab, tmp_path):
    """torch, diffusers, MLflow, SQLAlchemy, Pillow and rich stay on disk."""
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,)))
    said = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PROMPTLAB_WORKSPACE": str(lab.workspace.root)},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert HEAVY & set(json.loads(said.stderr.splitlines()[-1])) == set()


@pytest.mark.parametrize(
    "words", [["run", "a", "--steps", "0"], ["run", "a", "--seeds", "x"], ["plan", "a", "--size", "x"]], ids=" ".join
)
def test_import_time_of_a_typing_error_has_no_torch(words, tmp_path):
    """Waiting five seconds to hear of a typing error is no fun."""
    said = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 2
    assert HEAVY & set(json.loads(said.stderr.splitlines()[-1])) == set()


def test_import_time_of_best_has_no_torch_mlflow_or_sqlalchemy(lab, tmp_path):
    """Statistics need NumPy and SciPy, and nothing else that is heavy."""
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(
        RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(1,))
    )
    lab.ratings.vote("1/0", "1/1")
    said = subprocess.run(
        [sys.executable, "-c", LOADED, "best", "--by", "variant"], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PROMPTLAB_WORKSPACE": str(lab.workspace.root)},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert (HEAVY - {"numpy"}) & set(json.loads(said.stderr.splitlines()[-1])) == set()
