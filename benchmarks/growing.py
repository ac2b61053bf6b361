"""What grows with the number of runs in a workspace, and how fast?

    python benchmarks/growing.py                         # 10, 100 and 1,000 runs of eight pictures
    python benchmarks/growing.py 10 100 1000 10000

A run is made by the painter and recorded in MLflow; the others are copies of it with seeds, numbers and uids of their
own: rows, PNG files that say what they are, artifacts and MLflow's rows, all of which ``doctor`` finds in order. Then
commands are carried out within one process, each a few times; the fastest is shown, in seconds. ``doctor`` is shown
twice: as it reads every picture (``--deep``), and as it does when it has read them before. Then memory, by the number
of images of one run (``memory.py``). Both are written to ``benchmarks/results/growing.md``.
"""

import dataclasses
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import memory
from benchmarks.machine import machine, write_result
from promptlab.images.metadata import describe
from promptlab.images.png import read_pixels, write_png
from promptlab.lab import Lab
from promptlab.plan import ResolvedSpec, keys_of, requests_of
from promptlab.records import ImageRecord, RunRecord
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter
from promptlab.tracking.artifacts import write_variant_artifacts
from promptlab.tracking.variant_run import VariantRun

SEEDS = 8
SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="portrait photo of a old warrior chief"),),
    seeds=tuple(range(SEEDS)),
)  # fmt: skip
COPIED = ("params", "metrics", "latest_metrics", "tags")
"""MLflow's tables that belong to a run."""


class Workspaces:
    """Grows one workspace.

    Args:
        folder: a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder, engine=Painter())
        self.first = self.lab.run(SPEC)
        (self.resolved,) = self.lab.context.resolve((self.first.spec,))
        self.pixels = [read_pixels(folder / str(image.path)) for image in self.first.images]
        self.runs = 1

    def grow(self, runs: int) -> None:
        """Copy the first run until there are so many."""
        with closing(sqlite3.connect(self.lab.workspace.database, isolation_level=None)) as mlflow:
            mlflow.execute("PRAGMA synchronous=OFF")
            while self.runs < runs:
                self.runs += 1
                self._record(mlflow, self._copy(self.runs))

    def _copy(self, number: int) -> RunRecord:
        workspace, first = self.lab.workspace, self.first
        seeds = tuple(range(number * SEEDS, (number + 1) * SEEDS))
        spec = first.spec.vary(seeds=seeds)
        resolved = dataclasses.replace(self.resolved, spec=spec)
        folder = workspace.run_folder(number)
        folder.mkdir(parents=True)
        run = dataclasses.replace(
            first, id=number, uid=uuid.uuid4().hex, spec=spec,
            images=tuple(self._images(number, resolved)),
        )  # fmt: skip
        for image, request, pixels in zip(run.images, requests_of(resolved), self.pixels, strict=True):
            text = describe(run, image, request, environment=run.environment)
            write_png(workspace.root / str(image.path), pixels, text)
        for name in ("grid.png", "report.html"):
            os.link(workspace.run_folder(first.id) / name, folder / name)
        return self.lab.notebook.restore_run(run, {})

    def _images(self, number: int, resolved: ResolvedSpec) -> Iterator[ImageRecord]:
        workspace = self.lab.workspace
        keys = keys_of([resolved])[0]
        for image, key, seed in zip(self.first.images, keys, resolved.spec.seeds, strict=True):
            path = workspace.relative(workspace.run_folder(number) / workspace.image_name(image.variant, seed))
            yield dataclasses.replace(image, run_id=number, seed=seed, recipe_key=key, path=path)

    def _record(self, mlflow: sqlite3.Connection, run: RunRecord) -> None:
        mine, theirs = uuid.uuid4().hex, str(self.first.variants[0].mlflow_run_id)
        shown = VariantRun(run=run, variant=run.variants[0])
        experiment, uri = mlflow.execute(
            "SELECT experiment_id, artifact_uri FROM runs WHERE run_uuid = ?", (theirs,)
        ).fetchone()
        mlflow.execute("BEGIN IMMEDIATE")
        columns = [row[1] for row in mlflow.execute("PRAGMA table_info(runs)")]
        own = {"run_uuid": mine, "artifact_uri": uri.replace(theirs, mine), "name": shown.name,
               "start_time": shown.start_ms, "end_time": shown.end_ms}  # fmt: skip
        chosen = ", ".join(f":{column}" if column in own else column for column in columns)
        mlflow.execute(
            f"INSERT INTO runs ({', '.join(columns)}) SELECT {chosen} FROM runs WHERE run_uuid = :theirs",
            own | {"theirs": theirs},
        )
        for table in COPIED:
            columns = [row[1] for row in mlflow.execute(f"PRAGMA table_info({table})")]
            chosen = ", ".join(":mine" if column == "run_uuid" else column for column in columns)
            mlflow.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} WHERE run_uuid = :theirs",
                {"mine": mine, "theirs": theirs},
            )
        for table, values in (("params", shown.params()), ("tags", shown.tags()), ("latest_metrics", shown.metrics())):
            mlflow.executemany(
                f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?",
                [(value, mine, key) for key, value in values.items()],
            )
        mlflow.execute("COMMIT")
        folder = self.lab.workspace.artifacts.joinpath(*own["artifact_uri"].split(":/", 1)[1].strip("/").split("/"))
        write_variant_artifacts(folder, shown, workspace=self.lab.workspace, thumbnail=b"thumbnail")
        self.lab.notebook.mark_tracked(run.id, {0: mine}, at=datetime.now(UTC))
        assert experiment


def fastest(act: Callable[[], object], times: int = 3) -> float:
    """Return the seconds of the fastest of a few times."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return min(taken)


