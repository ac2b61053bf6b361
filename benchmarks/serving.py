"""What a warm server makes of the loop: a rerun of one picture, against a warm stock pipeline; memory over many reruns.

    python benchmarks/serving.py [ROUNDS]

Each round types `promptlab rerun 1 --seed 1 --append …` with other words, in a process of its own, and then asks a
stock diffusers pipeline that is warm, in another process that stays, for one picture of the same model, steps and size.
So both see the same machine. Then twenty reruns in a row: what the server's process holds after each.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine

STEPS = 20
RERUNS = 20
STOCK = """
import sys, time
import torch
from diffusers import AutoPipelineForText2Image
from promptlab.models import bundled

pipeline = AutoPipelineForText2Image.from_pretrained(bundled("mini"), dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)

def picture():
    pipeline("a king", num_inference_steps=int(sys.argv[1]), generator=torch.Generator().manual_seed(1))

picture()
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    picture()
    print(time.perf_counter() - began, flush=True)
"""


class Stock:
    """A stock pipeline in a process that stays."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", STOCK, str(STEPS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ask, self._answers = self._process.stdin, self._process.stdout
        assert self._answers.readline() == "ready\n"

    def seconds(self) -> float:
        """Make one picture."""
        self._ask.write("\n")
        self._ask.flush()
        return float(self._answers.readline())

    def close(self) -> None:
        self._ask.close()
        self._process.wait()


def typed(folder: str, *words: str) -> tuple[float, str]:
    """Seconds on the clock that a command took, and what it said."""
    began = time.perf_counter()
    said = subprocess.run(
        [str(Path(sys.executable).parent / "promptlab"), *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - began, said.stdout


def held(folder: str) -> float:
    """MiB of the server."""
    return float(json.loads(typed(folder, "server", "status", "--json")[1])["memory"]) / 2**20


def side_by_side(folder: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of a rerun, and of a picture of the stock pipeline, in turn."""
    stock = Stock()
    ours, theirs = [], []
    for turn in range(rounds):
        ours.append(typed(folder, "rerun", "1", "--seed", "1", "--append", f", number {turn}")[0])
        theirs.append(stock.seconds())
    stock.close()
    return ours, theirs


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        os.environ |= {"XDG_RUNTIME_DIR": folder, "PROMPTLAB_KEEP_ALIVE": "15"}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as an installation has them
        cold, _ = typed(folder, "run", "a king", "--seeds", "0-3", "--steps", str(STEPS))
        try:
            ours, theirs = side_by_side(folder, rounds)
            memory = []
            for turn in range(RERUNS):
                typed(folder, "rerun", "1", "--seed", "1", "--append", f", again {turn}")
                memory.append(held(folder))
        finally:
            typed(folder, "server", "stop")
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"{machine()}; {rounds} rounds\n")
    print(f"first command, which starts the server         {cold:6.2f} s")
    print(f"rerun of one picture, whole command            {one:6.2f} s  (from {min(ours):.2f} to {max(ours):.2f})")
    print(
        f"one picture of a warm stock pipeline           {other:6.2f} s  (from {min(theirs):.2f} to {max(theirs):.2f})"
    )
    print(f"goal: twice that and 0.3 s                     {2 * other + 0.3:6.2f} s")
    print(f"memory after 1, 3, 10, 20 reruns: {', '.join(f'{memory[at]:.0f}' for at in (0, 2, 9, 19))} MiB")


if __name__ == "__main__":
    main()
