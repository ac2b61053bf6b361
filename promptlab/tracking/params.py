"""Writes the settings of a run as MLflow parameters. Pure.

Settings come from :data:`~promptlab.specs.settings.SETTINGS`, each by the name of its column; a setting that is added
there is a parameter from then on. What steers an image beside those, machine and scheduler options among it, is left
out where it was not asked for.

Invariant: MLflow's parameters cannot be changed once logged, so nothing that a resumed run may change is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

from promptlab.expand.settings_text import conditioning_text
from promptlab.specs import RunSpec, Scalar
from promptlab.specs.settings import settings_of

__all__ = ["base_params", "conditioning_params", "param_name", "param_text", "seeds_of", "seeds_text", "sweep_param"]


def base_params(spec: RunSpec) -> dict[str, Scalar]:
    """Return model, precision, scheduler, steps, guidance and size: what every run has, set or not."""
    scheduler, call = spec.pipeline.scheduler, spec.call
    columns = {
        row.column: row.value(spec)
        for row in settings_of("pipeline", "call")
        if row.column and not row.conditioning and row.name not in ("scheduler", "height", "width")
    }
    return columns | {
        "vae": spec.pipeline.vae or "default",
        "scheduler": scheduler.name if scheduler else None,
        "size": f"{call.width}x{call.height}" if call.width and call.height else None,
    }


def conditioning_params(spec: RunSpec) -> dict[str, Scalar]:
    """Return machine, options of the scheduler, conditioning, arguments: what was asked for besides."""
    scheduler = spec.pipeline.scheduler
    return {
        **spec.machine.said,
        **({f"scheduler.{key}": value for key, value in scheduler.options} if scheduler else {}),
        **dict(conditioning_text(spec)),
        **dict(spec.call.arguments),
    }


def sweep_param(field: str) -> str:
    """Return the parameter that holds a run's value on an axis, which tables are sorted by."""
    return param_name(f"sweep.{field}")


def param_name(name: str) -> str:
    """Return ``name`` in the characters that MLflow allows in names of parameters, 250 at most."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)[:250]


def param_text(value: Scalar) -> str:
    """Return a value as parameters and tags show it: ``7`` for 7.0, ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def seeds_text(seeds: Iterable[int]) -> str:
    """Return seeds as one types them: ``0-7, 42``."""
    runs = [[seed for _, seed in same] for _, same in groupby(enumerate(seeds), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def seeds_of(text: str, *, limit: int) -> tuple[int, ...]:
    """Return the first ``limit`` seeds that :func:`seeds_text` wrote; anything else is skipped."""
    seeds: list[int] = []
    for piece in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", piece)
        if found:
            first, last = int(found[1]), int(found[2] or found[1])
            seeds.extend(range(first, min(last, first + limit) + 1))
    return tuple(seeds[:limit])
