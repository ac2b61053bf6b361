"""How idle OpenMP threads should wait: spinning, which is quick alone, or asleep, which is quick beside other work.

    python benchmarks/openmp.py [ROUNDS [IMAGES …]]

Each policy is asked for one picture and for four (one forward), with all cores to itself and beside a process that
keeps one core busy, each time by a process of its own: OpenMP reads its settings once. Every process makes a picture
first that is not counted. `threads` makes each picture by one torch thread, several at once, so that nobody waits for
anybody. `by load` is what a process would choose that looks, before it imports torch, who else is running
(`/proc/loadavg`, the least of five looks), and sleeps where that is anybody.

A policy is good where it is within 1.2 times of the best in both situations: the last column is the worse of the two
ratios. Only idle cores answer that: the head of the table says how busy they were before it began.
"""

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine

MODEL = Path(__file__).parents[1] / "promptlab" / "models" / "mini"
PASSES = 3
LIMIT = 90.0
"""Seconds after which a policy counts as not ending: spinning beside a busy process may take minutes."""

POLICIES: dict[str, dict[str, str]] = {
    "unset": {},
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    **{f"spin {count}": {"GOMP_SPINCOUNT": str(count)} for count in (100, 300, 1000, 3000, 10000)},
    "by load": {},
    "threads": {"OMP_WAIT_POLICY": "PASSIVE"},
}

WORK = f"""
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor

policy, passes, counts = sys.argv[1], int(sys.argv[2]), list(map(int, sys.argv[3:]))
def running():
    time.sleep(0.01)
    return int(open("/proc/loadavg").read().split()[3].split("/")[0])

if policy == "by load" and min(running() for _ in range(5)) > 1:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
import torch
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained({str(MODEL)!r}, dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
if policy == "threads":
    torch.set_num_threads(1)

def make(seeds, pipeline=pipeline):
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    pipeline(["a red circle"] * len(seeds), num_inference_steps=20, generator=generators, output_type="np")

def one_each(seeds):
    def alone(seed):
        parts = pipeline.components | {{"scheduler": type(pipeline.scheduler).from_config(pipeline.scheduler.config)}}
        own = StableDiffusionPipeline(**parts)
        own.set_progress_bar_config(disable=True)
        make([seed], own)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(alone, seeds))

take = one_each if policy == "threads" else make
take([0])
for count in counts:
    seconds = []
    for _ in range(passes):
        began = time.perf_counter()
        take(list(range(count)))
        seconds.append(time.perf_counter() - began)
    print(json.dumps([count, seconds]), flush=True)
"""
BUSY = "while True: pass"


def seconds_of(policy: str, images: list[int]) -> dict[int, float]:
    """The medians of one process by images at a time; without those that it did not come to in time."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", WORK, policy, str(PASSES), *map(str, images)]
    with subprocess.Popen(
        command, env=plain | quiet | POLICIES[policy], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    told = [json.loads(line) for line in said.splitlines() if line.startswith("[")]
    return {count: statistics.median(seconds) for count, seconds in told}


def measure(rounds: int, images: list[int], *, busy: bool) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    beside = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    try:
        for _ in range(rounds):
            for policy in POLICIES:
                taken = seconds_of(policy, images)
                for count in images:
                    found.setdefault((policy, count), []).append(taken.get(count, math.inf))
    finally:
        if beside is not None:
            beside.kill()
            beside.wait()
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    images = [int(word) for word in sys.argv[2:]] or [1, 4]
    print(f"{machine()}; {rounds} rounds; load before {os.getloadavg()[0]:.2f}\n")
    alone, beside = (measure(rounds, images, busy=busy) for busy in (False, True))
    for count in images:
        sides = [{policy: statistics.median(found[policy, count]) for policy in POLICIES} for found in (alone, beside)]
        best = [min(side.values()) for side in sides]
        print(f"{count} at a time   alone s  ratio   beside a busy process s  ratio   worse ratio")
        for policy in POLICIES:
            ratios = [side[policy] / least for side, least in zip(sides, best, strict=True)]
            print(
                f"{policy:14} {sides[0][policy]:7.2f} {ratios[0]:6.2f} {sides[1][policy]:25.2f} {ratios[1]:6.2f} "
                f"{max(ratios):13.2f}"
            )
        print()


if __name__ == "__main__":
    main()
