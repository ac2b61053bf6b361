"""What the engine alone takes for one picture and for 64, against a stock pipeline, both warm, side by side.

    python benchmarks/batching.py [ROUNDS]      # five rounds: three minutes on two idle cores
    python benchmarks/batching.py 5 --model FOLDER --device cuda --graphs                  # SD 1.5 on a GPU

With the bundled model on the CPU unless told otherwise; 20 steps with guidance. One picture is what a rerun with other
words makes; the stock pipeline makes it by a plain call. The 64 are four schedulers × four prompts × four seeds: the
stock pipeline makes them by a call for each scheduler and prompt, four pictures each. Nothing is saved. Each side lives
in a process of its own, started as its users start it; rounds take turns. Writes `benchmarks/results/batching.md`, or
`batching-DEVICE.md`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine, write_result

STEPS = 20
STOCK = """
import sys, time
import diffusers, torch
from benchmarks.loop import GUIDANCE, PROMPTS, SCHEDULERS, SEEDS
from promptlab.models import bundled

dtype = torch.float16 if sys.argv[3].startswith("cuda") else torch.float32
model = bundled(sys.argv[2]) or sys.argv[2]
pipeline = diffusers.StableDiffusionPipeline.from_pretrained(model, dtype=dtype).to(sys.argv[3])
pipeline.set_progress_bar_config(disable=True)

def make(prompt, seeds):
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    pipeline([prompt] * len(seeds), num_inference_steps=int(sys.argv[1]), guidance_scale=GUIDANCE, generator=generators)

def one(turn):
    make(f"portrait photo of a chief, number {turn}", SEEDS[:1])

def many(turn):
    for scheduler in SCHEDULERS:
        pipeline.scheduler = getattr(diffusers, scheduler).from_config(pipeline.scheduler.config)
        for prompt in PROMPTS:
            make(prompt, SEEDS)
"""
OURS = """
import sys, time
from benchmarks.loop import GUIDANCE, PROMPTS, SEEDS
from benchmarks.sweeping import SCHEDULERS
from promptlab.engine import NO_PERMISSIONS, create_engine, finished_images
from promptlab.lab.execution.preflight import survey
from promptlab.plan import requests_of
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler

engine = create_engine()
spec = RunSpec(
    pipeline=PipelineSpec(model=sys.argv[2]), device=sys.argv[3], seeds=SEEDS,
    machine=MachineSpec(graphs=sys.argv[4] == "graphs"),
    call=CallSpec(num_inference_steps=int(sys.argv[1]), guidance_scale=GUIDANCE),
    variants=tuple(Variant(prompt=prompt) for prompt in PROMPTS),
)

def make(specs):
    runs = survey(engine, specs, permissions=NO_PERMISSIONS).runs
    requests = [one for at, run in enumerate(runs) for one in requests_of(run.resolved, within=f"{at}/")]
    made = list(finished_images(engine.generate(requests, permissions=NO_PERMISSIONS), lambda event: None))
    assert len(made) == len(requests)

def one(turn):
    make([spec.vary(seeds=SEEDS[:1], variants=(Variant(prompt=f"portrait photo of a chief, number {turn}"),))])

def many(turn):
    make([spec.vary(scheduler=parse_scheduler(name)) for name in SCHEDULERS])
"""
SERVE = """
one(-1)
print("ready", flush=True)
for turn, what in enumerate(sys.stdin):
    began = time.perf_counter()
    {"one": one, "many": many}[what.strip()](turn)
    print(time.perf_counter() - began, flush=True)
"""


class Side:
    """One of both, in a process that stays."""

    def __init__(self, code: str, typed: argparse.Namespace) -> None:
        words = [str(STEPS), typed.model, typed.device, "graphs" if typed.graphs else ""]
        self._process = subprocess.Popen(
            [sys.executable, "-c", code + SERVE, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._ask, self._answers = self._process.stdin, self._process.stdout
        assert self._answers.readline() == "ready\n"

    def seconds(self, what: str) -> float:
        """Make ``one`` picture or ``many``."""
        self._ask.write(f"{what}\n")
        self._ask.flush()
        return float(self._answers.readline())

    def close(self) -> None:
        self._ask.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--model", default="mini", help="or a folder with a StableDiffusionPipeline")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--graphs", action="store_true")
    typed = parser.parse_args()
    rounds, device = typed.rounds, typed.device.partition(":")[0]
    stock, ours = Side(STOCK, typed), Side(OURS, typed)
    lines = [
        "# One picture, and 64, by the engine alone", "",
        f"Written by `python benchmarks/batching.py {rounds}`: {machine()}; {typed.device}, {Path(typed.model).name},",
        f"{STEPS} steps, {'CUDA graphs, ' if typed.graphs else ''}medians.",
        "", "| | stock pipeline, s | ours, s | ours / stock, round by round |", "| --- | ---: | ---: | ---: |",
    ]  # fmt: skip
    for what, words, times in (("one", "one picture", 3 * rounds), ("many", "64 pictures, mixed", rounds)):
        pairs = [(stock.seconds(what), ours.seconds(what)) for _ in range(times)]
        theirs, mine = (statistics.median(pair[at] for pair in pairs) for at in (0, 1))
        ratios = [own / other for other, own in pairs]
        between = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {words} | {theirs:.2f} | {mine:.2f} | {between} |")
    stock.close()
    ours.close()
    write_result("batching" if device == "cpu" else f"batching-{device}", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
