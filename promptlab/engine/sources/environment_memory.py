"""Remembers environments between processes, so that a plan knows its own without importing torch.

An environment is measured (:mod:`promptlab.engine.machine.environment`), and what it comes to is written into the
user's cache folder under everything that it is measured from: versions, processor, cores, variables. A plan looks
there; what makes images measures again.

Invariants: what was measured where torch had been set up by somebody else is not remembered; only CPUs are, because
what an accelerator is at a moment stands in no file; whatever is wrong with this memory, it has nothing.
"""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import promptlab
from promptlab.engine.machine.environment import cpu_name, library_versions
from promptlab.engine.machine.idle_threads import SAID_OTHERWISE
from promptlab.engine.sources.hash_memory import cache_folder, write_entry
from promptlab.records import Environment

__all__ = ["recall_environment", "remember_environment"]

_PREFIXES: Final = (
    "ATEN_", "BLIS_", "DIFFUSERS_", "DNNL_", "GOMP_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTORCH_",
    "TORCH",
)  # fmt: skip
"""Variables that torch, diffusers and what they compute with read."""


def recall_environment(generator_device: str, dtype: str) -> Environment | None:
    """Return the environment of this CPU as it computes by default; ``None`` where it was never measured.

    Args:
        generator_device: where the noise is drawn.
        dtype: of the weights.
    """
    with suppress(OSError, ValueError, TypeError):
        facts = json.loads(_entry(generator_device, dtype).read_text(encoding="utf-8"))
        if isinstance(facts, dict):
            return Environment(facts=facts)
    return None


def remember_environment(environment: Environment, generator_device: str, dtype: str) -> None:
    """Write down what was measured, whole or not at all."""
    with suppress(OSError):  # a full disk, a folder of somebody else's
        write_entry(_entry(generator_device, dtype), environment.facts)


def _entry(generator_device: str, dtype: str) -> Path:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(_PREFIXES) and name not in SAID_OTHERWISE
    )
    facts = [promptlab.__version__, platform.platform(), platform.python_version(), library_versions(), cpu_name(),
             cores, told, generator_device, dtype]  # fmt: skip
    return cache_folder() / "environments" / f"{sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"
