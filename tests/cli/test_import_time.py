"""Nothing heavy is imported to show help or a list; a process is asked what it loaded."""

import json
import os
import subprocess
import sys

import pytest

from promptlab.engine.machine.torch_setup import prepare
from promptlab.engine.sources.environment_memory import remember_environment
from promptlab.records import Environment

pytestmark = pytest.mark.slow

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
    "tomllib",
    "yaml",
    "pydantic",
}
LOADED = """
import json, sys
from promptlab import cli
loaded = {}
for words in json.loads(sys.argv[1]):
    code = cli._exit_code(words)
    loaded[" ".join(words)] = [code, sorted(sys.modules)]
print(json.dumps(loaded), file=sys.stderr)
"""


def heavy(name):
    """The module, if it takes long to import."""
    return name if name in HEAVY else None


def our_own(name):
    """The module, if it is PromptLab's."""
    return name if name.startswith("promptlab.") else None


def room(name):
    """The room of PromptLab that a module is in."""
    return name.split(".")[1] if name.startswith("promptlab.") else None


def loaded_by(*commands, workspace, counted=heavy):
    """Type commands one after the other in one process; return each one's exit code and what was loaded by then."""
    said = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps([command.split() for command in commands])],
        capture_output=True, text=True, cwd=workspace,
        env={**os.environ, "PROMPTLAB_WORKSPACE": str(workspace)},
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stderr.splitlines()[-1])
    return {command: (code, set(filter(None, map(counted, names)))) for command, (code, names) in told.items()}


def test_import_time_of_help_has_no_command(tmp_path):
    """Help, the version and the names of commands for a shell are known without what carries any of them out."""
    doors = {f"promptlab.{name}" for name in ("_gc", "cli", "cli.commands", "cli.lazy_group", "cli.output",
                                              "cli.own_process", "cli.signals", "errors")}  # fmt: skip
    commands = ("--help", "--version")
    assert loaded_by(*commands, workspace=tmp_path, counted=our_own) == dict.fromkeys(commands, (0, doors))


def test_import_time_of_a_list_has_no_room_of_what_makes_images(lab):
    """A list of runs is read from the store, and needs neither specs nor the language of experiments nor an engine.

    Of the cluster it has the names of the variables that ask for workers, and nothing that uses Ray.
    """
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,)))
    rooms = {"_gc", "_lazy", "_locks", "cli", "cluster", "errors", "lab", "records", "store", "workspace"}
    found = loaded_by("list", "list --help", workspace=lab.workspace.root, counted=room)
    assert found == {"list": (0, rooms), "list --help": (0, rooms)}


def test_import_time_of_help_and_lists_has_nothing_heavy(lab):
    """torch, diffusers, MLflow, SQLAlchemy, Pillow and rich stay on disk; the first command that loads one is named."""
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,)))
    commands = ("--help", "run --help", "plan --help", "resume --help", "--version", "list", "list --json", "tree",
                "tree last --json", "search a", "search a --csv", "completion bash", "db current")  # fmt: skip
    assert loaded_by(*commands, workspace=lab.workspace.root) == dict.fromkeys(commands, (0, set()))


def test_import_time_of_a_typing_error_has_no_torch(tmp_path):
    """Waiting five seconds to hear of a typing error is no fun."""
    commands = ("run a --steps 0", "run a --seeds x", "plan a --size x")
    assert loaded_by(*commands, workspace=tmp_path) == dict.fromkeys(commands, (2, set()))


def test_import_time_of_what_configurations_refuse_has_no_torch(tmp_path, monkeypatch):
    """A size that the model cannot make, or a model that there is none of, is refused before a server is started."""
    monkeypatch.delenv("PROMPTLAB_ENGINE", raising=False)
    commands = ("run a --size 100x100", "plan a --size 100x100", "run a --size 100x100 --dry-run", "run a --model mimi",
                "run a --vae mimi", "run a --revision main", "run a --scheduler flow-euler",
                "run a --scheduler nothing", "run a --set eeta=1", "run a --clip-skip 99",
                "plan a --vae mini-vae-ft --size 100x100")  # fmt: skip
    assert loaded_by(*commands, workspace=tmp_path) == dict.fromkeys(commands, (2, set()))


def test_import_time_of_a_plan_has_no_torch(tmp_path, monkeypatch):
    """Once this machine's CPU was measured, what a run would make is known from configuration files."""
    monkeypatch.delenv("PROMPTLAB_ENGINE", raising=False)
    monkeypatch.setenv("PROMPTLAB_CACHE", str(tmp_path / "cache"))
    prepare()  # as every process does before it measures
    remember_environment(Environment(facts={"threads": 1}), "cpu", "float32")
    commands = ("plan a", "plan a --seeds 0-3 --steps 5-20 --guidance 3", "run a --size 128x96 --dry-run")
    assert loaded_by(*commands, workspace=tmp_path) == dict.fromkeys(commands, (0, set()))


def test_import_time_of_a_rating_has_no_mlflow_or_sqlalchemy(lab, monkeypatch):
    """The next picture is rated in a moment: MLflow is told when the command has ended, in a process of its own."""
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"),), seeds=(1,)))
    monkeypatch.delenv("PROMPTLAB_WAIT", raising=False)
    commands = ("rate 1/0 4", "favourite 1/0", "favourite 1/0 --off", "rate 1/0 6", "rate 1/0 x")
    codes = (0, 0, 0, 2, 2)
    found = loaded_by(*commands, workspace=lab.workspace.root)
    assert found == {command: (code, set()) for command, code in zip(commands, codes, strict=True)}


def test_import_time_of_best_has_no_torch_mlflow_or_sqlalchemy(lab):
    """Statistics need NumPy and SciPy, and nothing else that is heavy."""
    from promptlab.specs import PipelineSpec, RunSpec, Variant

    lab.run(
        RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(1,))
    )
    lab.ratings.vote("1/0", "1/1")
    found = loaded_by("best --by variant", workspace=lab.workspace.root)
    assert found == {"best --by variant": (0, {"numpy"})}


def test_import_time_of_a_command_for_a_warm_server_has_nothing_heavy(runtime, workspace):
    """What is typed is sent, and what happens is said: the server has all else."""
    from promptlab.testing import Painter
    from tests.serving.running import running_server

    commands = ("run a --seeds 0-1", "rerun last --seed 1 --append x", "resume", "verify last", "run b --steps 5-6")
    with running_server(Painter(), place=runtime):
        assert loaded_by(*commands, workspace=workspace.root) == dict.fromkeys(commands, (0, set()))
