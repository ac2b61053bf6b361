"""Reads every attribute back from a picture: how obedience is measured, and whose features the Fréchet distance is taken in.

It is trained on renders alone, at half size and with random blur, so that what it reads is drawn large and not the renderer's last pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.autoencoder import as_floats, as_tensor
from training.dataset import HELD_OUT, load_pictures
from training.labels import COLUMNS, SIZES, cross_entropies, label_rows
from training.loop import Plan, averaged, train
from training.ranks import Ranks
from training.rows import Rows

__all__ = ["NAME", "Reader", "accuracies", "features", "load_reader", "read", "scores", "train_reader"]

NAME = "reader"
BATCH = 16


class Reader(nn.Module):
    """A small convolutional network; ``forward`` gives all attributes' scores side by side, ``features`` what they are read from."""

    WIDTHS = ((24, 2), (48, 1), (64, 2), (64, 1), (96, 2), (128, 1), (128, 2))

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for out, stride in self.WIDTHS:
            layers += [
                nn.Conv2d(width, out, 5 if width == 3 else 3, stride, 2 if width == 3 else 1),
                nn.GroupNorm(8, out),
                nn.GELU(),
            ]
            width = out
        self.body = nn.Sequential(*layers)
        self.wide = nn.Linear(width * 16, 192)
        self.head = nn.Linear(192, sum(SIZES))

    def features(self, pictures: Tensor) -> Tensor:
        """(n, 3, 128, 128) in -1…1 to (n, 192)."""
        return F.gelu(self.wide(self.body(F.avg_pool2d(pictures, 2)).flatten(1)))

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, 128, 128) in -1…1 to (n, all scores)."""
        return self.head(self.features(pictures))


def _blurred(pictures: Tensor) -> Tensor:
    """As an autoencoder might give it back: half of the batches lose detail, all are moved by a few pixels."""
    if torch.rand(()) < 0.5:
        small = F.interpolate(
            pictures, scale_factor=float(torch.empty(()).uniform_(0.4, 0.9)), mode="bilinear", antialias=True
        )
        pictures = F.interpolate(small, size=pictures.shape[-2:], mode="bilinear")
    dy, dx = torch.randint(-4, 5, (2,)).tolist()
    padded = F.pad(pictures, (4, 4, 4, 4), mode="replicate")
    return padded[..., 4 + dy : 4 + dy + pictures.shape[-2], 4 + dx : 4 + dx + pictures.shape[-1]]


def train_reader(work: Path, minutes: float, ranks: Ranks) -> None:
    """Train for ``minutes`` in all; accuracies on held-out renders are printed at each checkpoint."""
    torch.manual_seed(0)
    reader = Reader().to(ranks.device)
    pictures = load_pictures(work)
    rows, labels = Rows(pictures, ranks.device), Rows(label_rows(len(pictures)), ranks.device)
    count = BATCH * (16 if ranks.device.type == "cuda" else 1)

    def loss_of(share: float) -> tuple[Tensor, dict[str, Tensor]]:
        del share
        index = torch.randint(HELD_OUT, len(rows), (count,), device=ranks.device).sort().values
        x = _blurred(as_floats(rows[index]))
        with torch.autocast(ranks.device.type, torch.bfloat16):
            scores = reader(x)
        losses = cross_entropies(scores, labels[index])
        loss = torch.stack(losses).mean()
        return loss, {"loss": loss}

    def look(step: int) -> None:
        shown = load_reader(work).to(ranks.device)
        right = accuracies(read(shown, pictures[:512]), label_rows(512))
        print(f"reader, step {step}:", " ".join(f"{name} {value:.1%}" for name, value in right.items()), flush=True)

    plan = Plan(name=NAME, minutes=minutes, rate=2e-3, hold=0.3, weight_decay=0.05, decay=0.995)
    train(plan, work, ranks, {"reader": reader}, loss_of, look)


def load_reader(work: Path) -> Reader:
    """The trained reader."""
    reader = Reader()
    averaged(work, NAME, {"reader": reader})
    return reader.eval()


def scores(reader: Reader, pictures: np.ndarray, block: int = 64) -> dict[str, np.ndarray]:
    """uint8 pictures to each attribute's probabilities, (n, values)."""
    device = next(reader.parameters()).device
    with torch.no_grad():
        parts = [reader(as_tensor(pictures[i : i + block], device)) for i in range(0, len(pictures), block)]
    sides = torch.cat(parts).float().split(SIZES, -1)
    return {name: side.softmax(-1).cpu().numpy() for name, side in zip(COLUMNS, sides, strict=True)}


def read(reader: Reader, pictures: np.ndarray) -> np.ndarray:
    """uint8 pictures to the places of the likeliest values, (n, columns)."""
    return np.stack([side.argmax(-1) for side in scores(reader, pictures).values()], -1)


def features(reader: Reader, pictures: np.ndarray, block: int = 64) -> np.ndarray:
    """uint8 pictures to float64 (n, 192)."""
    device = next(reader.parameters()).device
    with torch.no_grad():
        parts = [reader.features(as_tensor(pictures[i : i + block], device)) for i in range(0, len(pictures), block)]
    return torch.cat(parts).double().cpu().numpy()


def accuracies(found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The share read rightly for each attribute, over the rows that have one."""
    return {
        name: float((found[:, i] == labels[:, i])[labels[:, i] >= 0].mean())
        if (labels[:, i] >= 0).any()
        else float("nan")
        for i, name in enumerate(COLUMNS)
    }