def measure(lab: Lab, number: int) -> dict[str, float]:
    """Return what each command takes in a workspace, in seconds."""
    healthy(lab, deep=True)
    words = iter(range(10**9))

    def new_run() -> None:
        lab.run(SPEC.vary(variants=(Variant(prompt=f"{number} {next(words)}"),)))

    taken = {
        "doctor --deep": fastest(lambda: healthy(lab, deep=True), 1),
        "doctor": fastest(lambda: healthy(lab), 2),
        "sync": fastest(lab.maintenance.sync, 2),
        "list": fastest(lambda: lab.history.list(limit=20)),
        "list --limit 0": fastest(lab.history.list),
        "show last": fastest(lambda: lab.history.find("last")),
        "the same run again": fastest(lambda: lab.run(SPEC)),
    }
    taken["new run"] = fastest(new_run)
    line = lab.history.find("last").run
    for _ in range(3):
        spec = line.spec.vary(variants=(Variant(prompt=f"{line.variants[0].variant.prompt}, x"),))
        line = lab.run(spec, parent=line)
    taken["rerun"] = fastest(lambda: lab.run(SPEC.vary(variants=(Variant(prompt=f"r {next(words)}"),)), parent=line))
    return taken


def healthy(lab: Lab, *, deep: bool = False) -> None:
    """Check the workspace, in which nothing may be wrong."""
    found = lab.maintenance.doctor(deep=deep)
    assert not found, found[0]


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [10, 100, 1000]
    columns: dict[int, dict[str, float]] = {}
    for size in sizes:
        folder = Path(tempfile.mkdtemp())
        try:
            began = time.perf_counter()
            space = Workspaces(folder / "space")
            space.grow(size)
            print(f"{size:,} runs in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            columns[size] = measure(space.lab, size)
        finally:
            shutil.rmtree(folder)
    write_result("growing", "\n".join(report(columns)))


def report(columns: dict[int, dict[str, float]]) -> Iterator[str]:
    """Yield the lines of what was found."""
    sizes = list(columns)
    yield from ("# What grows with the number of runs, and of images", "", machine(), "")
    yield from (f"Seconds, in workspaces of so many runs of {SEEDS}; written by `benchmarks/growing.py`:", "")
    yield "| runs | " + " | ".join(f"{size:,}" for size in sizes) + " |"
    yield "| --- |" + " ---: |" * len(sizes)
    for name in columns[sizes[0]]:
        yield f"| {name} | " + " | ".join(f"{columns[size][name]:.3f}" for size in sizes) + " |"
    yield from ("", "Memory of one run, beyond what a run of eight images leaves; `benchmarks/memory.py`:", "")
    yield from (memory.table(), "")
    yield from ("As large as SDXL makes them, of which a run keeps a few, and a sheet of 80 million pixels:", "")
    yield from (memory.table((16, 64, 128), 1024), "")


if __name__ == "__main__":
    main()
