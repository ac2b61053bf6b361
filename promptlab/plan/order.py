"""Orders runs so that what is slow to change changes seldom, and counts loads.

Another model, variant, dtype or device loads a whole pipeline; another VAE loads that alone, but again after every
pipeline, so it comes inside dtype; another size or batch makes the accelerator choose its kernels anew; a scheduler,
steps or guidance cost nothing. Runs equal in all of these stay as written, and every value keeps the place of its first
appearance, so that a person recognises the order of their file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from promptlab.plan.resolved import ResolvedSpec
from promptlab.specs.settings import SETTINGS, Setting

__all__ = ["loads_of", "order_line", "ordered"]

AS_WRITTEN: Final = "as written"

_BY_CONTENT: Final[Mapping[str, Callable[[ResolvedSpec], object]]] = MappingProxyType(
    {
        "model": lambda each: (each.model_identity, each.spec.pipeline.model),
        "vae": lambda each: each.vae_identity,
        "device": lambda each: each.device,
        "machine": lambda each: each.spec.machine,
    }
)
"""Levels that are told apart otherwise than by what the spec says: weights by content, as the engine does."""


def _levels() -> Iterator[tuple[str, Callable[[ResolvedSpec], object]]]:
    """Yield the name and the value of each level, outermost first, as the table of settings orders them."""
    rows = sorted((row for row in SETTINGS.values() if row.load_order is not None), key=lambda row: row.load_order or 0)
    for name, row in {row.load_group or row.name: row for row in rows}.items():
        yield name.replace("_", " "), _BY_CONTENT.get(name) or _value_of(row)
    yield "arguments", lambda each: each.spec.call.arguments


def _value_of(row: Setting) -> Callable[[ResolvedSpec], object]:
    return lambda each: row.value(each.spec)


_LEVELS: Final = tuple(_levels())


def ordered(resolved: Sequence[ResolvedSpec]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the places of ``resolved`` in the order to run them, and the levels that vary."""
    names = []
    ranks = [0] * len(resolved)
    for name, value_of in _LEVELS:
        values = list(map(value_of, resolved))
        places = {value: place for place, value in enumerate(dict.fromkeys(values))}
        if len(places) > 1:
            ranks = [rank * len(places) + places[value] for rank, value in zip(ranks, values, strict=True)]
            names.append(name)
    return tuple(sorted(range(len(resolved)), key=ranks.__getitem__)), tuple(names)


def order_line(names: Sequence[str]) -> str:
    """Return ``model → dtype → scheduler``: what changes least often first; in words where nothing varies."""
    return " → ".join(names) or AS_WRITTEN


def loads_of(resolved: Iterable[ResolvedSpec]) -> Iterator[int]:
    """Yield for each run how often weights are loaded before it: 1 for a pipeline or a VAE, 2 for both.

    A pipeline counts as one, though parts of it may be there: which ones, only their files tell.

    Source: :class:`promptlab.engine.loading.pipeline_cache.PipelineCache`, which keeps one pipeline and what the next
    one shares with it. A test holds both to the same count.
    """
    base: tuple[object, ...] | None = None
    lies: tuple[object, ...] | None = None
    vae: str | None = None
    for each in resolved:
        loads, pipeline, machine = 0, each.spec.pipeline, each.spec.machine
        wanted = each.vae_identity
        here = (
            pipeline.dtype, pipeline.quantization, pipeline.text_encoder_quantization, each.device, machine.offload,
            machine.compile, machine.channels_last,
        )  # fmt: skip
        there = (each.model_identity, pipeline.variant, *here)
        hooked = machine.offload is not None and (there, wanted) != (base, vae)
        if there != base or hooked or (wanted is None and vae is not None):
            loads = 1
        if wanted is not None and ((wanted, here) != (vae, lies) or hooked):
            loads += 1
        base, lies, vae = there, here, wanted
        yield loads
