"""Says what makes two calls of a module alike: what must be equal for them to share a forward.

An image is made by a call of its pipeline at batch 1, so a tensor whose first dimension is the number of rows (one, two
with guidance, three with PAG's) is of that image, and may hold any numbers. All else must be equal: shapes and dtypes,
Python values, and to the byte the tensors that all rows read, such as rotary tables. Timesteps are numbers of an image,
however they are written.

Invariant: two calls of one signature can be merged (:mod:`promptlab.engine.sampling.rows`), and a row of the merged
forward is told what it would be told alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

__all__ = ["digest", "is_per_image", "is_time", "row_count", "row_dimension", "signature_of", "tensor_list"]

_TIMES: Final = frozenset({"timestep", "timesteps", "t"})
"""Names the timestep among the arguments of diffusers' denoisers."""
_PER_IMAGE: Final = frozenset({"generator"})
"""Arguments that belong to an image and say nothing of a forward's shape."""
_ROWS_SECOND: Final = frozenset({"encoder_hidden_states_llama3"})
"""Arguments whose second dimension counts the rows: HiDream is given what each layer of its encoder made."""


@dataclass(frozen=True, slots=True)
class _Constant:
    """Holds a Python value, with its kind: 1, 1.0 and True are equal to Python, and not to a model."""

    kind: str
    value: Hashable


def row_count(args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Return how many rows a call has: those of its first tensor, or the length of a list of tensors."""
    for value in (*args, *kwargs.values()):
        if _is_tensor(value) and value.dim() > 0:
            return int(value.shape[0])
        if tensor_list(value):
            return len(value)
    return 1


def signature_of(
    names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any], rows: int, *, masks: bool = False
) -> Hashable:
    """Return what must be equal for a call to share a forward with another of the same module.

    Args:
        names: of the module's positional parameters.
        rows: see :func:`row_count`.
        masks: whether masks must be equal, too: tensors of whole numbers, times apart.
    """
    given = [(names[place] if place < len(names) else "", value) for place, value in enumerate(args)]
    given += sorted(kwargs.items())
    equal = tuple(map(digest, _masks(given, rows))) if masks else ()
    return tuple(_leaf(name, value, rows) for name, value in given), equal


def row_dimension(name: str, value: torch.Tensor, rows: int) -> int | None:
    """Return the dimension of ``value`` that counts rows; None where all rows read all of it."""
    dimension = int(name in _ROWS_SECOND)
    return dimension if value.dim() > dimension and value.shape[dimension] == rows else None


def is_time(name: str, value: torch.Tensor, rows: int) -> bool:
    """Say whether a parameter is the timestep: one number for all rows of an image, or one for each."""
    return name in _TIMES and (value.dim() == 0 or (value.dim() == 1 and value.shape[0] in (1, rows)))


def is_per_image(name: str) -> bool:
    """Say whether a parameter of this name belongs to an image, whatever is in it."""
    return name in _PER_IMAGE


def tensor_list(value: Any) -> bool:
    """Say whether ``value`` is a list of tensors: some denoisers take one for each row."""
    return isinstance(value, list) and bool(value) and all(map(_is_tensor, value))


def digest(tensor: torch.Tensor) -> str:
    """Return the hash of a tensor's numbers. Waits for the device, once for each tensor that lies on one.

    Tables that all rows read are the same tensors at every step of a call, and no pipeline writes into them.
    """
    if tensor.device.type == "cpu":
        return _hashed(tensor)
    known = _digests()
    if tensor not in known:
        known[tensor] = _hashed(tensor)
    return str(known[tensor])


@lru_cache(maxsize=1)
def _digests() -> Any:
    """Return what remembers the hash of each tensor, by identity, as long as that lives."""
    from torch.utils.weak import WeakTensorKeyDictionary

    return WeakTensorKeyDictionary()


def _hashed(tensor: torch.Tensor) -> str:
    from hashlib import sha256

    import torch

    plain = tensor.detach().cpu().contiguous()
    return sha256(plain.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def _masks(given: Any, rows: int) -> Iterator[torch.Tensor]:
    for name, value in given.items() if isinstance(given, Mapping) else given:
        if _is_tensor(value):
            if not value.is_floating_point() and not is_time(name, value, rows):
                yield value
        elif isinstance(value, list | tuple | Mapping):
            yield from _masks(value if isinstance(value, Mapping) else [(name, each) for each in value], rows)


def _leaf(name: str, value: Any, rows: int) -> Hashable:
    if is_per_image(name):
        return name, value is None
    if _is_tensor(value):
        return name, _tensor(name, value, rows)
    if tensor_list(value):
        whose = "rows" if len(value) == rows else "all"
        return name, whose, tuple((tuple(each.shape), each.dtype) for each in value)
    if isinstance(value, list | tuple):
        return name, type(value).__name__, tuple(_leaf(name, each, rows) for each in value)
    if isinstance(value, Mapping):
        return name, tuple(_leaf(str(key), each, rows) for key, each in sorted(value.items()))
    if isinstance(value, Hashable) and not hasattr(value, "__dict__"):
        return name, _Constant(type(value).__name__, value)
    return name, id(value)


def _tensor(name: str, value: torch.Tensor, rows: int) -> Hashable:
    if is_time(name, value, rows):
        return "time", value.dim(), str(value.dtype) if _is_narrow(value) else ""
    if row_dimension(name, value, rows) is not None:
        return "rows", tuple(value.shape), value.dtype, value.device
    return "all", tuple(value.shape), value.dtype, digest(value)


def _is_narrow(value: torch.Tensor) -> bool:
    """Say whether a timestep is rounded already: to bfloat16, which a whole number is not."""
    return bool(value.is_floating_point()) and value.element_size() < 4


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
