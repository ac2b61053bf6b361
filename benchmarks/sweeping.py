"""A sweep of 64 images, remembered: PromptLab against the loop that people write, in turn, in one process.

    python benchmarks/sweeping.py [ROUNDS] [STEPS]

4 schedulers x 4 prompts x 4 seeds with the bundled model on the CPU, the same weights, steps, guidance and batches of
four. The loop calls the pipeline for each prompt with four generators, saves each picture with Pillow and logs it with
`mlflow.log_image`; ours is `Lab.run_sweep`, all done when it returns: PNGs, hashes, rows, grids, reports, MLflow.
Both are warm: weights loaded, tables there.
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from benchmarks.machine import machine
from promptlab.engine import create_engine
from promptlab.engine.machine.torch_setup import quietly
from promptlab.expand import Axis, build_sweep
from promptlab.lab import Lab
from promptlab.models import bundled
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler

SCHEDULERS = ("pndm", "ddim", "euler", "dpmsolver++")
AGES = ("oldest", "old", "adult", "young")
PROMPTS = tuple(f"portrait photo of a {age} warrior chief" for age in AGES)
SEEDS = (0, 1, 2, 3)
GUIDANCE = 5.0


class Loop:
    """As tutorials have it."""

    def __init__(self, folder: str) -> None:
        import diffusers
        import mlflow
        import torch

        self.folder, self.mlflow, self.torch, self.diffusers = Path(folder), mlflow, torch, diffusers
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        experiment = mlflow.create_experiment("loop", artifact_location=f"file://{folder}/mlruns")
        mlflow.set_experiment(experiment_id=experiment)
        self.pipeline = diffusers.StableDiffusionPipeline.from_pretrained(bundled("mini"), dtype=torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)

    def run(self, steps: int, schedulers: tuple[str, ...] = SCHEDULERS) -> int:
        count = 0
        for scheduler in schedulers:
            kind = getattr(self.diffusers, parse_scheduler(scheduler).name)
            self.pipeline.scheduler = kind.from_config(self.pipeline.scheduler.config)
            for prompt in PROMPTS:
                with self.mlflow.start_run():
                    self.mlflow.log_params({"scheduler": scheduler, "prompt": prompt, "steps": steps})
                    generators = [self.torch.Generator("cpu").manual_seed(seed) for seed in SEEDS]
                    with quietly():
                        images = self.pipeline(
                            [prompt] * len(SEEDS), num_inference_steps=steps, guidance_scale=GUIDANCE,
                            generator=generators,
                        ).images  # fmt: skip
                    for seed, image in zip(SEEDS, images, strict=True):
                        image.save(self.folder / f"{scheduler}-{prompt}-{seed}.png")
                        self.mlflow.log_image(image, key=f"seed/{seed}", step=0)
                        count += 1
                    self.mlflow.flush_artifact_async_logging()  # it begins a run where none is active
        return count


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"),
        call=CallSpec(num_inference_steps=steps, guidance_scale=GUIDANCE),
        variants=tuple(Variant(prompt=prompt) for prompt in PROMPTS),
        seeds=SEEDS,
        device="cpu",
    )
    schedulers = Axis(field="scheduler", values=tuple(map(parse_scheduler, SCHEDULERS)))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as theirs:
        lab, loop = Lab(folder, engine=create_engine()), Loop(theirs)
        lab.run(spec.vary(seeds=(0, 1), num_inference_steps=2))
        loop.run(2, SCHEDULERS[:1])
        taken: dict[str, list[float]] = {"loop": [], "ours": []}
        for _ in range(rounds):
            began = time.perf_counter()
            assert loop.run(steps) == 64
            taken["loop"].append(time.perf_counter() - began)
            began = time.perf_counter()
            record = lab.run_sweep(build_sweep(spec, [schedulers]), again=True)
            taken["ours"].append(time.perf_counter() - began)
            runs = [lab.notebook.run(one.run_id) for one in record.runs]
            assert len(list(itertools.chain.from_iterable(run.made for run in runs))) == 64
            assert all(run.tracked_at is not None for run in runs)
    ratios = [slow / quick for slow, quick in zip(taken["loop"], taken["ours"], strict=True)]
    print(f"{machine()}; 64 images, {steps} steps, {rounds} rounds\n")
    for name, each in taken.items():
        print(f"{name:8} {statistics.median(each):7.2f} s, {64 / statistics.median(each):6.2f} images/s")
    print(
        f"times faster, round by round  {statistics.median(ratios):.3f}  (from {min(ratios):.3f} to {max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
