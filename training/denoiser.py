"""The second stage: UNet and text encoder together, on latents that were computed once.

The loss is plain v-prediction: every weighting that favours clean steps starves the noisy ones, where colour, role and age are decided.
A linear head must read all attributes from the pooled text that goes into the time embedding: words are bound within minutes that way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from training.dataset import HELD_OUT
from training.encoding import begun, encoded
from training.labels import SIZES, cross_entropies
from training.loop import Plan, train
from training.networks import text_encoder, unet
from training.ranks import Ranks
from training.rows import Rows
from training.tokenizer import CAPTIONS, load_tokenizer

__all__ = ["NAME", "SCHEDULE", "networks", "train_denoiser"]

NAME = "denoiser"
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}
"""Stable Diffusion's noise, with v-prediction."""
MICRO_BATCH = 32
WITHOUT_WORDS = 0.12
"""The share of captions left empty, for guidance."""


def networks(work: Path) -> dict[str, nn.Module]:
    """UNet, text encoder and the head that reads attributes from the pooled text; a released model's where the work began from one."""
    torch.manual_seed(0)
    start = work / "start"
    noise = (
        UNet2DConditionModel.from_pretrained(start / "unet", torch_dtype=torch.float32)
        if begun(work, "unet")
        else unet()
    )
    if begun(work, "text_encoder"):
        words = CLIPTextModel.from_pretrained(start / "text_encoder", dtype=torch.float32)
    else:
        words = text_encoder(load_tokenizer(work / "tokenizer"))
    return {
        "unet": noise.train(),
        "text": words.train(),
        "head": nn.Linear(noise.time_embedding.linear_2.out_features, sum(SIZES)),
    }


def train_denoiser(work: Path, minutes: float, ranks: Ranks, look: Callable[[int], None] | None = None) -> None:
    """Train for ``minutes`` in all."""
    modules = {name: module.to(ranks.device) for name, module in networks(work).items()}
    noise: UNet2DConditionModel = modules["unet"]
    words, head = modules["text"], modules["head"]
    device, end = ranks.device, encoded(work)
    latents, tokens, labels = (
        Rows(np.load(work / f"{name}.npy", mmap_mode="r")[:end], device) for name in ("latents", "tokens", "labels")
    )
    tokenizer = load_tokenizer(work / "tokenizer")
    silent = torch.full((tokenizer.model_max_length,), tokenizer.eos_token_id, device=device)
    silent[0] = tokenizer.bos_token_id
    kept = DDPMScheduler(**SCHEDULE).alphas_cumprod.to(device)
    count = MICRO_BATCH * (32 if device.type == "cuda" else 1)
    places = torch.arange(count, device=device)

    def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
        del share
        index = torch.randint(HELD_OUT, end, (count,), device=device)
        z = latents[index].float()
        said = tokens[index][places, torch.randint(0, CAPTIONS, (count,), device=device)].long()
        mute = (torch.rand(count, device=device) < WITHOUT_WORDS)[:, None]
        said, known = torch.where(mute, silent, said), labels[index].masked_fill(mute, -1)
        t = ((torch.rand(count, device=device) + places) / count * 1000).long()[torch.randperm(count, device=device)]
        a = kept[t].view(-1, 1, 1, 1)
        n = torch.randn_like(z)
        mixed, aim = a.sqrt() * z + (1 - a).sqrt() * n, a.sqrt() * n - (1 - a).sqrt() * z
        with torch.autocast(device.type, torch.bfloat16):
            hidden = words(said).last_hidden_state
            made = noise(mixed, t, hidden, return_dict=False)[0].float()
            read = head(noise.add_embedding(hidden))
        heard = torch.stack(cross_entropies(read, known)).mean()
        error = ((made - aim) ** 2).mean()
        return error + 0.05 * heard, {"v_error": error, "words": heard}

    going_on = begun(work, "unet")
    plan = Plan(
        name=NAME, minutes=minutes, rate=6e-4 if going_on else 1.2e-3, hold=0.6, logged=("v_error", "words"), betas=(0.9, 0.99),
        decay=0.9985 if going_on else 0.998, warm=80, micro=2, muon=not going_on,
    )  # fmt: skip
    train(plan, work, ranks, modules, loss_of, look)
