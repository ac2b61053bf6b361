"""What Ray costs, and what it brings: on this machine's cores, as workers.

    python benchmarks/cluster.py recorder rows overhead lost compare [--rounds N] [--save]

- recorder: pictures a second that one process stores at 512², PNG, row and all; the source costs nothing.
- rows: rows a second that one writer adds, four in a transaction, in SQLite and in PostgreSQL on this machine.
- overhead: milliseconds that a picture of 512² takes more through Ray than in this process.
- lost: seconds from ``kill -9`` of one of two workers until all pictures that were begun then are there.
- compare: 64 pictures of the bundled model by two workers of one core each against one process with two threads, warm,
  in turn. Processor seconds are of all processes that made them.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil

from benchmarks.machine import machine, write_result
from promptlab.cluster import RayEngine
from promptlab.engine import Engine, ImageDone, ImageStarted, WorkerLost, create_engine
from promptlab.errors import TrackerError
from promptlab.lab import Lab
from promptlab.lab.execution.events import Event, ImagesGenerated
from promptlab.plan import ImageRequest, requests_of
from promptlab.records import ImageStatus
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.store.notebook import Notebook
from promptlab.testing import Painter
from promptlab.workspace import Workspace


class Still(Painter):
    """Hands out one photograph-like picture, so that the source of pictures costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        chance = np.random.default_rng(0)
        rows, columns = np.mgrid[:512, :512]
        smooth = np.stack([rows / 2, columns / 2, (rows + columns) / 4], axis=2)
        self._pixels = np.ascontiguousarray(smooth + chance.integers(0, 8, smooth.shape), dtype=np.uint8)

    def _paint(self, request: ImageRequest, *, batch: int, row: int) -> ImageDone:
        return ImageDone(
            request_id=request.id, pixels=self._pixels, batch=batch, row=row, seconds=0.0,
            environment=self._environment(), peak_memory=0,
        )  # fmt: skip


