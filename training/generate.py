"""Pictures from a pipeline folder, by diffusers alone: what is measured is what anyone would get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

__all__ = ["Ask", "generate", "load"]

STEPS, GUIDANCE = 20, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One picture: its words and its seed."""

    prompt: str
    seed: int
    negative: str = ""


def load(folder: Path, dtype: torch.dtype = torch.float32) -> StableDiffusionPipeline:
    """The pipeline in ``folder`` with DPM-Solver++."""
    pipe = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=dtype, safety_checker=None, requires_safety_checker=False
    )
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to("cuda" if torch.cuda.is_available() else "cpu")


def generate(pipe: StableDiffusionPipeline, asks: list[Ask], batch: int = 8) -> np.ndarray:
    """uint8 (asks, 128, 128, 3): 20 DPM-Solver++ steps, guidance 5."""
    made = []
    for start in range(0, len(asks), batch):
        part = asks[start : start + batch]
        images = pipe(
            [ask.prompt for ask in part], negative_prompt=[ask.negative for ask in part], num_inference_steps=STEPS, guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(ask.seed) for ask in part], output_type="np",
        ).images  # fmt: skip
        made.append((np.clip(images, 0, 1) * 255).round().astype(np.uint8))
    return np.concatenate(made)
