"""The drawn pictures in one memory map, filled by as many processes as there are cores; a second call goes on where the first was stopped.

Picture ``i`` is ``render(choose(i), i)``. The first ``HELD_OUT`` pictures are never trained on.
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
    """uint8, pictures × 128 × 128 × 3, read from disk as it is needed."""
    return np.load(work / "pictures.npy", mmap_mode="r")


def render_all(work: Path, count: int, processes: int) -> None:
    """Draw ``count`` pictures into ``work``; blocks that a marker names are there already."""
    path = work / "pictures.npy"
    if not path.exists() or len(load_pictures(work)) != count:
        (work / "drawn").unlink(missing_ok=True)
        np.lib.format.open_memmap(path, "w+", np.uint8, (count, SIZE, SIZE, 3)).flush()
    marker = work / "drawn"
    done = set(marker.read_text().split()) if marker.exists() else set()
    left = [start for start in range(0, count, BLOCK) if str(start) not in done]
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
