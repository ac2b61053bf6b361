"""Pictures to latents, once: what the denoiser is trained on needs no pictures after that.

Latents are written in order and counted in a marker, so that training can begin on the first few thousand and find more at its next start.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from training.autoencoder import as_tensor, begun_or_new, evened
from training.dataset import HELD_OUT, load_pictures
from training.everything import PARTS
from training.loop import averaged, checkpoint
from training.ranks import Ranks

__all__ = ["RELEASED_FINE", "begin_from", "begun", "encode", "encoded", "forget", "load_vae"]

BLOCK = 32
RELEASED_FINE = "mini-vae-ft"
"""The better decoder that lies beside a released model."""
DECODERS = ("decoder", "fine", "tiny")
"""Stages whose weights mean nothing for other latents."""


def begin_from(work: Path, folder: Path, parts: tuple[str, ...] = PARTS) -> None:
    """Go on from ``parts`` of a released model, and the decoder beside it, instead of from nothing.

    With its VAE the latents stay as they are, with its tokenizer the words; UNet and text encoder are where training begins.
    """
    for part in parts:
        shutil.copytree(folder / part, work / "start" / part, dirs_exist_ok=True)
        if part in ("vae", "tokenizer"):
            shutil.copytree(folder / part, work / part, dirs_exist_ok=True)
    if "vae" in parts and (folder.parent / RELEASED_FINE).is_dir():
        shutil.copytree(folder.parent / RELEASED_FINE, work / "start" / RELEASED_FINE, dirs_exist_ok=True)


def begun(work: Path, part: str) -> bool:
    """Whether ``part`` is a released model's."""
    return (work / "start" / part).is_dir()


def forget(work: Path) -> None:
    """Encode anew: the autoencoder was trained on. What its latents were is remembered, decoders of these are not."""
    for name in DECODERS:
        checkpoint(work, name).unlink(missing_ok=True)
    for name in ("latents.npy", "encoded"):
        (work / name).unlink(missing_ok=True)
    if (work / "vae").is_dir() and not begun(work, "vae"):
        shutil.rmtree(work / "vae-before", ignore_errors=True)
        (work / "vae").replace(work / "vae-before")


def load_vae(work: Path, device: torch.device | str = "cpu") -> AutoencoderKL:
    """The autoencoder whose latents are trained on: a released model's, or our own, evened."""
    if not (work / "vae").is_dir() and begun(work, "vae"):
        vae = begun_or_new(work)
        averaged(work, "autoencoder", {"vae": vae})
        vae.save_pretrained(work / "vae")
    elif not (work / "vae").is_dir():
        known = work / "vae-before"
        before = AutoencoderKL.from_pretrained(known).to(device).eval() if known.is_dir() else None
        evened(work, device, before).save_pretrained(work / "vae")
    return AutoencoderKL.from_pretrained(work / "vae", torch_dtype=torch.float32).to(device).eval()


def encoded(work: Path) -> int:
    """How many pictures have latents."""
    marker = work / "encoded"
    return int(marker.read_text()) if marker.is_file() else 0


def encode(work: Path, count: int, ranks: Ranks) -> None:
    """Latents (float16) of the first ``count`` pictures but those that are never trained on."""
    pictures, path = load_pictures(work), work / "latents.npy"
    vae = load_vae(work, ranks.device)
    if not path.is_file():
        size = pictures.shape[1] // 2 ** (len(vae.config.block_out_channels) - 1)
        planned = len(np.load(work / "pictures.npy", mmap_mode="r"))  # some may not be drawn yet
        np.lib.format.open_memmap(path, "w+", np.float16, (planned, vae.config.latent_channels, size, size)).flush()
    latents = np.lib.format.open_memmap(path, "r+")
    block = BLOCK * (8 if ranks.device.type == "cuda" else 1)
    count = min(count, len(pictures))
    for start in range(max(HELD_OUT, encoded(work)), count, block):
        end = min(start + block, count)
        with torch.no_grad(), torch.autocast(ranks.device.type, torch.bfloat16):
            z = vae.encode(as_tensor(pictures[start:end], ranks.device)).latent_dist.mean
        latents[start:end] = z.float().cpu().numpy() * vae.config.scaling_factor
        latents.flush()
        (work / "encoded").write_text(str(end))
