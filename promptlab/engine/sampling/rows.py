"""Merges the arguments of calls that are alike into those of one forward, and splits what comes of it.

Rows lie as pipelines lay them out themselves: with guidance first those without the prompts of all images, then those
with them. So a forward of four images is the one that the pipeline's own call of four makes, and what reads halves of a
batch (PAG's attention) finds them.

Invariant: ``split(merge(...))`` gives each image the rows it asked for, in its own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptlab.engine.sampling.signature import is_per_image, is_time, row_dimension, tensor_list

if TYPE_CHECKING:
    import torch

__all__ = ["CannotSplit", "copied", "merge", "merge_named", "split"]


class CannotSplit(Exception):
    """Says that what a forward gave has no row for each row that it was given."""


def merge_named(names: Sequence[str], calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]], rows: int) -> Any:
    """Return the positional and the named arguments of one forward for calls of one signature.

    Args:
        names: of the positional parameters.
        calls: arguments of each.
        rows: of one call.
    """
    first_args, first_named = calls[0]
    args = [
        merge(names[place] if place < len(names) else "", [each[0][place] for each in calls], rows)
        for place in range(len(first_args))
    ]
    return args, {name: merge(name, [each[1][name] for each in calls], rows) for name in first_named}


def merge(name: str, values: Sequence[Any], rows: int) -> Any:
    """Return one argument of a forward for those of several calls."""
    import torch

    first = values[0]
    if is_per_image(name):
        return None if first is None else [each for value in values for each in _listed(value)]
    if isinstance(first, torch.Tensor):
        return _merge_tensors(name, values, rows)
    if tensor_list(first):
        if len(first) != rows:
            raise CannotSplit(f"{name} is a list of {len(first)} tensors for {rows} rows")
        return [value[row] for row in range(rows) for value in values]
    if isinstance(first, list | tuple):
        parts = [merge(name, [value[place] for value in values], rows) for place in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, Mapping):
        return {key: merge(str(key), [value[key] for value in values], rows) for key in first}
    return first


def split(out: Any, place: int, images: int, rows: int) -> Any:
    """Return what of a forward's output is the image's at ``place``.

    Args:
        images: that shared the forward.
        rows: of each.

    Raises:
        CannotSplit: where a tensor of it has another number of rows.
    """

    def own(value: torch.Tensor | list[torch.Tensor]) -> Any:
        given = len(value) if isinstance(value, list) or value.dim() else 0
        if given != images * rows:
            raise CannotSplit(f"{images * rows} rows gave {given}")
        return value[place::images]

    return _each(out, own)


def copied(out: Any) -> Any:
    """Return an output whose tensors are no views of greater ones."""
    import torch

    return _each(
        out, lambda value: value.clone() if isinstance(value, torch.Tensor) else [one.clone() for one in value]
    )


def _each(out: Any, change: Callable[[Any], Any]) -> Any:
    """Return an output with each tensor, and each list of tensors, changed."""
    import torch

    if isinstance(out, torch.Tensor) or tensor_list(out):
        return change(out)
    if hasattr(out, "to_tuple"):  # diffusers' and transformers' outputs
        return type(out)(**{name: _each(value, change) for name, value in out.items()})
    if isinstance(out, list | tuple):
        return type(out)(_each(value, change) for value in out)
    return out


def _merge_tensors(name: str, values: Sequence[torch.Tensor], rows: int) -> torch.Tensor:
    import torch

    first = values[0]
    if is_time(name, first, rows):
        exact = [_wide(value).reshape(-1) for value in values]
        return torch.cat(exact).repeat(rows) if len(exact[0]) == 1 else torch.stack(exact, dim=1).reshape(-1)
    dimension = row_dimension(name, first, rows)
    if dimension is None:
        return first  # equal in all calls, or they were not alike
    return torch.cat([value.narrow(dimension, row, 1) for row in range(rows) for value in values], dim=dimension)


def _wide(time: torch.Tensor) -> torch.Tensor:
    """Return a timestep in float32, unless it was rounded to less."""
    import torch

    return time if time.is_floating_point() and time.element_size() < 4 else time.to(torch.float32)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]
