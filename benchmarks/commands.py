"""How long the commands take that people type most, against ``mlflow --version`` and a bare click program, in one run.

    python benchmarks/commands.py [REPETITIONS]

A workspace of 1,000 runs is made first (rows only: a list reads no pictures). Each round times every command once, so
that a machine that slows down slows all of them; the medians and their ratios are printed, and kept as
`benchmarks/results/commands.md`. What is refused is refused without a server, by a process that has nothing in memory.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine, write_result
from promptlab.lab import Lab
from promptlab.plan import requests_of
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.notebook import Notebook
from promptlab.testing import Painter
from promptlab.workspace import Workspace

RUNS = 1000
BIN = Path(sys.executable).parent
REFUSED = "refused: "
DROPPED = ("PYTHONDONTWRITEBYTECODE", "PROMPTLAB_ENGINE", "PROMPTLAB_WAIT")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in DROPPED} | {"PROMPTLAB_KEEP_ALIVE": "0"}
"""Modules are compiled once, as an installation has them; nothing that stays answers."""


def fill(workspace: Workspace) -> None:
    """A thousand finished runs of four images each."""
    notebook, painter = Notebook.at(workspace), Painter()
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"),
        variants=(Variant(prompt="portrait photo of a old warrior chief"),),
        seeds=(0, 1, 2, 3),
    )
    (resolved,) = painter.resolve([spec])
    for _ in range(RUNS):
        run = notebook.begin_run(
            resolved, requests_of(resolved), environment=resolved.environment, experiment="warrior"
        )
        notebook.end_run(run.id, RunStatus.FINISHED)


BARE = """
import click

@click.command()
@click.option("--name", help="Whom to greet.")
def hello(name):
    \"\"\"Greet somebody.\"\"\"
    click.echo(f"hello {name}")

hello()
"""
"""A click program of one command: what no help can be quicker than."""


def rated(folder: Path) -> None:
    """A run of four painted pictures, which MLflow knows."""
    variants = (Variant(prompt="portrait photo of a old warrior chief"),)
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=variants, seeds=(0, 1, 2, 3))
    Lab(folder, engine=Painter()).run(spec)


def commands(folder: Path) -> dict[str, list[str]]:
    """Return what is timed, by the name of its row."""
    bare, runs, pictures = folder / "bare.py", str(folder / "runs"), str(folder / "pictures")
    bare.write_text(BARE, encoding="utf-8")
    fill(Workspace.at(runs))
    rated(Path(pictures))
    promptlab = str(BIN / "promptlab")
    return {
        "mlflow --version": [str(BIN / "mlflow"), "--version"],
        "bare click program, --help": [sys.executable, str(bare), "--help"],
        "promptlab --help": [promptlab, "--help"],
        "promptlab run --help": [promptlab, "run", "--help"],
        f"promptlab list (newest 20 of {RUNS})": [promptlab, "list", "--workspace", runs],
        f"promptlab list --limit 0 (all {RUNS})": [promptlab, "list", "--limit", "0", "--workspace", runs],
        "promptlab show last": [promptlab, "show", "last", "--workspace", runs],
        "promptlab rate 1/0 4": [promptlab, "rate", "1/0", "4", "--workspace", pictures],
        "promptlab favourite 1/1": [promptlab, "favourite", "1/1", "--workspace", pictures],
        f"{REFUSED}run --size 100x100": [promptlab, "run", "a fox", "--size", "100x100", "--workspace", pictures],
        f"{REFUSED}run --steps 0": [promptlab, "run", "a fox", "--steps", "0", "--workspace", pictures],
        f"{REFUSED}run --scheduler flowmatch": [
            promptlab, "run", "a fox", "--scheduler", "FlowMatchEulerDiscreteScheduler", "--workspace", pictures
        ],
        f"{REFUSED}run --set eeta=1": [promptlab, "run", "a fox", "--set", "eeta=1", "--workspace", pictures],
        f"{REFUSED}rerun 1 --size 100x100": [promptlab, "rerun", "1", "--size", "100x100", "--workspace", pictures],
    }  # fmt: skip


def seconds_of(name: str, command: list[str]) -> float:
    """Return how long a command takes to answer; what it leaves to do is waited for, and not counted."""
    began = time.perf_counter()
    ended = subprocess.run(command, check=False, capture_output=True, env=ENVIRONMENT)
    seconds = time.perf_counter() - began
    if ended.returncode != (2 if name.startswith(REFUSED) else 0):
        raise SystemExit(f"{name}: exit code {ended.returncode}: {ended.stderr.decode()}")
    if command[1] in ("rate", "favourite"):
        subprocess.run([*command[:1], "sync", "--rated", *command[-2:]], check=True, env=ENVIRONMENT)
    return seconds


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        timed = commands(Path(folder))
        taken: dict[str, list[float]] = {name: [] for name in timed}
        for turn in range(rounds + 1):
            for name, command in timed.items():
                seconds = seconds_of(name, command)
                if turn:  # the first round warms the file cache
                    taken[name].append(seconds)
    slowest = statistics.median(taken["mlflow --version"])
    bare = statistics.median(taken["bare click program, --help"])
    lines = [
        "# How long a command takes to answer", "",
        f"Printed by `benchmarks/commands.py {rounds}`: medians; each command in a process of its own.",
        "", f"{machine()}.", "",
        "| command | seconds | times faster than `mlflow --version` | times a bare click program |",
        "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    for name, seconds_taken in taken.items():
        median = statistics.median(seconds_taken)
        lines.append(f"| {name} | {median:.3f} | {slowest / median:.1f} | {median / bare:.1f} |")
    write_result("commands", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
