"""The work folder's networks as what ships: a plain StableDiffusionPipeline folder and two autoencoders, float16, safetensors only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline

from training.decoder import fine, own, tiny
from training.denoiser import NAME, SCHEDULE, networks
from training.loop import averaged, checkpoint
from training.tokenizer import load_tokenizer

__all__ = ["LIMIT", "export", "pipeline", "size_of"]

LIMIT = 20_000_000
"""Bytes that the pipeline may have, all parts together."""


def pipeline(work: Path) -> StableDiffusionPipeline:
    """The averaged weights as they stand, float32."""
    parts = networks(work)
    if checkpoint(work, NAME).is_file():
        averaged(work, NAME, parts)
    scheduler = PNDMScheduler(**SCHEDULE, set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1)
    scheduler.register_to_config(
        clip_sample=False
    )  # PNDM does not know it, but those that are made from its configuration do
    return StableDiffusionPipeline(
        vae=own(work), text_encoder=parts["text"].eval(), tokenizer=load_tokenizer(work / "tokenizer"), unet=parts["unet"].eval(),
        scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def size_of(folder: Path) -> int:
    """Bytes of the files that a pipeline is loaded from; the model card is not one."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")


def _forget_paths(folder: Path) -> None:
    """Configurations say nothing of the machine that wrote them; files are as readable as any others."""
    for path in folder.rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


def export(work: Path, models: Path) -> None:
    """Write ``mini``, ``mini-vae-ft`` and ``mini-vae-tiny`` into ``models``; model cards stay as they are."""
    for part in ("scheduler", "text_encoder", "tokenizer", "unet", "vae"):
        shutil.rmtree(models / "mini" / part, ignore_errors=True)
    pipeline(work).to(torch.float16).save_pretrained(models / "mini", safe_serialization=True)
    if (size := size_of(models / "mini")) > LIMIT:
        raise SystemExit(
            f"mini has {size:,} bytes; {LIMIT:,} are allowed: make the UNet smaller in training/networks.py"
        )
    for name, load in (("fine", fine), ("tiny", tiny)):
        if checkpoint(work, name).is_file():
            folder = models / {"fine": "mini-vae-ft", "tiny": "mini-vae-tiny"}[name]
            load(work).to(torch.float16).save_pretrained(folder, safe_serialization=True)
    for folder in models.glob("mini*"):
        _forget_paths(folder)
