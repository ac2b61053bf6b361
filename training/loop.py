"""The one training loop: a time budget, a learning rate that follows it, averaged weights, checkpoints that it goes on from.

Time, not steps, is what one has: the budget is spent whole whatever the machine, and the rate comes down at its end.
Nothing here waits for a GPU but every fiftieth step, when losses are read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.losses import LossLog
from training.muon import Muon, suits
from training.ranks import Ranks

__all__ = ["Plan", "averaged", "checkpoint", "train"]

LOG_EVERY = 50
SAVE_SECONDS = 90
AVERAGE_EVERY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a stage is trained.

    Args:
        name: of the checkpoint and of the MLflow run.
        minutes: the whole budget, over all calls.
        rate: the learning rate before it comes down.
        hold: the share of the budget at full rate; a cosine follows.
        micro: micro-batches of a step, shared among the ranks; a GPU takes a step's batch whole.
        decay: of the averaged weights, at most.
        muon: Muon for the hidden matrices; weights that AdamW has trained go on better with AdamW.
        logged: names of the numbers that ``loss_of`` hands back; the same on every rank, also on one that had no micro-batch.
    """

    name: str
    minutes: float
    rate: float
    hold: float = 0.4
    micro: int = 4
    decay: float = 0.998
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    warm: int = 100
    muon: bool = True
    logged: tuple[str, ...] = ("loss",)

    def rate_at(self, share: float, steps: int) -> float:
        """The rate when ``share`` of the budget is spent at step ``steps``; the optimiser's state is kept, so a restart needs no warming."""
        fall = (
            1.0
            if share < self.hold
            else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, (share - self.hold) / (1 - self.hold))))
        )
        return self.rate * min(1.0, (steps + 1) / self.warm) * fall


def checkpoint(work: Path, name: str) -> Path:
    """Where a stage keeps its state."""
    return work / "checkpoints" / f"{name}.pt"


def train(
    plan: Plan, work: Path, ranks: Ranks, modules: dict[str, nn.Module], loss_of: Callable[[float], tuple[Tensor, dict[str, Tensor]]],
    look: Callable[[int], None] | None = None,
) -> None:  # fmt: skip
    """Train ``modules`` until the budget is spent.

    Args:
        modules: what is trained, averaged and saved, by name; parameters that ask for no gradient stay as they are.
        loss_of: one micro-batch's loss and the numbers to log, given the spent share of the budget.
        look: called by the first rank at every checkpoint, which is every minute and a half, and at the end.
    """
    named = {f"{m}.{n}": p for m, module in modules.items() for n, p in module.named_parameters() if p.requires_grad}
    parameters = list(named.values())
    micro = 1 if ranks.device.type == "cuda" else plan.micro
    optimisers = _optimisers(plan, named, ranks)
    average = {name: p.detach().clone() for name, p in named.items()}
    path = checkpoint(work, plan.name)
    step, spent = _resume(path, named, average, optimisers)
    log = (
        LossLog(
            work,
            plan.name,
            {"rate": plan.rate, "minutes": plan.minutes, "parameters": sum(map(torch.numel, parameters))},
        )
        if ranks.first
        else None
    )
    start, seen, saved = time.monotonic() - spent, [], spent
    share = spent / (plan.minutes * 60)
    torch.manual_seed(time.time_ns() % 2**31 + ranks.rank)
    while share < 1:
        rate = plan.rate_at(share, step)
        for group in (group for optimiser in optimisers for group in optimiser.param_groups):
            group["lr"] = rate
        sums = torch.zeros(len(plan.logged), device=ranks.device)
        for _ in ranks.tickets(step, micro):
            loss, values = loss_of(share)
            loss.backward()
            sums += torch.stack([values[name].detach().float() for name in plan.logged])
        sums = ranks.reduce(parameters, micro, sums)
        elapsed = ranks.first_clock(time.monotonic() - start)
        share = elapsed / (plan.minutes * 60)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        seen.append(sums / micro)
        if step % AVERAGE_EVERY == 0:
            decay = min(plan.decay, (step + 1) / (step + 20)) ** AVERAGE_EVERY
            with torch.no_grad():
                torch._foreach_lerp_(list(average.values()), [p.detach() for p in parameters], 1 - decay)
        if log is None:
            continue
        if step % LOG_EVERY == 0:
            means = torch.stack(seen[-LOG_EVERY:]).mean(0).tolist()
            log.write(step, elapsed, {**dict(zip(plan.logged, means, strict=True)), "rate": rate})
            seen.clear()
        if elapsed - saved >= SAVE_SECONDS or share >= 1:
            saved = elapsed
            _save(path, named, average, optimisers, step, elapsed)
            if look is not None:
                look(step)
    if log is not None:
        log.close()


def _optimisers(plan: Plan, named: dict[str, nn.Parameter], ranks: Ranks) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for the rest."""
    hidden = [p for name, p in named.items() if plan.muon and suits(name, p)]
    others = [p for name, p in named.items() if not (plan.muon and suits(name, p))]
    adam = torch.optim.AdamW(others, plan.rate, betas=plan.betas, weight_decay=plan.weight_decay, fused=True)
    if not hidden:
        return [adam]
    return [
        Muon(hidden, plan.rate, weight_decay=plan.weight_decay, share=(ranks.rank, ranks.world), summed=ranks.add_up),
        adam,
    ]


def _resume(
    path: Path, named: dict[str, nn.Parameter], average: dict[str, Tensor], optimisers: list[torch.optim.Optimizer]
) -> tuple[int, float]:
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["now"].keys() != named.keys():
        raise SystemExit(
            f"{path} is of other networks than these (a GPU trains more of them at once): go on where it was made, or remove it"
        )
    with torch.no_grad():
        for name, p in named.items():
            p.copy_(state["now"][name])
            average[name].copy_(state["average"][name])
    for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(kept)
    return state["step"], state["seconds"]


def _save(
    path: Path,
    named: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimisers: list[torch.optim.Optimizer],
    step: int,
    seconds: float,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    now = {name: p.detach() for name, p in named.items()}
    fresh = path.with_suffix(".new")
    torch.save(
        {
            "now": now,
            "average": average,
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
            "step": step,
            "seconds": seconds,
        },
        fresh,
    )
    fresh.replace(path)


def averaged(work: Path, name: str, modules: dict[str, nn.Module]) -> int:
    """Give ``modules`` the averaged weights of stage ``name``; the step they are of."""
    state = torch.load(checkpoint(work, name), weights_only=True, map_location="cpu")
    with torch.no_grad():
        for m, module in modules.items():
            for n, p in module.named_parameters():
                if f"{m}.{n}" in state["average"]:
                    p.copy_(state["average"][f"{m}.{n}"])
    return state["step"]
