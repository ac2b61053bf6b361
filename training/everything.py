"""All stages in order within one budget: ``make mini``. Whatever is done already is passed over, so that it can be stopped and called again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

__all__ = ["ORDER", "PARTS", "SHARES", "budgets", "everything"]

SHARES: Final = {"autoencoder": 0.35, "reader": 0.05, "denoiser": 0.40, "decoder": 0.05, "fine": 0.12, "tiny": 0.03}
"""How the minutes are split among what is trained."""
ORDER: Final = (
    "render", "captions", "autoencoder", "encode", "reader", "denoiser", "decoder", "fine", "tiny", "export", "evaluate", "sheets", "curves",
)  # fmt: skip

PARTS: Final = ("vae", "tokenizer", "unet", "text_encoder")
"""Of a released model, what training can go on from."""


def budgets(minutes: float, begun: bool) -> dict[str, float]:
    """Minutes a stage; where a released model's autoencoder is kept, its share goes to the others."""
    shares = {name: share for name, share in SHARES.items() if not (begun and name == "autoencoder")}
    total = sum(shares.values())
    return {name: minutes * share / total for name, share in shares.items()}


def everything(options: argparse.Namespace, run: Callable[[list[str]], int]) -> int:
    """Run every stage by ``run``; the exported models and their evaluation land in the work folder until someone ships them.

    Drawing, encoding and measuring come on top of the budget: ten minutes or so on two cores.
    """
    begun = (options.work / "start" / "vae").is_dir()
    minutes = budgets(options.minutes, begun)
    where = [
        "--work",
        str(options.work),
        "--models",
        str(options.work / "models"),
        "--results",
        str(options.work / "results"),
        "--ranks",
        str(options.ranks),
        "--pictures",
        str(options.pictures),
        "--asked",
        str(options.asked),
        "--seeds",
        str(options.seeds),
    ]
    for stage in ORDER:
        if stage == "autoencoder" and begun:
            continue
        more = ["--minutes", str(minutes[stage])] if stage in minutes else []
        print(f"— {stage}", *([f"{minutes[stage]:.1f} minutes"] if stage in minutes else []), flush=True)
        if code := run([stage, *where, *more]):
            return code
    return 0
