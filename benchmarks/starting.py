"""How long a command takes that finds nothing warm, against the least that any such program does.

    python benchmarks/starting.py [ROUNDS]

Two questions. How long does `promptlab rerun 1 --seed 1 --append " x"` take without a server, against a bare script
that imports one pipeline of diffusers, loads the same model and makes one picture of as many steps? And how long is it
until the first step, against the imports of diffusers and MLflow alone?

Each round asks both sides in turn, in processes of their own and as users start them: nothing of ours is set in the
script's environment. Processor seconds are those of all threads and of processes that were started beside: on a machine
that others use, their ratio says more than that of the clock, but counts what a second core did meanwhile as if it had
been waited for. Writes `benchmarks/results/starting.md`.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine, write_result

MODEL = Path(__file__).parents[1] / "promptlab" / "models" / "mini"
PARENT = ["-m", "promptlab", "run", "a red circle", "--seeds", "0-1", "--steps", "20"]
RERUN = ["-m", "promptlab", "rerun", "1", "--seed", "1", "--append", " x"]
BARE = f"""
import torch
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained({str(MODEL)!r}, dtype=torch.float32)
generator = torch.Generator("cpu").manual_seed(1)
pipeline("a red circle x", num_inference_steps=20, generator=generator).images[0].save("picture.png")
"""
IMPORTS = "from diffusers import StableDiffusionPipeline; import mlflow"
FIRST_STEP = """
import os
from promptlab import cli
from promptlab.cli.progress import ProgressDisplay
from promptlab.engine import StepDone

heard = ProgressDisplay.__call__

def until_the_first_step(self, event):
    if isinstance(event, StepDone):
        os._exit(0)
    heard(self, event)

ProgressDisplay.__call__ = until_the_first_step
cli.main()
"""

Taken = tuple[float, float]


def taken(command: list[str], folder: str) -> Taken:
    """Seconds on the clock, and of processors."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OMP_", "PROMPTLAB_", "PYTHONDONTWRITE"))
    }
    path = str(Path(__file__).parents[1])
    plain |= {"PROMPTLAB_KEEP_ALIVE": "0", "PYTHONPATH": path}  # what a warm server saves is asked by serving.py
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, env=plain, check=True, capture_output=True)
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rows(theirs: str, ours: str, pairs: list[tuple[Taken, Taken]]) -> list[str]:
    """Lines of the table: both sides, and their ratio round by round."""
    found = []
    for at, what in enumerate(("on the clock", "of processors")):
        one, other = ([pair[side][at] for pair in pairs] for side in (0, 1))
        ratios = [late / early for early, late in zip(one, other, strict=True)]
        middle = " | ".join(f"{statistics.median(each):.2f}" for each in (one, other))
        between = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        found.append(f"| {ours}, against {theirs}: seconds {what} | {middle} | {between} |")
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    whole: list[tuple[Taken, Taken]] = []
    first_step: list[tuple[Taken, Taken]] = []
    with tempfile.TemporaryDirectory() as begun:
        taken(PARENT, begun)
        for number in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                shutil.copytree(begun, folder, dirs_exist_ok=True)
                rerun = taken(["-c", BARE], folder), taken(RERUN, folder)
                start = taken(["-c", IMPORTS], folder), taken(["-c", FIRST_STEP, *PARENT[2:]], folder)
            if number:  # the first fills the disk's cache
                whole.append(rerun)
                first_step.append(start)
    lines = [
        "# How long it takes until something is there, with nothing warm", "",
        f"Written by `python benchmarks/starting.py {rounds}`: {machine()}; the bundled model, medians.", "",
        "| | theirs | ours | ratio |", "| --- | ---: | ---: | --- |",
        *rows("a bare script", "`promptlab rerun`", whole), *rows("the imports alone", "the first step", first_step),
    ]  # fmt: skip
    write_result("starting", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
