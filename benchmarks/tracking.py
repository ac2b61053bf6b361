"""What saving and tracking cost: 64 images with the bundled model, remembered, against generated and thrown away.

    python benchmarks/tracking.py [ROUNDS]

Both in one process with the weights loaded and a workspace that has its tables, in turn, so that the machine's mood
falls on both. "remembered" is ``Lab.run``: PNGs, hashes, rows, the grid and MLflow, everything done when it returns.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import machine
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
    print(f"{machine()}; 64 images, {rounds} rounds\n")
    print(f"generated alone         {statistics.median(alone):7.2f} s")
    print(f"saved and tracked too   {statistics.median(remembered):7.2f} s")
    ratios = [late / early for early, late in zip(alone, remembered, strict=True)]
    print(f"ratio, round by round   {statistics.median(ratios):7.3f}  (from {min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