class Untold:
    """Is no tracker: importing MLflow would be measured."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def refuse(*_: object, **__: object) -> None:
            if name not in ("interrupt", "close"):
                raise TrackerError("nobody is told")

        return refuse


def spec_of(images: int, side: int, **changes: object) -> RunSpec:
    return RunSpec(
        pipeline=PipelineSpec(model="mini"), call=CallSpec(height=side, width=side, **changes),  # type: ignore[arg-type]
        variants=(Variant(prompt="portrait photo of a old warrior chief"),), seeds=tuple(range(images)), batch_size=4,
    )  # fmt: skip


def seconds_of(engine: Engine, spec: RunSpec) -> float:
    """Return how long a generation takes, resolving left out."""
    requests = requests_of(engine.resolve([spec])[0])
    began = time.perf_counter()
    made = sum(isinstance(event, ImageDone) for event in engine.generate(requests))
    if made != spec.image_count:
        raise SystemExit(f"{made} of {spec.image_count} pictures were made")
    return time.perf_counter() - began


def recorder(rounds: int) -> Iterator[str]:
    rates, costs = [], []
    for _ in range(rounds):
        times: list[float] = []
        used: list[float] = []

        def watch(event: Event, times: list[float] = times, used: list[float] = used) -> None:
            if isinstance(event, ImagesGenerated):
                times.append(time.perf_counter())
                used.append(time.process_time())

        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(folder, engine=Still(), tracker=Untold())  # type: ignore[arg-type]
            lab.run(spec_of(240, 512), watch=watch)
            lab.close()
        half = len(times) // 2
        rates.append((len(times) - half) / (times[-1] - times[half - 1]))
        costs.append(1000 * (used[-1] - used[half - 1]) / (len(used) - half))
    yield f"| one process stores, 512², pictures a second | {statistics.median(rates):.0f} |"
    yield f"| … processor milliseconds of a picture, on all cores together | {statistics.median(costs):.1f} |"


def rows(rounds: int) -> Iterator[str]:
    from tests import postgresql

    with tempfile.TemporaryDirectory() as folder:
        yield rows_line("SQLite", Notebook.at(Workspace.at(folder)), rounds)
    if postgresql.programs() is None:
        yield "| rows a second, PostgreSQL | not installed |"
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with postgresql.running(port) as server, tempfile.TemporaryDirectory() as folder:
        for setting in (
            "fsync",
            "synchronous_commit",
            "full_page_writes",
        ):  # as a server has them that keeps what it says
            server.admin(f"ALTER SYSTEM SET {setting} = on")
        server.admin("SELECT pg_reload_conf()")
        server.create("rows")
        notebook = Notebook.at(Workspace.at(folder, server.url("rows")))
        yield rows_line("PostgreSQL", notebook, rounds)


def rows_line(name: str, notebook: Notebook, rounds: int) -> str:
    """Write the rows of a thousand pictures a round, four at a time."""
    rates, costs = [], []
    (resolved,) = Painter().resolve([spec_of(1000, 512)])
    for _ in range(rounds):
        run = notebook.begin_run(resolved, requests_of(resolved), environment=resolved.environment, experiment="rows")
        made = [
            dataclasses.replace(
                image, status=ImageStatus.MADE, path=f"images/{run.id:05}/{image.seed}.png", width=512, height=512,
                pixel_sha256="0" * 64, batch=image.position // 4, slot=image.position % 4, seconds=0.0, peak_memory=0,
                made_at=datetime.now(UTC),
            )
            for image in run.images
        ]  # fmt: skip
        began, used = time.perf_counter(), time.process_time()
        for first in range(0, len(made), 4):
            notebook.add_images(run.id, made[first : first + 4])
        rates.append(len(made) / (time.perf_counter() - began))
        costs.append(1000 * (time.process_time() - used) / len(made))
    return (
        f"| rows a second, {name}, four in a transaction | {statistics.median(rates):.0f} "
        f"({statistics.median(costs):.2f} processor ms each here) |"
    )


def overhead(rounds: int) -> Iterator[str]:
    spec = spec_of(200, 512)
    here, there = Still(), RayEngine(workers=1, make_engine=Still)
    seconds_of(there, spec_of(8, 512))
    more = [1000 * (seconds_of(there, spec) - seconds_of(here, spec)) / spec.image_count for _ in range(rounds)]
    there.close()
    yield f"| a picture of 512² through Ray takes more, ms | {statistics.median(more):.1f} |"


def lost(rounds: int) -> Iterator[str]:
    taken: list[float] = []
    while len(taken) < rounds:
        engine = RayEngine(workers=2, make_engine=partial(Painter, seconds=0.1))
        requests = requests_of(engine.resolve([spec_of(200, 64)])[0])
        begun: set[str] = set()
        awaited: set[str] = set()
        killed_at = made_at = 0.0
        was_at_work = False  # the one that was killed; else the round says nothing
        for event in engine.generate(requests):
            if isinstance(event, ImageStarted) and not killed_at:
                begun.add(event.request_id)
                if len(begun) > 4:  # both workers have begun some
                    killed_at, awaited = time.perf_counter(), set(begun)
                    os.kill(engine.worker_pids()[0], signal.SIGKILL)
            elif isinstance(event, ImageDone):
                begun.discard(event.request_id)
                awaited.discard(event.request_id)
                made_at = made_at or (time.perf_counter() if killed_at and not awaited else 0.0)
            elif isinstance(event, WorkerLost):
                was_at_work = was_at_work or (event.images > 0 and not made_at)
        engine.close()
        if was_at_work:
            taken.append(made_at - killed_at)
    yield f"| from a worker's death to its pictures made elsewhere, seconds | {statistics.median(taken):.2f} |"


def compare(rounds: int) -> Iterator[str]:
    spec = spec_of(64, 128, num_inference_steps=20)
    alone, workers = create_engine(), RayEngine(workers=2)
    for engine in (alone, workers):
        seconds_of(engine, spec_of(8, 128, num_inference_steps=2))
    while len(workers.worker_pids()) < 2:  # one that comes late would load its model in what is measured
        seconds_of(workers, spec_of(8, 128, num_inference_steps=2))
    seconds_of(workers, spec_of(16, 128, num_inference_steps=2))
    pairs, used = [], []
    for _ in range(rounds):
        first = cpu_seconds(workers)
        one = seconds_of(alone, spec)
        second = cpu_seconds(workers)
        pairs.append((one, seconds_of(workers, spec)))
        used.append((second - first, cpu_seconds(workers) - second))
    workers.close()
    ratio = statistics.median(one / two for one, two in pairs)
    one, two = (statistics.median(each) for each in zip(*pairs, strict=True))
    yield f"| 64 pictures of the bundled model, 20 steps: one process, seconds | {one:.1f} |"
    yield f"| … two workers of one core each, seconds | {two:.1f} |"
    yield f"| … times as quick | {ratio:.2f} |"
    here, there = (statistics.median(each) for each in zip(*used, strict=True))
    yield f"| … processor seconds, one process / two workers and this one | {here:.1f} / {there:.1f} |"


def cpu_seconds(workers: RayEngine) -> float:
    """Return the processor time of this process and the workers so far."""
    times = [psutil.Process(pid).cpu_times() for pid in workers.worker_pids()]
    return time.process_time() + sum(each.user + each.system for each in times)


PARTS: dict[str, Callable[[int], Iterator[str]]] = {
    "recorder": recorder, "rows": rows, "overhead": overhead, "lost": lost, "compare": compare,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=[*PARTS])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/cluster.md")
    asked = parser.parse_args()
    lines = [
        f"# Workers of Ray on one machine\n\n{machine()}; load {os.getloadavg()[0]:.1f}; medians of {asked.rounds}.\n",
        "| asked | found |\n| --- | --- |",
    ]
    for part in asked.parts:
        for line in PARTS[part](asked.rounds):
            print(line, flush=True)
            lines.append(line)
        if asked.save:  # after each: what was measured stays when a later one is stopped
            write_result("cluster", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
