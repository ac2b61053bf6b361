"""The first stage: pictures to latents and back.

A 1 × 1 head must read each latent cell's mean colour from it: without that an autoencoder of this size learns brightness first and colour late.
On a GPU mini-vae-ft's decoder learns along, from the same latents: they then hold what only a larger decoder makes something of.
Afterwards the latents are evened out, exactly, by folding the change of basis into the 1 × 1 convolutions on either side of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor, nn

from training.dataset import HELD_OUT, load_pictures
from training.frame import FACE_BOX
from training.loop import Plan, averaged, train
from training.networks import FINE, LATENT, autoencoder
from training.ranks import Ranks
from training.rows import Rows

__all__ = [
    "as_floats",
    "as_tensor",
    "begun_or_new",
    "emphasis",
    "evened",
    "picture_loss",
    "psnr",
    "reconstruct",
    "train_autoencoder",
]

MICRO_BATCH = 4
NAME = "autoencoder"


def as_tensor(pictures: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (n, 128, 128, 3) to float32 (n, 3, 128, 128) in -1…1."""
    return as_floats(torch.from_numpy(np.array(pictures)).to(device))


def as_floats(pictures: Tensor) -> Tensor:
    """The same of pictures that are on their device already."""
    return pictures.permute(0, 3, 1, 2).float() / 127.5 - 1


def emphasis(device: torch.device | str = "cpu") -> Tensor:
    """Weights (1, 1, 128, 128) of mean 1 that count the face five times."""
    weights = torch.ones(1, 1, 128, 128, device=device)
    left, top, right, bottom = FACE_BOX
    weights[..., top:bottom, left:right] = 5.0
    return weights / weights.mean()


