"""Answers what pipeline classes differ in and no configuration tells: arguments, padding, output.

Invariant: a family that is not listed here is treated the careful way, which costs time and never bytes: only equal
prompts share a forward, and guidance is not dropped half-way.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from promptlab.errors import EngineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FIXED_PROMPT_LENGTH",
    "GUIDED_TENSORS",
    "ONE_IMAGE_PER_CALL",
    "call_parameters",
    "images_of",
    "mixes_prompts",
    "replaced_schedulers",
    "sub_pipelines",
]

FIXED_PROMPT_LENGTH: Final = frozenset(
    {
        "AuraFlowPipeline", "ChromaPipeline", "CogView3PlusPipeline", "Flux2KleinPipeline", "Flux2Pipeline",
        "FluxKontextPipeline", "FluxPipeline", "HunyuanDiTPAGPipeline", "HunyuanDiTPipeline", "IFPipeline",
        "Ideogram4Pipeline",
        "KandinskyCombinedPipeline", "KandinskyV22CombinedPipeline", "LatentConsistencyModelPipeline",
        "Lumina2Pipeline", "OvisImagePipeline", "PixArtAlphaPipeline", "PixArtSigmaPAGPipeline", "PixArtSigmaPipeline",
        "SanaPAGPipeline", "SanaPipeline", "StableCascadeCombinedPipeline", "StableDiffusion3PAGPipeline",
        "StableDiffusion3Pipeline", "StableDiffusionPAGPipeline", "StableDiffusionPipeline",
        "StableDiffusionXLPAGPipeline", "StableDiffusionXLPipeline",
    }
)  # fmt: skip
"""Pipelines that pad every prompt to ``max_length`` in their ``encode_prompt``, and whose tiny models made a short
prompt alone and beside one of 150 letters the same to the byte: see ``benchmarks/families.py``. Others pad to the
longest prompt of the batch, or cut what all of them leave empty (Qwen-Image, Kandinsky 3): there the length of its
neighbour decides an image's bytes."""

ONE_IMAGE_PER_CALL: Final = frozenset({"GlmImagePipeline", "PRXPipeline", "WuerstchenCombinedPipeline"})
"""Pipelines that make one image at a time: GLM-Image draws the codes of all images of a batch with the seed of the
first; PRX tells its transformer the time of two rows, one guided and one not; Wuerstchen's decoder repeats its texts
once for each image, and fails on several."""

GUIDED_TENSORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "StableDiffusionPipeline": ("prompt_embeds",),
        "StableDiffusionXLPipeline": ("prompt_embeds", "add_text_embeds", "add_time_ids"),
    }
)
"""Pipelines that ask at each step whether to guide, and the tensors that hold an unguided half while they do."""


def call_parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    """Return the named parameters of a pipeline class's ``__call__``, without ``self``."""
    return _parameters(kind)


def mixes_prompts(kind: Any) -> bool:
    """Tell whether the pipeline class ``kind`` may be given different prompts in one forward."""
    return kind.__name__ in FIXED_PROMPT_LENGTH


def sub_pipelines(pipeline: Any) -> tuple[Any, ...]:
    """Return ``pipeline`` itself and the pipelines that it is made of.

    The combined pipelines of Kandinsky, Wuerstchen and Stable Cascade consist of a prior and a decoder with the same
    components, and it is those two that are called: what is changed for a call is changed in all of them.
    """
    from diffusers import DiffusionPipeline

    return (pipeline, *(each for each in vars(pipeline).values() if isinstance(each, DiffusionPipeline)))


@contextmanager
def replaced_schedulers(pipeline: Any, fresh: Callable[[str, Any], Any]) -> Iterator[None]:
    """Run the block with other schedulers, and put those that are there back afterwards.

    Args:
        fresh: gives the scheduler to use, by the component's name (``scheduler``, ``prior_scheduler``) and what is
            there. One that several pipelines share is asked for once, by its name in ``pipeline`` itself.
    """
    from diffusers import SchedulerMixin

    places = [
        (owner, name, part)
        for owner in sub_pipelines(pipeline)
        for name, part in vars(owner).items()
        if isinstance(part, SchedulerMixin)
    ]
    made: dict[int, Any] = {}
    try:
        for owner, name, part in places:
            if id(part) not in made:
                made[id(part)] = fresh(name, part)
            setattr(owner, name, made[id(part)])
        yield
    finally:
        for owner, name, part in places:
            setattr(owner, name, part)


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
    parameters = inspect.signature(kind.__call__).parameters
    named = {name: each for name, each in parameters.items() if name != "self" and each.kind not in variable}
    return MappingProxyType(named)
