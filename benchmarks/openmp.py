"""How idle OpenMP threads should wait: spinning, which is quick alone, or asleep, which is quick beside other work.

    python benchmarks/openmp.py [ROUNDS [IMAGES …]]

Each policy has a process of its own, as OpenMP reads its settings once. All of them are started and warm before the
first figure, and then take turns: in each round each is asked for one picture and for four (one forward) with all cores
to itself, and in each second half beside a process that keeps one core busy. So all see the same machine, in one run of
some minutes. `threads` makes each picture by one torch thread, several at once, so that nobody waits for anybody. `by
load` is what PromptLab does: it looks ten times a second who computes (promptlab/engine/machine/idle_threads.py), so
that one process is quick in both halves.

A policy is good where it is within 1.2 times of the best in both situations, for one picture and for four: the last
line says which are. Only idle cores answer that: the head says how busy they were before it began. What PromptLab does
is one constant, BY_LOAD of that module.
"""

import math
import os
import select
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine
from promptlab.engine.machine.idle_threads import BY_LOAD

HOME = Path(__file__).parents[1]
MODEL = HOME / "promptlab" / "models" / "mini"
GOOD = 1.2
LIMIT = 20.0
"""Seconds after which a policy counts as not ending, and is asked no more: it may take minutes."""
STARTING = 120.0

POLICIES: dict[str, dict[str, str]] = {
    "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "unset": {},
    **{f"spin {count}": {"GOMP_SPINCOUNT": str(count)} for count in (1000, 10000)},
    "by load": {},
    "threads": {"OMP_WAIT_POLICY": "PASSIVE"},
}

WORK = f"""
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

policy = sys.argv[1]
sys.path.insert(0, {str(HOME)!r})
import torch
from diffusers import StableDiffusionPipeline
from promptlab.engine.machine.idle_threads import idle_threads_by_load

pipeline = StableDiffusionPipeline.from_pretrained({str(MODEL)!r}, dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
if policy == "threads":
    torch.set_num_threads(1)

def make(seeds, pipeline=pipeline):
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    with idle_threads_by_load("cpu") if policy == "by load" else nullcontext():
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
print("ready", flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    take(list(range(int(line))))
    print(time.perf_counter() - began, flush=True)
"""
BUSY = "while True: pass"


class Worker:
    """Makes pictures by one policy, in a process that stays; one that did not answer in time is gone."""

    def __init__(self, policy: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
        quiet = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORK, policy], env=plain | quiet | POLICIES[policy], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )  # fmt: skip
        self._gone = self._answer(STARTING) != "ready"

    def seconds(self, images: int) -> float:
        """Make so many pictures in one forward; infinite where that does not end."""
        if not self._gone:
            assert self._process.stdin is not None
            self._process.stdin.write(f"{images}\n".encode())
            answer = self._answer(LIMIT)
            if answer:
                return float(answer)
            self.close()
        return math.inf

    def _answer(self, limit: float) -> str:
        assert self._process.stdout is not None
        there, _, _ = select.select([self._process.stdout], [], [], limit)
        return self._process.stdout.readline().decode().strip() if there else ""

    def close(self) -> None:
        self._gone = True
        self._process.kill()
        self._process.wait()


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy in the block."""
    beside = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        beside.kill()
        beside.wait()


Found = dict[tuple[str, int], list[float]]


def measure(workers: dict[str, Worker], rounds: int, images: list[int]) -> Found:
    """Seconds of each policy and number of images; the policies take turns, each round in another order."""
    found: Found = {(policy, count): [] for policy in workers for count in images}
    for turn in range(rounds):
        order = list(workers)[turn % len(workers) :] + list(workers)[: turn % len(workers)]
        for policy in order:
            for count in images:
                found[policy, count].append(workers[policy].seconds(count))
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    images = [int(word) for word in sys.argv[2:]] or [1, 4]
    print(f"{machine()}; {rounds} rounds; load before {os.getloadavg()[0]:.2f}\n")
    with ExitStack() as ending:
        workers = {policy: Worker(policy) for policy in POLICIES}
        for worker in workers.values():
            ending.callback(worker.close)
        alone = measure(workers, rounds, images)
        with busy_core():
            beside = measure(workers, rounds, images)
    worst = dict.fromkeys(POLICIES, 1.0)
    for count in images:
        sides = [{policy: statistics.median(found[policy, count]) for policy in POLICIES} for found in (alone, beside)]
        print(f"{count} at a time   alone s  ratio   beside a busy process s  ratio")
        for policy in POLICIES:
            ratios = [side[policy] / min(side.values()) for side in sides]
            worst[policy] = max(worst[policy], *ratios)
            print(f"{policy:14} {sides[0][policy]:6.2f} {ratios[0]:6.2f} {sides[1][policy]:25.2f} {ratios[1]:6.2f}")
        print()
    for policy, ratio in sorted(worst.items(), key=lambda each: each[1]):
        print(f"{policy:14} at worst {ratio:5.2f} times the best{'' if ratio > GOOD else ': good in both'}")
    print(f"\nPromptLab does: {'by load' if BY_LOAD else 'PASSIVE'}")


if __name__ == "__main__":
    main()
