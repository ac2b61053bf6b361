"""What many GPUs make of many images, by the dealer as it is coded: efficiency, and where the driver saturates.

    python benchmarks/cluster_simulation.py [--quick]

Simulated: seconds an image, loading a pipeline, a round trip of Ray for each share, and one driver that takes pictures
one after the other, at the rate that benchmarks/cluster.py measures of the recorder. Not simulated: the network. Times
of images are drawn around their mean (5 %). Efficiency is the time that as many GPUs without any loss would take,
loading included, over the time that the simulated ones take.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import write_result
from promptlab.cluster.dealer import Dealer
from promptlab.cluster.work_items import WorkItem

GPUS = (1, 8, 64, 512)
IMAGES = (10_000, 1_000_000)
ROWS = 4
FOUND = """\
Eight GPUs are used nearly whole. Where the driver sets the pace, more bring nothing: then several commands share
the cluster, each a driver of its own with a part of the seeds and its records in PostgreSQL, where writers take turns
but rows are a small part of a picture (benchmarks/results/cluster.md has the rows a second of both databases). What
saturates is the encoding of PNGs, three fifths of what a picture costs the driver: the next step would be to let
workers do it. Where neither is busy, as with 512 GPUs and twenty pictures for each, it is the loading of weights that
takes the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One kind of work.

    Args:
        seconds: of one image on one GPU, in a batch of four.
        load: seconds until a pipeline is loaded.
        pipelines: that the images are of, in equal parts.
        unequal: whether images take up to three times the shortest: a sweep over steps.
        driver: seconds that the driver needs for one picture.
        large: whether a million images are tried out, too.
    """

    name: str
    seconds: float
    load: float
    driver: float
    pipelines: int = 1
    unequal: bool = False
    large: bool = False


def items_of(setting: Setting, images: int) -> list[WorkItem]:
    chance = random.Random(7)
    costs = (1.0, 2.0, 3.0) if setting.unequal else (1.0,)
    return [
        WorkItem(
            id=str(number), batch_key=str(number % setting.pipelines), pipeline_key=number % setting.pipelines,
            rows=ROWS, cost=chance.choice(costs),
        )
        for number in range(images)
    ]  # fmt: skip


class Simulation:
    """Runs a dealer on a counted clock; an event is a batch that is done, or a share that has arrived."""

    TRIP = 0.003

    def __init__(self, setting: Setting, gpus: int, images: int) -> None:
        self.setting = setting
        items = items_of(setting, images)
        self.mean = sum(item.cost for item in items) / images
        self.items = {item.id: item for item in items}
        self.dealer = Dealer(items)
        self.chance = random.Random(gpus)
        self.events: list[tuple[float, int, str, list[str]]] = []
        self.numbers = itertools.count()
        self.left: dict[str, list[str]] = {}
        self.loaded: dict[str, object] = {}
        self.taken_back: set[str] = set()
        self.driver_free = self.driver_busy = 0.0
        self.idle = dict.fromkeys(map(str, range(gpus)))
        for worker in self.idle:
            self.dealer.join(worker)

    def run(self) -> float:
        """Return the seconds until the last picture is stored."""
        self.deal(0.0)
        while self.events:
            now, _, worker, batch = heapq.heappop(self.events)
            self.batch_done(now, worker, batch)
        return self.driver_free

    def deal(self, now: float) -> None:
        for worker in list(self.idle):
            ids = list(self.dealer.deal(worker))
            if ids:
                del self.idle[worker]
                self.left[worker] = ids
                self.begin_batch(now + self.TRIP, worker)
                continue
            victim = self.dealer.victim(worker)
            if victim is None:
                break  # nobody has more than a batch left, for this worker or the next
            self.taken_back.add(victim)

    def begin_batch(self, now: float, worker: str) -> None:
        ids = self.left[worker]
        first = self.items[ids[0]]
        if self.loaded.get(worker) != first.pipeline_key:
            self.loaded[worker] = first.pipeline_key
            now += self.setting.load
        batch = ids[:ROWS]
        for one in batch:
            self.dealer.begin(worker, one)
        mean = sum(self.items[one].cost for one in batch) / self.mean
        took = self.setting.seconds * mean * (ROWS / len(batch)) * self.chance.uniform(0.95, 1.05)
        heapq.heappush(self.events, (now + took, next(self.numbers), worker, batch))

    def batch_done(self, now: float, worker: str, batch: list[str]) -> None:
        for one in batch:
            self.dealer.settle(worker, one)
        self.driver_free = max(self.driver_free, now) + len(batch) * self.setting.driver
        self.driver_busy += len(batch) * self.setting.driver
        # pictures wait at the worker once the driver is as far behind as there is room for them
        now = max(now, self.driver_free - 32 * self.setting.driver)
        ids = self.left[worker] = self.left[worker][len(batch) :]
        if ids and worker not in self.taken_back:
            self.begin_batch(now, worker)
            return
        self.taken_back.discard(worker)
        self.dealer.end(worker)
        self.idle[worker] = None
        self.deal(now)


def settings(driver: float) -> tuple[Setting, ...]:
    return (
        Setting(name="SD 1.5, 512², 20 steps (0.044 s)", seconds=0.044, load=6.0, driver=driver, large=True),
        Setting(name="the same, a sweep over steps (×1 to ×3)", seconds=0.044, load=6.0, driver=driver, unequal=True),
        Setting(name="SDXL, 1024², 20 steps (0.36 s)", seconds=0.36, load=15.0, driver=4 * driver, large=True),
        Setting(name="the same, four models", seconds=0.36, load=15.0, driver=4 * driver, pipelines=4),
        Setting(name="FLUX, 1024² (2.5 s)", seconds=2.5, load=60.0, driver=4 * driver),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--driver", type=float, default=0.005, help="seconds a picture of 512² at the driver")
    parser.add_argument("--quick", action="store_true", help="10,000 images alone")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/cluster_simulation.md")
    asked = parser.parse_args()
    lines = [
        "# Many GPUs, simulated with the dealer as it is coded",
        "",
        f"One driver stores {1 / asked.driver:.0f} pictures of 512² a second, a quarter of that of 1024².",
        "Efficiency, and how busy the driver is. Bold: it is the driver that sets the pace.",
        "",
        "| work | images | " + " | ".join(f"{gpus} GPUs" for gpus in GPUS) + " |",
        "| --- | --- | " + " | ".join("---" for _ in GPUS) + " |",
    ]
    for setting in settings(asked.driver):
        for images in IMAGES if setting.large and not asked.quick else IMAGES[:1]:
            cells = []
            for gpus in GPUS:
                began = time.perf_counter()
                simulation = Simulation(setting, gpus, images)
                took = simulation.run()
                ideal = images * setting.seconds / gpus + setting.load
                busy = simulation.driver_busy / took
                cell = f"{ideal / took:.0%} ({busy:.0%})"
                cells.append(f"**{cell}**" if busy > 0.95 else cell)
                print(setting.name, images, gpus, cell, f"{time.perf_counter() - began:.1f} s", file=sys.stderr)
            lines.append(f"| {setting.name} | {images:,} | " + " | ".join(cells) + " |")
    lines += ["", FOUND]
    text = "\n".join(lines) + "\n"
    if asked.save:
        write_result("cluster_simulation", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
