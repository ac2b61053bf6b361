"""Answers what pipeline classes differ in and no configuration tells: arguments, guidance, output.

Invariant: of a family that is not listed here guidance is not dropped half-way.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.sources.class_source import parameters_of
from promptlab.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "GUIDED_TENSORS",
    "call_parameters",
    "images_of",
]

GUIDED_TENSORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "StableDiffusionPipeline": ("prompt_embeds",),
        "StableDiffusionXLPipeline": ("prompt_embeds", "add_text_embeds", "add_time_ids"),
    }
)
"""Pipelines that ask at each step whether to guide, and the tensors that hold an unguided half while they do."""


def call_parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    """Return the named parameters of a pipeline class's ``__call__``, without ``self``.

    Args:
        kind: the class, or its :class:`~promptlab.engine.sources.class_source.ClassSource`.
    """
    return _parameters(kind)


def images_of(output: Any, count: int) -> list[NDArray[np.floating]]:
    """Return the first ``count`` images of a pipeline's output, each ``[height, width, 3]``, 0 … 1.

    Asked for arrays (``output_type="np"``), most pipelines give one of ``[batch, height, width, 3]``. Some give a list
    of arrays, of tensors or of PIL images whatever they are asked, one image in a batch of its own, or a tuple. Waits
    for the accelerator: the numbers are on the CPU afterwards.

    Raises:
        EngineError: when these are no images: latents, embeddings, a video's frames, or too few.
    """
    given = getattr(output, "images", None)
    if given is None and isinstance(output, tuple | list) and output:
        given = output[0]
    if given is None:
        raise EngineError(f"the pipeline gave no pictures: {type(output).__name__}")
    images = [_image(each) for each in (given if isinstance(given, list | tuple) else list(given))]
    if len(images) < count:
        raise EngineError(f"the pipeline gave {len(images)} pictures, of {count} that were asked for")
    return images[:count]


def _image(given: Any) -> NDArray[np.floating]:
    import numpy as np
    import torch

    if isinstance(given, torch.Tensor):
        given = given.detach().float().cpu()
        given = (given.movedim(-3, -1) if given.ndim >= 3 and given.shape[-3] in (1, 3, 4) else given).numpy()
    array = np.asarray(given)
    if array.dtype == np.uint8:  # a PIL image
        array = array.astype(np.float32) / 255
    while array.ndim > 3 and array.shape[0] == 1:  # a batch of its own, or the one frame of a video model
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or not np.issubdtype(array.dtype, np.floating):
        raise EngineError(f"the pipeline gave no pictures: numbers of shape {'×'.join(map(str, array.shape))}")
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array[..., :3]


@lru_cache(maxsize=64)
def _parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = parameters_of(kind, "__call__")
    named = {name: each for name, each in parameters.items() if name != "self" and each.kind not in variable}
    return MappingProxyType(named)
