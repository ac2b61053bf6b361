"""Muon: momentum whose every matrix is made orthogonal before it is applied; a few hundred steps go further than with Adam.

Keller Jordan et al. 2024 (the quintic Newton-Schulz iteration and its coefficients) with the step size of Liu et al. 2025
("Muon is scalable for LLM training"), which gives an update the root mean square of AdamW's. Convolutions are matrices of
outputs × everything else, and those of one shape are made orthogonal together, which a GPU is grateful for. Each rank takes its share
of the matrices and the updates are summed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["Muon", "orthogonal", "suits"]


def suits(name: str, p: nn.Parameter) -> bool:
    """Whether ``p`` is a hidden matrix; embeddings, heads and the outermost convolutions are AdamW's."""
    outer = ("embed", "conv_in", "conv_out", "head.", "quant_conv")
    return p.ndim >= 2 and not any(word in name for word in outer)


def orthogonal(g: Tensor, iterations: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrices to ``g``, (…, m, n), roughly: singular values come out between 0.7 and 1.2."""
    x = g.bfloat16()
    flip = x.shape[-2] > x.shape[-1]
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if flip else x).float()


class Muon(torch.optim.Optimizer):
    """For hidden matrices only.

    Args:
        parameters: of two dimensions or more.
        lr: as for AdamW.
        share: (rank, world), whose matrices are made orthogonal here.
        summed: adds a tensor up over all ranks, in place.
    """

    def __init__(
        self,
        parameters: list[nn.Parameter],
        lr: float,
        *,
        weight_decay: float,
        share: tuple[int, int],
        summed: Callable[[Tensor], None],
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})
        self._share, self._summed = share, summed

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        del closure
        rank, world = self._share
        for group in self.param_groups:
            ps = [p for p in group["params"] if p.grad is not None]
            grads = [p.grad for p in ps]
            momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in ps]
            torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
            torch._foreach_lerp_(grads, momenta, group["momentum"])  # Nesterov's look ahead
            flat = torch.zeros(sum(p.numel() for p in ps), device=ps[0].device)
            parts = flat.split([p.numel() for p in ps])
            alike: dict[tuple[int, int], list[int]] = {}
            for i in range(rank, len(ps), world):
                alike.setdefault((ps[i].shape[0], ps[i][0].numel()), []).append(i)
            for shape, places in alike.items():
                made = orthogonal(torch.stack([grads[i].reshape(shape) for i in places])) * (0.2 * max(shape) ** 0.5)
                torch._foreach_copy_([parts[i].view(shape) for i in places], list(made))
            self._summed(flat)
            torch._foreach_mul_(ps, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(ps, [part.view_as(p) for p, part in zip(ps, parts, strict=True)], alpha=-group["lr"])
