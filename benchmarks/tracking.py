"""What saving and tracking cost: 64 images with the bundled model, remembered, against generated and thrown away.

    python benchmarks/tracking.py [ROUNDS]

Both in one process with the weights loaded and a workspace that has its tables, in turn, so that the machine's mood
falls on both. "remembered" is ``Lab.run``: PNGs, hashes, rows, the grid and MLflow, everything done when it returns.
Writes `benchmarks/results/tracking.md`.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine, write_result
from promptlab.engine import create_engine, finished_images
from promptlab.lab import Lab
from promptlab.plan import requests_of
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant

AGES = ("oldest", "old", "adult", "young")
SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"),
    call=CallSpec(num_inference_steps=20, guidance_scale=5.0),
    variants=tuple(Variant(prompt=f"portrait photo of a {age} warrior chief") for age in AGES),
    seeds=tuple(range(16)),
    batch_size=8,
)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    engine = create_engine()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder, engine=engine)
        lab.run(SPEC.vary(seeds=(0, 1), num_inference_steps=2))  # weights, tables, imports
        (resolved,) = engine.resolve([SPEC])
        alone: list[float] = []
        remembered: list[float] = []
        for _ in range(rounds):
            began = time.perf_counter()
            count = len(list(finished_images(engine.generate(requests_of(resolved)))))
            alone.append(time.perf_counter() - began)
            began = time.perf_counter()
            run = lab.run(SPEC, again=True)
            remembered.append(time.perf_counter() - began)
            assert count == len(run.made) == 64
            assert run.tracked_at is not None
    ratios = [late / early for early, late in zip(alone, remembered, strict=True)]
    lines = [
        "# What remembering costs", "",
        f"Written by `python benchmarks/tracking.py {rounds}`: {machine()}; the bundled model,",
        "64 images of 20 steps with guidance.", "",
        "| one run of 64 images | seconds |", "| --- | ---: |",
        f"| generated and thrown away | {statistics.median(alone):.2f} |",
        f"| saved and tracked too | {statistics.median(remembered):.2f} |", "",
        f"{statistics.median(ratios):.3f} times as long ({min(ratios):.3f} to {max(ratios):.3f}, round by round).",
    ]  # fmt: skip
    write_result("tracking", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
