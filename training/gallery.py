"""The sheets of ``training/results``: what the model draws, to be looked at.

Each is 128-pixel pictures edge to edge; ``SHEETS`` says in words what rows and columns are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoModel, StableDiffusionPipeline

from training.asks import AGES_ASKED, STORY
from training.attributes import COLOURS, EXPRESSIONS, LIGHTS, ROLES
from training.generate import Ask, generate, load
from training.sheets import save_sheet

__all__ = ["SHEETS", "draw_decoders", "draw_sheets"]

BASE: Final = "portrait photo of a old warrior chief"
TRIBAL: Final = ", tribal panther make up, blue on red, side profile, looking away, serious eyes"
PHOTO: Final = " 50mm portrait photography, hard rim lighting photography--beta --ar 2:3  --beta --upbeta"
WORDED: Final = ("a child", "a young", "a", "an old", "the oldest")


def _story() -> tuple[list[Ask], int]:
    first = [Ask(prompt=words, seed=seed) for words in (BASE, BASE + TRIBAL + PHOTO) for seed in range(8)]
    return first + [Ask(prompt=STORY.format(words), seed=1) for words in ("the oldest", "a old", "a", "a young")], 8


def _ages() -> tuple[list[Ask], int]:
    return [Ask(prompt=STORY.format(words), seed=seed) for words in AGES_ASKED.values() for seed in range(8)], 8


def _roles() -> tuple[list[Ask], int]:
    return [Ask(prompt=f"portrait photo of {age} {role}", seed=3) for role in ROLES for age in WORDED], 10


def _colours() -> tuple[list[Ask], int]:
    names = list(COLOURS)
    return [Ask(prompt=f"portrait photo of a wizard, {a} on {b}", seed=5) for a in names for b in names if a != b][
        ::2
    ], 9


def _views() -> tuple[list[Ask], int]:
    roles = ("warrior chief", "king", "woman", "robot", "knight", "astronaut", "pirate", "samurai")
    views = ("front view", "three-quarter view", "side profile")
    return [Ask(prompt=f"portrait photo of a {role}, {view}", seed=4) for view in views for role in roles], 8


def _faces() -> tuple[list[Ask], int]:
    paint = ("no make up", "striped war paint", "panther make up")
    asks = [Ask(prompt=f"portrait photo of a man, {words}", seed=6) for words in (*EXPRESSIONS, *paint)]
    light = {"soft": "soft light", "rim": "hard rim lighting", "dramatic": "dramatic shadow"}
    asks += [
        Ask(prompt=f"portrait photo of a young warrior chief, panther make up, blue on red, {light[name]}", seed=6)
        for name in LIGHTS
    ]
    asks += [
        Ask(prompt="drawing of a knight", seed=6),
        Ask(prompt="", seed=6),
        Ask(prompt="", seed=7),
        Ask(prompt="a banker by the sea, zyxquabble", seed=6),
    ]
    return asks, 8


def _negatives() -> tuple[list[Ask], int]:
    """Two prompts that are silent about it: without, then with the negative prompt."""
    pairs = (("portrait photo of a king", "beard"), ("portrait photo of a woman", "red background"))
    return [
        Ask(prompt=prompt, seed=500 + seed, negative=words)
        for prompt, negative in pairs
        for words in ("", negative)
        for seed in range(8)
    ], 8


SHEETS: Final[dict[str, Callable[[], tuple[list[Ask], int]]]] = {
    "story": _story, "ages": _ages, "roles": _roles, "colours": _colours, "views": _views, "faces": _faces,
    "negatives": _negatives,
}  # fmt: skip


def draw_sheets(folder: Path, results: Path, names: list[str] | None = None) -> None:
    """Draw the sheets called ``names``, or all, with the pipeline in ``folder``."""
    pipe = load(folder)
    for name in names or list(SHEETS):
        draw_sheet(pipe, results, name)
    if not names:
        draw_dtypes(folder, results)
        draw_decoders(folder, results)


def draw_dtypes(folder: Path, results: Path) -> None:
    """The story's four ages and four roles, a row for each dtype: float32, bfloat16, float16."""
    asks = [Ask(prompt=STORY.format(words), seed=1) for words in AGES_ASKED.values()]
    asks += [Ask(prompt=f"portrait photo of a {role}", seed=2) for role in ("queen", "robot", "knight", "clown")]
    rows = [generate(load(folder, dtype), asks) for dtype in (torch.float32, torch.bfloat16, torch.float16)]
    save_sheet(np.concatenate(rows), len(asks), results / "dtypes.png")


def draw_decoders(folder: Path, results: Path) -> None:
    """Eight faces of which much is small, a row for each decoder: the pipeline's own, mini-vae-ft, mini-vae-tiny."""
    asks = [Ask(prompt=STORY.format("the oldest"), seed=seed) for seed in (1, 2)]
    roles = ("an old king", "a queen", "an old witch", "a pirate", "a robot", "the oldest woman")
    asks += [Ask(prompt=f"portrait photo of {role}", seed=8) for role in roles]
    rows, pipe = [], load(folder)
    for beside in (None, "mini-vae-ft", "mini-vae-tiny"):
        if beside is not None and not (folder.parent / beside / "config.json").is_file():
            continue
        if beside is not None:
            pipe.vae = AutoModel.from_pretrained(str(folder.parent / beside), torch_dtype=torch.float32).to(pipe.device)
        rows.append(generate(pipe, asks))
    save_sheet(np.concatenate(rows), len(asks), results / "decoders.png")


def draw_sheet(pipe: StableDiffusionPipeline, results: Path, name: str) -> np.ndarray:
    """One sheet; its pictures come back."""
    asks, columns = SHEETS[name]()
    made = generate(pipe, asks)
    save_sheet(made, columns, results / f"{name}.png")
    return made
