"""Several single-threaded processes that train one model: on two shared cores, far faster than one process with two threads.

Each optimiser step is a fixed number of micro-batches, which the ranks take from one counter (so that a rank that others slow down
takes fewer), and gradients are summed with gloo. One process on a CUDA device is the same thing with one rank.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["Ranks", "launch"]


class Ranks:
    """This process among its siblings; told by RANK, WORLD_SIZE and MASTER_PORT, as torchrun would."""

    def __init__(self) -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._store: Any = None
        if self.device.type == "cpu":
            torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = True  # shapes stay as they are
        if self.world > 1:
            port = int(os.environ["MASTER_PORT"])
            self._store = dist.TCPStore(  # type: ignore[attr-defined]  # torch re-exports it without saying so
                "127.0.0.1", port, self.world, is_master=self.rank == 0
            )
            dist.init_process_group("gloo", store=self._store, rank=self.rank, world_size=self.world)

    @property
    def first(self) -> bool:
        """Whether this rank writes logs and checkpoints."""
        return self.rank == 0

    def tickets(self, step: int, count: int) -> Iterator[int]:
        """The micro-batches of ``step`` that fall to this rank."""
        if self._store is None:
            yield from range(count)
            return
        while (ticket := self._store.add(f"step{step}", 1)) <= count:
            yield ticket - 1

    def reduce(self, parameters: list[torch.nn.Parameter], count: int, extra: torch.Tensor) -> torch.Tensor:
        """Average the gradients of ``count`` micro-batches over all ranks; ``extra`` numbers are summed and handed back, on the device."""
        grads = [(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in parameters]
        flat = torch.cat([*grads, extra])
        if self.world > 1:
            dist.all_reduce(flat)
        end = flat.numel() - extra.numel()
        flat[:end] /= count
        at = 0
        for p in parameters:
            p.grad = flat[at : at + p.numel()].view_as(p)
            at += p.numel()
        return flat[end:]

    def first_clock(self, seconds: float) -> float:
        """The first rank's ``seconds``, so that all of them end at the same step."""
        if self.world == 1:
            return seconds
        clock = torch.tensor([seconds if self.first else 0.0], dtype=torch.float64)
        dist.all_reduce(clock)
        return clock.item()

    def add_up(self, values: torch.Tensor) -> None:
        """Sum ``values`` over all ranks, in place."""
        if self.world > 1:
            dist.all_reduce(values)

    def wait(self) -> None:
        """Until every rank is here."""
        if self.world > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave together: whoever closes the store first would take it from the others."""
        if self.world > 1:
            dist.destroy_process_group()


def launch(arguments: list[str], world: int) -> int:
    """Run ``python -m training …`` as ``world`` ranks and wait; the first failure's exit code, or 0.

    A single process is no rank: it may launch some of its own, and has all threads.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "training", *arguments],
            env={**os.environ, **threads, "RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_PORT": str(port)}
            if world > 1
            else None,
        )
        for rank in range(world)
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return max((abs(process.wait()) for process in processes), default=0)
    finally:
        for process in processes:
            process.terminate()
