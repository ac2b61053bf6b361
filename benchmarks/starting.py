"""How long until the first step: `promptlab run` on the bundled model, against the imports that any such program needs.

    python benchmarks/starting.py [ROUNDS]

Each round starts both in turn, in fresh processes and a fresh folder: the command until its first step is done, and
`python -c "from diffusers import StableDiffusionPipeline; import mlflow"`. Processor seconds are those of the whole
process, all threads: on a machine that others use, their ratio says more than that of the clock.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine

IMPORTS = "from diffusers import StableDiffusionPipeline; import mlflow"
FIRST_STEP = """
import os, sys
os.environ["PROMPTLAB_KEEP_ALIVE"] = "0"  # what a warm server saves is asked by serving.py
from promptlab import cli
from promptlab.cli.progress import ProgressDisplay
from promptlab.engine import StepDone

heard = ProgressDisplay.__call__

def until_the_first_step(self, event):
    if isinstance(event, StepDone):
        os._exit(0)
    heard(self, event)

ProgressDisplay.__call__ = until_the_first_step
cli.main(sys.argv[1:])
"""


def taken(command: list[str], folder: str) -> tuple[float, float]:
    """Seconds on the clock, and of processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, check=True, capture_output=True)
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    imports: list[tuple[float, float]] = []
    first_step: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            theirs = taken(["-c", IMPORTS], folder)
            ours = taken(["-c", FIRST_STEP, "run", "a red circle", "--seeds", "0-3"], folder)
        if number:  # the first fills the disk's cache
            imports.append(theirs)
            first_step.append(ours)
    print(f"{machine()}; {rounds} rounds\n")
    for at, what in enumerate(("clock", "processor")):
        one, other = ([pair[at] for pair in pairs] for pairs in (imports, first_step))
        ratios = [late / early for early, late in zip(one, other, strict=True)]
        print(
            f"{what:10} imports {statistics.median(one):6.2f} s, first step {statistics.median(other):6.2f} s, "
            f"ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
