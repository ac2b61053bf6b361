"""Draws pixels. The only room that imports torch, diffusers and transformers, and only inside functions.

This file is the room's door: the seam that :mod:`promptlab.lab` talks to and that the painter in
:mod:`promptlab.testing` stands in for. Importing it costs nothing; :func:`create_engine` is where the heavy
libraries come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.plan.step_scheduler import DenoisingSteps
from promptlab.records import Environment
from promptlab.specs import RunSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Begun",
    "Denoising",
    "Engine",
    "EngineEvent",
    "GeneratedImage",
    "Loaded",
    "Loading",
    "Watch",
    "create_engine",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One image, made.

    Args:
        task: what it was made from.
        pixels: uint8, ``[height, width, 3]``, RGB, C-contiguous.
        batch: number, within this call of ``generate``, of the pictures that came out together, from 0.
        slot: place in that batch, from 0 to ``task.batch_size - 1``.
        seconds: the image's share of the forwards that it took part in, denoising and decoding.
        peak_memory: bytes, of the batch: the accelerator's allocator, or the process's resident size on a CPU; see
            :mod:`promptlab.engine.machine.memory`.
        flag: ``nan`` when the decoder gave numbers that are none, ``unsafe`` when the model's own safety checker
            blacked it out, ``black`` when every pixel is (nearly) black.
        decoded_in: the dtype that it was decoded in, where its VAE's own gave no picture: ``float32``.
    """

    task: ImageRequest
    pixels: NDArray[np.uint8]
    batch: int
    slot: int
    seconds: float
    peak_memory: int | None = None
    flag: str | None = None
    decoded_in: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """A pipeline, or a part of one, is being loaded: ``what`` in the user's words.

    While it is downloaded, ``done`` bytes of the ``total`` known so far are here.
    """

    what: str
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The pipeline is ready; ``seconds`` it took, 0 when it was there already."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The image of ``task`` is begun."""

    task: ImageRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoising:
    """Step ``step`` (from 1) of ``steps`` is done: of batch ``batch`` of ``batches``, or of a whole stream of images
    with steps of their own, of which batch ``batch`` comes out next."""

    batch: int
    batches: int
    step: int
    steps: int


EngineEvent = Loading | Loaded | Begun | Denoising
Watch = Callable[[EngineEvent], None]
"""Told what the engine is doing, for progress bars. Must be quick and must not raise."""


class Engine(Protocol):
    """Anything that makes images from tasks: diffusers, the painter, one day a process elsewhere."""

    def resolve(self, spec: RunSpec) -> ResolvedSpec:
        """Fill in every default and refuse everything that can be found wrong before weights are loaded.

        Raises:
            InputError: unknown model, VAE, scheduler, scheduler option, call argument or device; a size that the VAE
                cannot make; weights that only pickle could load.
        """
        ...

    def resolve_all(self, specs: Sequence[RunSpec]) -> tuple[ResolvedSpec, ...]:
        """:meth:`resolve` for each of ``specs``, looking once at what they share: models, VAEs, schedulers.

        Raises:
            InputError: for the first that is wrong.
        """
        ...

    def cut_words(self, resolved: Sequence[ResolvedSpec]) -> tuple[TruncatedPrompt, ...]:
        """What the text encoders would not see of the prompts and negative prompts: once each, with every encoder
        that cuts it. Loads tokenizers and nothing else, once each.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        ...

    def environment(self, resolved: ResolvedSpec) -> Environment:
        """What else decides the bytes: versions, device, threads, kernels, flags."""
        ...

    def images_per_forward(self, resolved: ResolvedSpec) -> int:
        """How many images of a run are made in one forward; a short one is padded to it and takes as long."""
        ...

    def room(self, resolved: ResolvedSpec) -> int:
        """Bytes that a run could have on its device, what it has already included.

        What is not in use any more is given back first, so that what is measured next is not last time's.
        """
        ...

    def work(self, resolved: ResolvedSpec) -> DenoisingSteps | None:
        """How often an image of a run asks the denoiser, with guidance and without, where forwards are shared with
        images of other runs; ``None`` where a run's batches are its own."""
        ...

    def generate(
        self, tasks: Sequence[ImageRequest], watch: Watch = ..., *, going: Callable[[], bool] = ...
    ) -> Iterator[GeneratedImage]:
        """Make the images, in whatever order and company is quickest, and yield each as soon as it is there.

        The bytes of an image depend on its task and the environment alone: not on the other tasks, their order, its
        batch or its slot. Tasks of any number of runs may be given at once: that is what fills forwards.

        Args:
            going: asked before an image is begun. Once it says no, those that are under way are finished and yielded,
                and no other is begun.

        Raises:
            OutOfMemory: when a forward does not fit; what has not come out yet was not made.
            SomeImagesFailed: at the end, when the others were made.
            EngineError: when weights will not load or no image can be made.
        """
        ...


def create_engine(*, allow_pickle: bool = False) -> Engine:
    """The real one. Imports torch and diffusers: seconds, so call it once something is certain to be generated.

    Args:
        allow_pickle: whether pickled weights are read, where a model has no others.
    """
    from promptlab.engine.diffusers_engine import DiffusersEngine

    return DiffusersEngine(allow_pickle=allow_pickle)
