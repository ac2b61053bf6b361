"""Finds out, by watching a forward, whether a denoiser reads numbers of its own into Python.

Some look at the masks of their texts and cut, or pad, all rows to the longest; some look at what a layer gave and send
its rows to experts, so many to each. The shapes that kernels see then depend on the company. Nothing in a signature of
shapes says so, but the code gives itself away: it asks a tensor for a number (``item``, ``tolist``, ``numpy``), or for
the places where one is true. Where the numbers are those of a mask, masks must be equal to share a forward. Where they
are computed from latents, no two images are alike, and each has a forward of its own.

Invariant: what a watched forward computes is what it computes unwatched.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = ["NumbersRead", "Readers", "kind_of"]

_READS: Final = frozenset(
    {
        "item",
        "tolist",
        "numpy",
        "nonzero",
        "masked_select",
        "__bool__",
        "__int__",
        "__float__",
        "__index__",
        "__array__",
    }
)
"""Functions of torch, by name, after which Python, or the shape of a tensor, depends on numbers."""


class NumbersRead(IntEnum):
    """Says which numbers a module reads."""

    NOTHING = 0
    MASKS = 1
    LATENTS = 2


class Readers:
    """Remembers what kinds of modules read, each watched once."""

    def __init__(self) -> None:
        self._reading: dict[Hashable, NumbersRead] = {}

    def reading(self, kind: Hashable) -> NumbersRead:
        """Return what a module of this kind reads, as far as is known."""
        return self._reading.get(kind, NumbersRead.NOTHING)

    def run(self, kind: Hashable, forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a forward, watched if it is the first of its kind."""
        if kind in self._reading:
            return forward(*args, **kwargs)
        output, self._reading[kind] = _watched(forward, args, kwargs)
        return output


def kind_of(module: Any, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable:
    """Return what decides whether a module reads numbers: its class, and which arguments it is given.

    Args:
        names: of its positional parameters.
    """
    given = [*zip(names, args, strict=False), *kwargs.items()]
    return type(module), frozenset(name for name, value in given if value is not None)


def _watched(forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, NumbersRead]:
    from torch.overrides import TorchFunctionMode

    seen = [NumbersRead.NOTHING]
    computed: dict[int, torch.Tensor] = {}
    """Whole numbers that were made of others than whole ones, kept alive: an id is a tensor's as long as it lives."""

    def of_latents(tensor: torch.Tensor) -> bool:
        return tensor.is_floating_point() or id(tensor) in computed

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = kwargs or {}
            output = func(*args, **named)
            given = list(_tensors((args, list(named.values()))))
            name = getattr(func, "__name__", "")
            read = given if name in _READS else _masks(args[1]) if name == "__getitem__" else []
            seen.extend(NumbersRead.LATENTS if of_latents(each) else NumbersRead.MASKS for each in read)
            if any(map(of_latents, given)):
                computed.update((id(each), each) for each in _tensors(output) if not each.is_floating_point())
            return output

    with Watch():
        output = forward(*args, **kwargs)
    return output, max(seen)


def _masks(index: Any) -> list[Any]:
    """Return the masks that pick places in an index."""
    import torch

    return [each for each in _tensors(index) if each.dtype is torch.bool]


def _tensors(value: Any) -> Iterator[Any]:
    import torch

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
