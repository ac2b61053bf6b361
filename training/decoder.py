"""The last stages: decoders for latents that stay as they are, so that the denoiser need not learn anything anew.

``decoder`` is the pipeline's own, trained on. ``fine`` is mini-vae-ft, wider and trained with a loss on the reader's first features besides
the pixels': where the pixels' loss is content with an average, features ask for an edge. ``tiny`` is an AutoencoderTiny for previews, its
encoder taught the same latents.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from training.autoencoder import NAME as AUTOENCODER
from training.autoencoder import as_floats, emphasis, picture_loss, psnr, reconstruct
from training.classifier import load_reader
from training.dataset import HELD_OUT, load_pictures
from training.encoding import RELEASED_FINE, begun, encoded, load_vae
from training.frame import FACE_BOX
from training.loop import Plan, averaged, checkpoint, train
from training.networks import FINE, tiny_autoencoder, told_apart, wider
from training.ranks import Ranks
from training.rows import Rows

__all__ = ["fine", "own", "tiny", "train_decoder", "train_fine", "train_tiny"]

FEATURES = 0.1
"""Weight of the features' loss."""


def _fresh_fine(work: Path) -> AutoencoderKL:
    """A wider decoder than the pipeline's, which begins as that unless it learnt along with the autoencoder.

    The encoder stays the pipeline's in what it makes. Where the work began from a released model, the decoder that was released
    beside it is trained on, or its own where there was none.
    """
    if begun(work, RELEASED_FINE):
        return AutoencoderKL.from_pretrained(work / "start" / RELEASED_FINE, torch_dtype=torch.float32)
    vae = load_vae(work)
    if begun(work, "vae"):
        return vae
    wide = wider(vae, FINE)
    told_apart(wide.decoder)
    if checkpoint(work, AUTOENCODER).is_file():
        averaged(work, AUTOENCODER, {"fine": wide.decoder})
    return wide


def _decoding(vae: AutoencoderKL) -> dict[str, nn.Module]:
    """What is trained of it."""
    return {"decoder": vae.decoder, "post": vae.post_quant_conv}


def fine(work: Path) -> AutoencoderKL:
    """The trained mini-vae-ft."""
    vae = _fresh_fine(work)
    averaged(work, "fine", _decoding(vae))
    return vae.eval()


def own(work: Path) -> AutoencoderKL:
    """The pipeline's own autoencoder, its decoder as it was trained last."""
    vae = load_vae(work)
    if checkpoint(work, "decoder").is_file():
        averaged(work, "decoder", _decoding(vae))
    return vae.eval()


def tiny(work: Path) -> AutoencoderTiny:
    """The trained AutoencoderTiny."""
    vae = load_vae(work)
    small = tiny_autoencoder(vae.config.latent_channels, len(vae.config.block_out_channels))
    averaged(work, "tiny", {"tiny": small})
    return small.eval()


class _Frames:
    """Whole frames and their latents, ``count`` at a time, by chance.

    Args:
        count: on a CPU; a GPU gets 64.
    """

    def __init__(self, work: Path, count: int, device: torch.device) -> None:
        self._count, self._device = 64 if device.type == "cuda" else count, device
        end = encoded(work)
        self._pictures = Rows(load_pictures(work)[:end], device)
        self._latents = Rows(np.load(work / "latents.npy", mmap_mode="r")[:end], device)
        self.weights = emphasis(device)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Pictures in -1…1, latents."""
        index = torch.randint(HELD_OUT, len(self._pictures), (self._count,), device=self._device).sort().values
        return as_floats(self._pictures[index]), self._latents[index].float()


def train_decoder(work: Path, minutes: float, ranks: Ranks) -> None:
    """Train the pipeline's own decoder on, for ``minutes`` in all."""
    _train("decoder", load_vae(work), own, work, minutes, ranks)


def train_fine(work: Path, minutes: float, ranks: Ranks) -> None:
    """Train mini-vae-ft's decoder for ``minutes`` in all."""
    _train("fine", _fresh_fine(work), fine, work, minutes, ranks, features=FEATURES)


def _train(
    name: str, vae: AutoencoderKL, load: Callable[[Path], AutoencoderKL], work: Path, minutes: float, ranks: Ranks, features: float = 0.0
) -> None:  # fmt: skip
    """Train the decoder of ``vae``.

    Args:
        load: gives what was trained so far.
        features: weight of the loss on the reader's first features.
    """
    torch.manual_seed(0)
    vae = vae.to(ranks.device).requires_grad_(False)
    modules = _decoding(vae)
    for module in modules.values():
        module.requires_grad_(True).train()
    judge = load_reader(work).to(ranks.device).requires_grad_(False).body[:6] if features else None
    frames = _Frames(work, 2, ranks.device)

    def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
        del share
        x, z = frames.draw()
        with torch.autocast(ranks.device.type, torch.bfloat16):
            made = vae.decode(z / vae.config.scaling_factor).sample
            seen, wanted = (judge(made), judge(x)) if judge else (x, x)
        made = made.float()
        edges = (seen.float() - wanted.float()).abs().mean()
        loss = picture_loss(made, x, frames.weights)
        mse = ((made.detach() - x) ** 2).mean()
        return loss + features * edges, {"loss": loss, "features": edges, "mse": mse}

    def look(step: int) -> None:
        _report(name, step, load(work).to(ranks.device), work)

    plan = Plan(
        name=name, minutes=minutes, rate=2e-4 if begun(work, "vae") else 1e-3, hold=0.3, decay=0.995, logged=("loss", "features", "mse"),
        muon=not begun(work, "vae"),
    )  # fmt: skip
    train(plan, work, ranks, modules, loss_of, look)


def train_tiny(work: Path, minutes: float, ranks: Ranks) -> None:
    """Train the AutoencoderTiny for ``minutes`` in all."""
    torch.manual_seed(0)
    vae = load_vae(work)
    small = tiny_autoencoder(vae.config.latent_channels, len(vae.config.block_out_channels)).to(ranks.device)
    frames = _Frames(work, 2, ranks.device)

    def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
        del share
        x, z = frames.draw()
        with torch.autocast(ranks.device.type, torch.bfloat16):
            code, made = small.encode(x).latents.float(), small.decode(z).sample.float()
        loss, distance = picture_loss(made, x, frames.weights), ((code - z) ** 2).mean()
        return loss + 0.5 * distance, {"loss": loss, "latents": distance}

    def look(step: int) -> None:
        _report("tiny", step, tiny(work).to(ranks.device), work)

    plan = Plan(
        name="tiny", minutes=minutes, rate=2e-3, hold=0.4, decay=0.995, logged=("loss", "latents"),
    )  # fmt: skip
    train(plan, work, ranks, {"tiny": small}, loss_of, look)


def _report(name: str, step: int, vae: nn.Module, work: Path) -> None:
    from training.sheets import pairs

    real, made = reconstruct(vae, load_pictures(work)[:32])
    pairs(real, made, work / "looks" / f"{name}-{step:06}.png")
    box = [t[..., FACE_BOX[1] : FACE_BOX[3], FACE_BOX[0] : FACE_BOX[2]] for t in (made, real)]
    print(f"{name}, step {step}: {psnr(made, real):.2f} dB, faces {psnr(*box):.2f} dB", flush=True)
