"""How long the commands take that people type most, against ``mlflow --version``, side by side in one run.

    python benchmarks/commands.py [REPETITIONS]

A workspace of 1,000 runs is made first (rows only: a list reads no pictures). Each round times every command once, so
that a machine that slows down slows all of them; the medians and their ratios are printed.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine
from promptlab.plan import requests_of
from promptlab.records import RunStatus
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.notebook import Notebook
from promptlab.testing import Painter
from promptlab.workspace import Workspace

RUNS = 1000
BIN = Path(sys.executable).parent


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


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        fill(Workspace.at(folder))
        commands = {
            "mlflow --version": [str(BIN / "mlflow"), "--version"],
            "promptlab --help": [str(BIN / "promptlab"), "--help"],
            f"promptlab list (newest 20 of {RUNS})": [str(BIN / "promptlab"), "list", "--workspace", folder],
            f"promptlab list --limit 0 (all {RUNS})": [
                str(BIN / "promptlab"), "list", "--limit", "0", "--workspace", folder,
            ],
            "promptlab show last": [str(BIN / "promptlab"), "show", "last", "--workspace", folder],
        }  # fmt: skip
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                if turn:  # the first round warms the file cache
                    taken[name].append(time.perf_counter() - began)
    print(f"{machine()}; median of {rounds}\n")
    slowest = statistics.median(taken["mlflow --version"])
    print(f"{'command':42} {'seconds':>8} {'times faster':>13}")
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"{name:42} {median:8.3f} {slowest / median:13.1f}")


if __name__ == "__main__":
    main()
