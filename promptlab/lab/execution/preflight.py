"""Looking before leaping: many specs resolved together, and planned with what the workspace has and remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from promptlab.engine import Engine
from promptlab.plan import DEFAULT_BATCH_SIZE, Plan, ResolvedSpec, keys_of, plan
from promptlab.plan.batch_key import stream_key
from promptlab.records import Environment
from promptlab.specs import MachineSpec, RunSpec

if TYPE_CHECKING:
    from promptlab.lab.execution.executor import Executor

__all__ = ["environments_of", "survey"]


def survey(
    engine: Engine,
    workshop: Executor | None,
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
    resolved = _in_company(engine, specs, engine.resolve_all(specs))
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


def _in_company(engine: Engine, specs: Sequence[RunSpec], resolved: Sequence[ResolvedSpec]) -> tuple[ResolvedSpec, ...]:
    """``resolved``, where runs of few images that name no batch size take that of the stream which they make together.

    A run of one image would have forwards of its own shape, and share none. Two sizes only, so that a sweep that grows
    keeps the recipes of what it has made.
    """
    streams = [
        stream_key(one.spec.pipeline, one.spec.call, one.spec.machine, batch_size=0, device=one.device)
        if spec.batch_size is None and engine.work(one) is not None else None
        for spec, one in zip(specs, resolved, strict=True)
    ]  # fmt: skip
    images: Counter[object] = Counter()
    for stream, one in zip(streams, resolved, strict=True):
        images[stream] += one.spec.image_count
    return tuple(
        one.at(max(one.batch_size, DEFAULT_BATCH_SIZE if images[stream] > 2 else images[stream]))
        if stream is not None and len(specs) > 1 else one
        for stream, one in zip(streams, resolved, strict=True)
    )  # fmt: skip


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
