"""How long it takes to expand, resolve and plan 100,000 cells, and how much memory.

    python benchmarks/planning.py [--engine]

Two shapes: 100 prompts x 10 seeds under each of 100 settings, and one image under each of 100,000. Each is planned when
nothing is there and when everything is, in a process of its own; every stage is timed once. Memory is the most the
process ever held, less what it held once the modules were imported. The painter resolves, or, with ``--engine``,
diffusers and the bundled model, loaded before the clock starts.
"""

import itertools
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine
from promptlab.engine import Engine, create_engine
from promptlab.expand import Axis, build_sweep
from promptlab.plan import Pace, plan
from promptlab.specs import PipelineSpec, RunSpec, SchedulerSpec, Variant
from promptlab.testing import Painter

CELLS = 100_000
SCHEDULERS = tuple(
    SchedulerSpec(name=f"{name}Scheduler")
    for name in ("PNDM", "DDIM", "EulerDiscrete", "DPMSolverMultistep", "UniPCMultistep")
)
SHAPES = {
    "100 prompts x 10 seeds x 100 settings": (100, 10, 20),
    "1 image x 100,000 settings": (1, 1, 20_000),
}


def measure(shape: str, *, real: bool) -> None:
    prompts, seeds, guidances = SHAPES[shape]
    base = RunSpec(
        pipeline=PipelineSpec(model="mini"),
        variants=tuple(Variant(prompt=f"portrait photo of a warrior, age {age}") for age in range(prompts)),
        seeds=tuple(range(seeds)),
    )
    axes = (
        Axis(field="scheduler", values=SCHEDULERS),
        Axis(field="guidance", values=tuple(1 + place / 1000 for place in range(guidances))),
    )
    engine: Engine = create_engine() if real else Painter()
    engine.resolve([base])
    pace = Pace(seconds_per_image=1, load_seconds=5, bytes_per_image=4e5)
    began_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = [time.perf_counter()]
    made = build_sweep(base, axes)
    times.append(time.perf_counter())
    resolved = engine.resolve(made.specs)
    times.append(time.perf_counter())
    fresh = plan(resolved, pace=lambda _: pace)
    times.append(time.perf_counter())
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began_with) / 1024
    there = {key for run in fresh.runs for key in run.keys}
    times.append(time.perf_counter())
    done = plan(resolved, there=there, pace=lambda _: pace)
    times.append(time.perf_counter())
    assert (fresh.images, fresh.there, done.there) == (CELLS, 0, CELLS)
    expanding, resolving, planning, _, again = (after - before for before, after in itertools.pairwise(times))
    print(
        f"{shape:40} {expanding:9.2f} {resolving:9.2f} {planning:9.2f} {again:9.2f} {expanding + planning:9.2f}"
        f" {memory:9.0f}"
    )


def main() -> None:
    if "--shape" in sys.argv:
        measure(sys.argv[sys.argv.index("--shape") + 1], real="--engine" in sys.argv)
        return
    print(machine())
    print(
        f"{'seconds':40} {'expand':>9} {'resolve':>9} {'plan':>9} {'all there':>9} {'exp+plan':>9} {'MB':>9}",
        flush=True,
    )
    for shape in SHAPES:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--shape", shape], check=True)


if __name__ == "__main__":
    main()
