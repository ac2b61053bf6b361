"""How much memory does a run take, by the number of its images?

    python benchmarks/memory.py                          # 64, 512 and 2,048 images of 128 pixels a side
    python benchmarks/memory.py --side 1024 64 512

The painter stands in for the engine. Each run is made in a process of its own, in which a run of eight images has been
made before, so that all is imported: what is shown is how far the run goes beyond that, from the first image to MLflow,
with grid and report.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine

COUNTS = (64, 512, 2048)
SIDE = 128
ACROSS = 16
"""Seeds of a run; it has as many wordings as it takes."""


def made(count: int, side: int) -> float:
    """Make a run in this process; return by how many MiB its peak is above what was in memory before."""
    from promptlab.lab import Lab
    from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
    from promptlab.testing import Painter

    def spec(wordings: int, seeds: int) -> RunSpec:
        return RunSpec(
            pipeline=PipelineSpec(model="mini"), call=CallSpec(height=side, width=side), seeds=tuple(range(seeds)),
            variants=tuple(Variant(prompt=f"fox number {number} of {count}") for number in range(wordings)),
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder, engine=Painter())
        lab.run(spec(1, 8))
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is what there is now
        before = resident("VmHWM")
        run = lab.run(spec(count // ACROSS, ACROSS))
        assert len(run.made) == count
        peak = resident("VmHWM") - before
        lab.close()
    return peak


def resident(name: str) -> float:
    """Return what Linux says of this process's memory, in MiB."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def table(counts: Sequence[int] = COUNTS, side: int = SIDE) -> str:
    """Return the table, a row a run, each measured in a process of its own."""
    rows = [f"| images of {side} × {side} | peak, MiB | kiB an image |", "| ---: | ---: | ---: |"]
    for count in counts:
        command = [sys.executable, __file__, "--side", str(side), "--here", str(count)]
        peak = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        rows.append(f"| {count:,} | {peak:.0f} | {1024 * peak / count:.0f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("counts", nargs="*", type=int, default=list(COUNTS))
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here is not None:
        print(made(asked.here, asked.side))
        return
    print(f"{machine()}; beyond what a run of eight images leaves in memory\n")
    print(table(asked.counts, asked.side))


if __name__ == "__main__":
    main()
