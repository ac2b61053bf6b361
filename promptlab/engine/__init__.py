"""Generates images. No other room imports torch or diffusers, and this one only inside functions.

This file is the room's door: the protocol that :mod:`promptlab.lab` speaks, and that the painter in
:mod:`promptlab.testing` speaks as well. What crosses it is plain data, and the engine yields; so an engine may be a
process elsewhere. Importing this file costs nothing; :func:`create_engine` is where the heavy libraries come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from promptlab.engine.events import (
    DevicesDiffer,
    EngineEvent,
    ForwardOutOfMemory,
    ImageDone,
    ImageFailed,
    ImageStarted,
    ModelLoaded,
    ModelLoading,
    StepDone,
    WorkerLost,
    WorkerRefused,
    WorkersAtWork,
    WorkerState,
)
from promptlab.errors import EngineError, OutOfMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
    from promptlab.specs import RunSpec

__all__ = [
    "NO_PERMISSIONS",
    "ClipEmbeddings",
    "DevicesDiffer",
    "Engine",
    "EngineEvent",
    "ForwardOutOfMemory",
    "Generation",
    "GeneratorGeneration",
    "ImageDone",
    "ImageFailed",
    "ImageStarted",
    "ModelLoaded",
    "ModelLoading",
    "Permissions",
    "StepDone",
    "WorkerLost",
    "WorkerRefused",
    "WorkerState",
    "WorkersAtWork",
    "create_engine",
    "create_planner",
    "finished_images",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Says what an engine may do for one call. No spec holds it: who runs a run again says it again.

    Args:
        allow_pickle: read pickled weights, which run any program inside them, where a model has no others.
    """

    allow_pickle: bool = False


NO_PERMISSIONS: Final = Permissions()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipEmbeddings:
    """Holds directions in the space of a CLIP model, each of length 1.

    Args:
        images: float32, ``[images, features]``.
        prompts: float32, ``[prompts, features]``.
    """

    images: NDArray[np.float32]
    prompts: NDArray[np.float32]


class Generation(Protocol):
    """Yields the events of images being made, when it is iterated over, once."""

    def __iter__(self) -> Iterator[EngineEvent]:
        """Yield what happens, as it happens; see :mod:`promptlab.engine.events`.

        Raises:
            EngineError: when the engine itself is gone; what has not come out was not made.
        """
        ...

    def cancel(self) -> None:
        """Begin no more images; those under way are finished and yielded. Signal handlers may call it."""
        ...


class Engine(Protocol):
    """Makes images from requests: diffusers, the painter, a process elsewhere."""

    def resolve(
        self, specs: Sequence[RunSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[ResolvedSpec, ...]:
        """Fill in every default, and refuse everything that can be found wrong before weights are loaded.

        What specs share (models, VAEs, schedulers) is looked at once. Resolving what is resolved changes nothing.

        Raises:
            InputError: for the first spec that is wrong: unknown model, VAE, scheduler, scheduler option, call
                argument or device; a size that the VAE cannot make; weights that only pickle could load.
            EngineError: when a configuration cannot be downloaded or is damaged in a way that has no name.
        """
        ...

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[TruncatedPrompt, ...]:
        """Return what the text encoders would not see of the prompts and negative prompts: each text once.

        Loads tokenizers and nothing else, once each.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        ...

    def generate(self, requests: Sequence[ImageRequest], *, permissions: Permissions = NO_PERMISSIONS) -> Generation:
        """Make the images, in whatever order and company is quickest, and yield each as soon as it is there.

        The bytes of an image depend on its request and the environment alone: not on the other requests, their order,
        its batch or its row. Requests of any number of runs may be given at once: that is what fills forwards. Before
        an image is begun the weights found under its names are held against the identities in its request: others make
        an :class:`ImageFailed`, and never an image under a recipe key that is not its own.

        Raises:
            ValueError: when two requests have one id.
        """
        ...

    def available_memory(self, device: str) -> int:
        """Return the bytes that a run could have on ``device``, what it has already included.

        What is not in use any more is given back first, so that what is measured next is not last time's.
        """
        ...

    def clip(
        self,
        model: str,
        *,
        images: Sequence[NDArray[np.uint8]],
        prompts: Sequence[str] = (),
        device: str | None = None,
    ) -> ClipEmbeddings:
        """Embed images and prompts by a CLIP model.

        Args:
            model: a folder, or a Hub id.
            images: uint8, ``[height, width, 3]`` each.
            prompts: words beyond what the model reads are cut.
            device: the first of cuda, mps and cpu that is there by default.

        Raises:
            NotFound, InputError: when there is no CLIP model of that name, or none without pickles.
            EngineError: when it would not load.
        """
        ...

    def close(self) -> None:
        """Let go of every weight, and of the process that holds them. The next call begins anew."""
        ...


class GeneratorGeneration:
    """Makes a :class:`Generation` of a Python generator that asks whether it may begin an image.

    Args:
        events: called at once with that question; gives the generator.
    """

    def __init__(self, events: Callable[[Callable[[], bool]], Iterator[EngineEvent]]) -> None:
        self._cancelled = False
        self._events = events(lambda: not self._cancelled)

    def __iter__(self) -> Iterator[EngineEvent]:
        return self._events

    def cancel(self) -> None:
        """Make the generator begin no more images."""
        self._cancelled = True


def _ignore(_event: EngineEvent) -> None:
    pass


def finished_images(
    generation: Iterable[EngineEvent], watch: Callable[[EngineEvent], None] = _ignore
) -> Iterator[ImageDone]:
    """Yield the images of a generation, for callers that want all or nothing.

    Args:
        generation: what an engine gave.
        watch: is handed all other events.

    Raises:
        OutOfMemory: when a forward does not fit.
        EngineError: for the first image that could not be made.
    """
    for event in generation:
        match event:
            case ImageDone():
                yield event
            case ImageFailed(reason=reason):
                raise EngineError(reason)
            case ForwardOutOfMemory(rows=rows):
                raise OutOfMemory(rows=rows)
            case _:
                watch(event)


def create_engine() -> Engine:
    """Return the engine of diffusers. Imports torch: call it once it is certain that images are made."""
    from promptlab.engine.diffusers_engine import DiffusersEngine

    return DiffusersEngine()


def create_planner() -> Engine:
    """Return an engine of diffusers that plans without torch where it can."""
    from promptlab.engine.planning_engine import PlanningEngine

    return PlanningEngine()
