"""What pipelines give back, as pictures: families differ in where they put them and in what they are.

Asked for arrays (``output_type="np"``), most give one of ``[batch, height, width, 3]``, 0 … 1. Some give a list of
arrays, of tensors or of PIL images whatever they are asked, one picture in a batch of its own, or a tuple.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptlab.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["pictures_of"]


def pictures_of(output: Any, count: int) -> list[NDArray[np.floating]]:
    """The first ``count`` pictures of a pipeline's output, each ``[height, width, 3]``, 0 … 1 where they are numbers.

    Waits for the accelerator: the numbers are on the CPU afterwards.

    Raises:
        EngineError: when these are no pictures: latents, embeddings, a video's frames, or too few.
    """
    given = getattr(output, "images", None)
    if given is None and isinstance(output, tuple | list) and output:
        given = output[0]
    if given is None:
        raise EngineError(f"the pipeline gave no pictures: {type(output).__name__}")
    pictures = [_picture(each) for each in (given if isinstance(given, list | tuple) else list(given))]
    if len(pictures) < count:
        raise EngineError(f"the pipeline gave {len(pictures)} pictures, of {count} that were asked for")
    return pictures[:count]


def _picture(given: Any) -> NDArray[np.floating]:
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
