"""The drawn pictures in one memory map, filled by as many processes as there are cores; a second call goes on where the first was stopped.

Picture ``i`` is ``render(choose(i), i)``. The first ``HELD_OUT`` pictures are never trained on. Training can begin while the last are drawn.
"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np

from training.attributes import choose
from training.frame import SIZE

__all__ = ["HELD_OUT", "load_pictures", "render_all"]

HELD_OUT = 1024
BLOCK = 250


def load_pictures(work: Path) -> np.ndarray:
    """uint8, pictures × 128 × 128 × 3, read from disk as it is needed: those before the first that is not drawn yet."""
    pictures = np.load(work / "pictures.npy", mmap_mode="r")
    done = _drawn(work)
    there = next((start for start in range(0, len(pictures), BLOCK) if start not in done), len(pictures))
    return pictures[:there]


def _drawn(work: Path) -> set[int]:
    """Where the blocks begin that are drawn."""
    marker = work / "drawn"
    return set(map(int, marker.read_text().split())) if marker.exists() else set()


def render_all(work: Path, count: int, processes: int) -> None:
    """Draw ``count`` pictures into ``work``; blocks that a marker names are there already."""
    path, marker = work / "pictures.npy", work / "drawn"
    if not path.exists() or len(np.load(path, mmap_mode="r")) != count:
        marker.unlink(missing_ok=True)
        np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIZE, SIZE, 3)).flush()
    done = _drawn(work)
    left = [start for start in range(0, count, BLOCK) if start not in done]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # BLAS threads make small products ten times slower
    with multiprocessing.get_context("spawn").Pool(processes) as pool, marker.open("a") as log:
        for start in pool.imap_unordered(_render_block, [(path, start, min(start + BLOCK, count)) for start in left]):
            log.write(f"{start}\n")
            log.flush()


def _render_block(job: tuple[Path, int, int]) -> int:
    from training.drawing import render

    path, start, end = job
    pictures = np.lib.format.open_memmap(path, "r+")
    for i in range(start, end):
        pictures[i] = render(choose(i), i)
    pictures.flush()
    return start
