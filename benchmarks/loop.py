"""The loop that people write for 64 images: diffusers, Pillow and MLflow, as tutorials have them. Nothing of ours.

    python benchmarks/loop.py FOLDER STEPS [TIMES] [DEVICE]

4 schedulers × 4 prompts × 4 seeds with the model in FOLDER/model, batches of four; each picture is saved and logged. It
prints the seconds of each time: the first begins with nothing loaded, the others are warm. On CUDA it is in float16.
"""

import json
import sys
import time
from pathlib import Path

SCHEDULERS = ("PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler")
AGES = ("oldest", "old", "adult", "young")
PROMPTS = tuple(f"portrait photo of a {age} warrior chief" for age in AGES)
SEEDS = (0, 1, 2, 3)
GUIDANCE = 5.0


def main() -> None:
    began = time.perf_counter()
    import diffusers
    import mlflow
    import torch

    folder, steps, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    device = sys.argv[4] if len(sys.argv) > 4 else "cpu"
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    experiment = mlflow.create_experiment("loop", artifact_location=f"file://{folder}/mlruns")
    mlflow.set_experiment(experiment_id=experiment)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder / "model", dtype=dtype).to(device)
    pipeline.set_progress_bar_config(disable=True)
    taken = []
    for _ in range(times):
        for scheduler in SCHEDULERS:
            pipeline.scheduler = getattr(diffusers, scheduler).from_config(pipeline.scheduler.config)
            for prompt in PROMPTS:
                with mlflow.start_run():
                    mlflow.log_params({"scheduler": scheduler, "prompt": prompt, "steps": steps})
                    images = pipeline(
                        [prompt] * len(SEEDS), num_inference_steps=steps, guidance_scale=GUIDANCE,
                        generator=[torch.Generator("cpu").manual_seed(seed) for seed in SEEDS],
                    ).images  # fmt: skip
                    for seed, image in zip(SEEDS, images, strict=True):
                        image.save(folder / f"{scheduler}-{prompt}-{seed}.png")
                        mlflow.log_image(image, key=f"seed/{seed}", step=0)
                    mlflow.flush_artifact_async_logging()  # it begins a run where none is active
        taken.append(time.perf_counter() - began)
        began = time.perf_counter()
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
