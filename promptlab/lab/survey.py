"""Looking before leaping: many specs resolved together, and planned with what the workspace has and remembers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from promptlab.engine import Engine
from promptlab.plan import Plan, ResolvedSpec, keys_of, plan
from promptlab.records import Environment
from promptlab.spec import MachineSpec, RunSpec

if TYPE_CHECKING:
    from promptlab.lab.workshop import Workshop

__all__ = ["environments_of", "survey"]


def survey(
    engine: Engine,
    workshop: Workshop | None,
    specs: Sequence[RunSpec],
    *,
    there: frozenset[str] | None,
    cut: bool = False,
) -> tuple[Plan, tuple[Environment, ...]]:
    """The plan of ``specs``, and the environment of each, in the order as written.

    Args:
        workshop: of the workspace; ``None`` where that has no database yet, so that none is made.
        there: recipe keys that need not be made; looked up where it is ``None``.
        cut: whether to ask the text encoders what they would cut: loads tokenizers.

    Raises:
        InputError: for the first spec that is wrong.
    """
    resolved = engine.resolve_all(specs)
    environments = environments_of(engine, resolved)
    if there is None:
        there = frozenset()
        for environment in {id(each): each for each in environments}.values() if workshop is not None else ():
            its = (one for one, where in zip(resolved, environments, strict=True) if where is environment)
            keys = [key for run in keys_of(its) for key in run]
            there |= workshop.spoken_for(keys, environment) if workshop is not None else frozenset()
    words = engine.cut_words(resolved) if cut else ()
    pace = (lambda _: None) if workshop is None else workshop.pace
    made = plan(resolved, there=there, rows=engine.images_per_forward, work=engine.work, pace=pace, cut=words)
    return made, environments


def environments_of(engine: Engine, resolved: Iterable[ResolvedSpec]) -> tuple[Environment, ...]:
    """The environment of each, found out once for those that have the same."""
    distinct: dict[tuple[str, str | None, str, MachineSpec], Environment] = {}
    environments = []
    for one in resolved:
        part = (one.device, one.spec.pipeline.dtype, one.spec.generator_device, replace(one.spec.machine, exact=False))
        if part not in distinct:
            distinct[part] = engine.environment(one)
        environments.append(distinct[part])
    return tuple(environments)
