"""Remembers what text encoders made of texts: each distinct text is encoded once.

A run asks for the same words again and again: one prompt at sixty seeds, one negative prompt for all. What an encoder
is called with (tokens, mask, which layers) decides what it gives, so that is what is remembered, least recently used
forgotten first.

Invariant: what is given back is to the byte what the encoder gave, whatever else was encoded meanwhile; entries of
other weights, another dtype, device or number of threads are other entries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.sampling.signature import digest

if TYPE_CHECKING:
    import torch

__all__ = ["TextMemory", "encoding_alone", "is_alone"]

_MOST_BYTES: Final = 256 * 2**20
"""Of all that is remembered: hundreds of texts of Stable Diffusion's, few of a large language model's. The latest is
kept whatever its size, for the seeds that come next."""
_CACHES: Final = "past_key_values"
"""Names what a language model would need to go on writing, and nobody asks for here."""


_ALONE: Final[ContextVar[bool]] = ContextVar("alone", default=False)


@contextmanager
def encoding_alone() -> Iterator[None]:
    """Encode in forwards of one row in the block, as what compel joins always was."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def is_alone() -> bool:
    """Say whether the text that is being encoded is to have a forward of one row."""
    return _ALONE.get()


@dataclass(frozen=True, slots=True)
class _Entry:
    output: Any
    size: int


class TextMemory:
    """Holds outputs of text encoders, up to a number of bytes.

    Args:
        most_bytes: of all of them together.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def encoded(
        self, encoder: Hashable, encode: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], *,
        otherwise: Callable[..., Any],
    ) -> Any:  # fmt: skip
        """Return what ``encode`` gives, or gave.

        Args:
            encoder: which one it is, its weights and how it computes included.
            encode: called where these words are not known.
            otherwise: called where the arguments are no words.
        """
        asked = _words(args, kwargs)
        if asked is None:
            return otherwise(*args, **kwargs)
        key = encoder, asked
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key].output
        output = encode(*args, **kwargs)
        if getattr(output, _CACHES, None) is not None:
            output[_CACHES] = None
        self._entries[key] = _Entry(output, sum(each.nbytes for each in _tensors(output)))
        self._forget()
        return output

    def _forget(self) -> None:
        total = sum(entry.size for entry in self._entries.values())
        while total > self._most_bytes and len(self._entries) > 1:
            total -= self._entries.popitem(last=False)[1].size


def _words(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable | None:
    """Return what tells a call from others where it is of words: tokens, masks, and constants; else None."""
    import torch

    told: list[Hashable] = []
    for name, value in (*enumerate(args), *sorted(kwargs.items())):
        if isinstance(value, torch.Tensor):
            if value.is_floating_point() or value.is_complex():
                return None
            told.append((name, tuple(value.shape), value.dtype, value.device, digest(value)))
        elif value is None or isinstance(value, bool | int | float | str):
            told.append((name, type(value).__name__, value))
        else:
            return None
    return tuple(told) if any(isinstance(value, torch.Tensor) for value in (*args, *kwargs.values())) else None


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