def picture_loss(made: Tensor, real: Tensor, weights: Tensor) -> Tensor:
    """Absolute and squared differences, and those of the gradients at three scales."""
    d = made - real
    loss = (weights * d.abs()).mean() + 15.0 * (weights * d**2).mean()
    for scale in range(3):
        loss = loss + 0.4 * ((d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean())
        d = F.avg_pool2d(d, 2)
        loss = loss + (0.3, 0.5, 0.8)[scale] * d.abs().mean()
    return loss


def psnr(made: Tensor, real: Tensor) -> float:
    """Mean over pictures, in dB, of tensors in -1…1."""
    error = ((made.clamp(-1, 1) - real) ** 2).mean((1, 2, 3))
    return (10 * torch.log10(4 / error)).mean().item()


def reconstruct(vae: AutoencoderKL | AutoencoderTiny, pictures: np.ndarray, batch: int = 16) -> tuple[Tensor, Tensor]:
    """The originals and what comes back from the latents' means, both in -1…1."""
    device = next(vae.parameters()).device
    real, made = [], []
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            x = as_tensor(pictures[start : start + batch], device)
            code = vae.encode(x)
            z = code.latent_dist.mean if hasattr(code, "latent_dist") else code.latents
            real.append(x)
            made.append(vae.decode(z).sample.float())
    return torch.cat(real), torch.cat(made)


def train_autoencoder(work: Path, minutes: float, ranks: Ranks) -> None:
    """Train for ``minutes`` in all; pictures of reconstructions are left in ``work/looks``."""
    torch.manual_seed(0)
    vae = begun_or_new(work).to(ranks.device)
    channels, cell = vae.config.latent_channels, 2 ** (len(vae.config.block_out_channels) - 1)
    head = nn.Conv2d(channels, 3, 1).to(ranks.device)
    pictures, weights = load_pictures(work), emphasis(ranks.device)
    rows = Rows(pictures, ranks.device)
    modules: dict[str, nn.Module] = {"vae": vae, "head": head}
    on_gpu = ranks.device.type == "cuda"
    decoders = [vae.decoder]
    if on_gpu:
        modules["fine"] = autoencoder(FINE).decoder.to(ranks.device)
        decoders.append(modules["fine"])
    count = 48 if on_gpu else MICRO_BATCH
    going_on = (work / "start" / "vae").is_dir()
    told = 0.0 if going_on else 0.8  # a new head would teach a trained encoder nonsense first

    def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
        x = as_floats(rows[torch.randint(HELD_OUT, len(rows), (count,), device=ranks.device).sort().values])
        with torch.autocast(ranks.device.type, torch.bfloat16):
            posterior = vae.encode(x).latent_dist
            z = vae.post_quant_conv(posterior.sample())
            made, *others = (decoder(z).float() for decoder in decoders)
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
        colour = (head(mean) - F.avg_pool2d(x, cell)).abs().mean()
        picture = picture_loss(made, x, weights)
        loss = picture + 3e-4 * kl + told * (1 - 0.9 * share) * colour
        for other in others:
            loss = loss + picture_loss(other, x, weights)
        return loss, {"loss": picture, "mse": ((made.detach() - x) ** 2).mean(), "kl": kl, "colour": colour}

    def look(step: int) -> None:
        from training.sheets import pairs

        shown = begun_or_new(work).to(ranks.device)
        averaged(work, NAME, {"vae": shown})
        real, made = reconstruct(shown, pictures[:32])
        pairs(real, made, work / "looks" / f"autoencoder-{step:06}.png")
        box = [t[..., FACE_BOX[1] : FACE_BOX[3], FACE_BOX[0] : FACE_BOX[2]] for t in (made, real)]
        print(f"autoencoder, step {step}: {psnr(made, real):.2f} dB, faces {psnr(*box):.2f} dB", flush=True)

    plan = Plan(
        name=NAME, minutes=minutes, rate=2e-4 if going_on else 2e-3, hold=0.4, micro=2, decay=0.995,
        muon=not going_on, logged=("loss", "mse", "kl", "colour"),
    )  # fmt: skip
    train(plan, work, ranks, modules, loss_of, look)


def begun_or_new(work: Path) -> AutoencoderKL:
    """A released model's autoencoder where the work began from one, else a new one."""
    if (work / "start" / "vae").is_dir():
        return AutoencoderKL.from_pretrained(work / "start" / "vae", torch_dtype=torch.float32)
    vae = autoencoder()
    with torch.no_grad():  # next to no noise at first: a decoder that begins with noise learns to overlook its input
        vae.quant_conv.bias[LATENT:] = -5.0
    return vae


def evened(work: Path, device: torch.device | str = "cpu", before: AutoencoderKL | None = None) -> AutoencoderKL:
    """The trained autoencoder with latents of mean 0 and variance 1 over the data, so that ``scaling_factor`` is 1.

    Directions in which latents vary much keep some of that: their spread becomes its own square root. What is drawn large is
    then told apart from noise first, and details last, as in pictures; of fully white latents a denoiser learns all at once.
    The posterior's log-variances are moved by the mean gain; everything here goes by the means.

    Args:
        before: the same autoencoder as it was when a denoiser was trained. The latents are turned towards its latents (orthogonal
            Procrustes, Schönemann 1966), so that the denoiser goes on instead of learning a new basis.
    """
    vae = autoencoder()
    averaged(work, NAME, {"vae": vae})
    vae = vae.to(device).eval()
    pictures = load_pictures(work)
    with torch.no_grad():
        index = range(HELD_OUT, HELD_OUT + 2048, 32)
        z = torch.cat([vae.encode(as_tensor(pictures[i : i + 32], device)).latent_dist.mean.float() for i in index])
        mean = z.mean((0, 2, 3))
        centred = (z - mean[:, None, None]).permute(1, 0, 2, 3).reshape(LATENT, -1).double()
        values, vectors = torch.linalg.eigh(centred @ centred.T / centred.shape[1])
        spread = values.clamp(min=1e-4).sqrt()
        wanted = spread.sqrt() / spread.mean().sqrt()  # the mean of its square is 1
        forward = (vectors @ torch.diag(wanted / spread) @ vectors.T).float()
        back = (vectors @ torch.diag(spread / wanted) @ vectors.T).float()
        if before is not None:
            known = torch.cat(
                [before.encode(as_tensor(pictures[i : i + 32], device)).latent_dist.mean.float() for i in index]
            )
            known = known.permute(1, 0, 2, 3).reshape(LATENT, -1).double()
            mine = forward.double() @ centred
            left, _, right = torch.linalg.svd(known @ mine.T)
            turn = (left @ right).float()
            forward, back = turn @ forward, back @ turn.T
            kept = 1 - ((turn.double() @ mine - known) ** 2).mean() / (known**2).mean()
            print(f"latents turned towards what they were: {kept:.1%} of their variance is the same", flush=True)
        quant, post = vae.quant_conv, vae.post_quant_conv
        quant.weight[:LATENT] = torch.einsum("ij,jkhw->ikhw", forward, quant.weight[:LATENT])
        quant.bias[:LATENT] = forward @ (quant.bias[:LATENT] - mean)
        quant.bias[LATENT:] += 2 * (wanted / spread).log().mean().float()
        old = post.weight[:, :, 0, 0].clone()
        post.bias += old @ mean
        post.weight.copy_((old @ back)[:, :, None, None])
    print("spread of the latents as they were learnt:", " ".join(f"{v:.2f}" for v in spread.tolist()), flush=True)
    return vae
