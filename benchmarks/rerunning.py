"""What asking for a finished experiment again costs a cell: 1,000 images in 20 runs, all there already.

    python benchmarks/rerunning.py

The painter stands in for the engine: what is measured is expanding, resolving, looking up and comparing, not drawing.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine
from promptlab.expand.experiment_file.reader import parse_experiment
from promptlab.lab import Lab
from promptlab.testing import Painter

FILE = """
prompts: ["portrait photo of {the oldest|a old|a|a young|a very young} warrior chief"]
seeds: 0-9
axes:
  scheduler: [euler, ddim, unipc, "dpmsolver++", heun]
  steps: [10, 20, 30, 40]
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        painter = Painter()
        lab = Lab(folder, engine=painter)
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            experiment = parse_experiment(FILE, file="experiment.yaml", folder=Path(folder))
            sweep = experiment.sweep(default_model="mini")
            lab.run_sweep(sweep, experiment="warrior")
            taken.append(time.perf_counter() - began)
        assert len(painter.painted) == sweep.image_count == 1000
    print(f"{machine()}; {sweep.image_count} images in {len(sweep.cells)} runs\n")
    print(f"made the first time       {taken[0]:7.2f} s")
    print(f"asked for again           {taken[2]:7.2f} s, {taken[2] / sweep.image_count * 1000:.2f} ms a cell")


if __name__ == "__main__":
    main()
