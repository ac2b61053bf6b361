"""Determines an image's size: the default, what sides must be divisible by, what would be changed.

Some families make another size than they are asked for, with a warning in a log or none: what was recorded would then
not be what was made. Each is asked here what it would make, by its own code or numbers, before weights are read.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptlab.engine.pipelines.meta_pipeline import default_size, multiples
from promptlab.engine.pipelines.traits import call_parameters
from promptlab.engine.sources.class_source import ClassSource, NotTold, module_names
from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import InputError, ref_value
from promptlab.specs import CallSpec

__all__ = ["adjust_size", "check_divisible", "check_image_size", "check_size", "default_size_of"]


def default_size_of(
    pipeline: Any, config: Configuration, vae: Mapping[str, Any] | None, meta: Any
) -> tuple[int, int] | None:
    """Return height and width, in pixels, of a call that is given none; ``None`` where nothing tells.

    UNets were trained at one size, which their configuration names; of other families the pipeline knows.

    Args:
        vae: configuration of another VAE than the model's own.
        meta: the pipeline without its weights, where there is one; see
            :mod:`promptlab.engine.pipelines.meta_pipeline`.
    """
    if "unet" in config.parts:
        return config.default_size(vae)
    return (None if vae is not None else default_size(pipeline, meta)) or config.default_size(vae)


def adjust_size(call: CallSpec, pipeline: Any, meta: Any) -> CallSpec:
    """Return ``call`` with the size that the family makes of its size."""
    if call.width is None or call.height is None:
        return call
    width, height = _made(pipeline, meta, (call.width, call.height), dict(call.arguments))
    return replace(call, width=width, height=height)


def check_size(call: CallSpec, pipeline: Any, config: Configuration, vae: Mapping[str, Any] | None, meta: Any) -> None:
    """Refuse sizes that the VAE cannot make and sizes that the family would change.

    Raises:
        InputError: naming the nearest sizes that can be made.
    """
    check_divisible(call, _side_multiple(pipeline, config, vae, meta))
    made = adjust_size(call, pipeline, meta)
    if made != call:
        raise _size_changed(call, (made.width, made.height), pipeline)


def check_image_size(call: CallSpec, pixels: Sequence[int], pipeline: Any) -> None:
    """Check the size of the image itself, ``[height, width, …]``.

    Raises:
        InputError: when it is not the one that was asked for.
    """
    made = (int(pixels[1]), int(pixels[0]))
    if call.width is not None and call.height is not None and made != (call.width, call.height):
        raise _size_changed(call, made, pipeline)


def _size_changed(call: CallSpec, made: tuple[int | None, int | None], pipeline: Any) -> InputError:
    shown = f"{made[0]}x{made[1]}"
    return InputError(
        "size", f"{call.width}x{call.height}", problem=f"is a size that {pipeline.__name__} changes to {shown}",
        allowed=f"{shown}, the nearest that it keeps", hint=ref_value("size", shown),
    )  # fmt: skip


def _made(pipeline: Any, meta: Any, asked: tuple[int, int], arguments: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height that the family makes of ``asked``: families differ by a list or an area."""
    width, height = asked
    if isinstance(pipeline, ClassSource) and "map_to_standard_shapes" in module_names(pipeline):
        raise NotTold(pipeline.name)
    standard = getattr(sys.modules.get(pipeline.__module__), "map_to_standard_shapes", None)
    if standard is not None and arguments.get("use_resolution_binning", True):  # HunyuanDiT
        shapes = sys.modules[pipeline.__module__].SUPPORTED_SHAPE
        made = asked if asked in shapes else standard(width, height)
        return int(made[0]), int(made[1])
    listed = getattr(meta, "resolutions", None)
    if listed:  # Kandinsky 5
        made = asked if asked in listed else min(listed, key=lambda each: abs(each[0] / each[1] - width / height))
        return int(made[0]), int(made[1])
    if meta is None:
        return asked
    if "max_area" in call_parameters(pipeline):  # FLUX.1 Kontext
        area = arguments.get("max_area") or call_parameters(pipeline)["max_area"].default
        return _of_one_area(asked, area, meta.vae_scale_factor * 2, round)
    if pipeline.__name__ == "HiDreamImagePipeline":
        area = (meta.default_sample_size * meta.vae_scale_factor) ** 2
        return _of_one_area(asked, area, meta.vae_scale_factor * 2)
    return asked


def _of_one_area(
    asked: tuple[int, int], area: int, multiple: int, whole: Callable[[float], float] = float
) -> tuple[int, int]:
    """Compute a size of ``area`` pixels in the shape of ``asked``, its sides cut to ``multiple``.

    What comes out may itself be a size that would be changed again: it is followed until it stays.
    """
    size = asked
    for _ in range(8):
        scale = math.sqrt(area / (size[0] * size[1]))
        width, height = (int(whole(side * scale) // multiple * multiple) for side in size)
        if (width, height) == size:
            break
        size = (width, height)
    return size


def _side_multiple(pipeline: Any, config: Configuration, vae: Mapping[str, Any] | None, meta: Any) -> int:
    own = config.side_multiple(vae)
    if vae is not None or "transformer" not in config.parts:
        return own
    told = getattr(getattr(getattr(meta, "image_processor", None), "config", None), "vae_scale_factor", None)
    return math.lcm(max(own, told) if isinstance(told, int) else own, *multiples(pipeline, meta))


def check_divisible(call: CallSpec, multiple: int) -> None:
    """Refuse a size whose sides are not multiples of ``multiple``.

    Raises:
        InputError: naming the nearest sizes that are.
    """
    if not any(side is not None and side % multiple for side in (call.height, call.width)):
        return

    def near(side: int | None) -> tuple[int, int]:
        below = (side or multiple) // multiple * multiple
        return (max(below, multiple), below + multiple if (side or multiple) % multiple else max(below, multiple))

    (low_w, high_w), (low_h, high_h) = near(call.width), near(call.height)
    raise InputError(
        "size", f"{call.width}x{call.height}", problem=f"is not divisible by {multiple}, as this model needs",
        allowed=f"{low_w}x{low_h} or {high_w}x{high_h}, the nearest", hint=ref_value("size", f"{high_w}x{high_h}"),
    )  # fmt: skip
