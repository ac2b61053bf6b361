"""Defines what a generation yields: frozen, plain data that names requests by their ids.

Every request of a generation ends in exactly one of :class:`ImageDone`, :class:`ImageFailed` and
:class:`ForwardOutOfMemory`, unless the generation was cancelled before it was begun. :mod:`promptlab.wire` writes them
as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from promptlab.errors import InputError, PromptLabError, one_line
from promptlab.records import Environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DevicesDiffer",
    "EngineEvent",
    "ForwardOutOfMemory",
    "ImageDone",
    "ImageFailed",
    "ImageStarted",
    "ModelLoaded",
    "ModelLoading",
    "StepDone",
    "WorkerLost",
    "WorkerRefused",
    "WorkerState",
    "WorkersAtWork",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoading:
    """Says that a pipeline, or a part of one, is being loaded: ``what`` in the user's words.

    While it is downloaded, ``done`` bytes of the ``total`` known so far are here.
    """

    what: str
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoaded:
    """Says that the pipeline is ready.

    Args:
        seconds: it took, 0 when it was there already.
        remarks: what the libraries said of weights that were left out, or made up, a line each; each time again, also
            where the pipeline was there already.
    """

    seconds: float
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStarted:
    """Says that the image of a request is begun: once for each request that is."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """Says that step ``step`` (from 1) of ``steps`` is done: of batch ``batch`` (from 0) of ``batches``.

    The steps are the forwards of all images that may share them, as far as can be told, and ``batch`` is
    the one that comes out next.
    """

    batch: int
    batches: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDone:
    """Hands over one image.

    Args:
        request_id: what it was made from.
        pixels: uint8, ``[height, width, 3]``, RGB, C-contiguous.
        batch: number, within this generation, of the images that came out together, from 0.
        row: place in that batch, from 0 to ``batch_size - 1``.
        seconds: the image's share of the forwards that it took part in, denoising and decoding.
        environment: what it was made in; workers of one generation may have different ones.
        peak_memory: bytes, of the batch: the accelerator's allocator, or the process's resident size on a CPU; see
            :mod:`promptlab.engine.machine.memory`.
        flag: ``nan`` when the decoder gave numbers that are none, ``unsafe`` when the model's own safety checker
            blacked it out, ``black`` when every pixel is (nearly) black.
        decoded_in: the dtype that it was decoded in, where its VAE's own gave no image: ``float32``.
    """

    request_id: str
    pixels: NDArray[np.uint8]
    batch: int
    row: int
    seconds: float
    environment: Environment
    peak_memory: int | None = None
    flag: str | None = None
    decoded_in: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFailed:
    """Says that an image could not be made, while others may be.

    Args:
        request_id: whose.
        reason: why not, as :attr:`promptlab.errors.PromptLabError.message` holds it: the reader's side spells fields.
        of_request: whether what was asked cannot be, wherever it is tried.
    """

    request_id: str
    reason: str
    of_request: bool = False

    @classmethod
    def because(cls, error: Exception, request_id: str) -> Self:
        """Return the event for an image that ``error`` kept from being made."""
        if isinstance(error, PromptLabError):
            return cls(request_id=request_id, reason=error.message, of_request=isinstance(error, InputError))
        return cls(request_id=request_id, reason=one_line(error) or type(error).__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardOutOfMemory:
    """Says that a forward of ``rows`` images did not fit, so that none of ``request_ids`` is made.

    They are all that were to share such forwards and have not come out. Smaller batches, another recipe, may fit.
    """

    request_ids: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """Says what one of several workers is at.

    Args:
        worker: its number.
        host: the machine that it is on.
        doing: in a word or two: ``loading mini``, ``step 3 of 20``, ``idle``.
        images: that it has made in this generation.
    """

    worker: str
    host: str
    doing: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersAtWork:
    """Says, now and then, what all workers are at.

    Args:
        workers: those that are there.
        images_per_second: of all together, since the first image was begun.
    """

    workers: tuple[WorkerState, ...]
    images_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """Says that a worker is gone.

    The ``images`` that it was to make are made by others, or by itself once it is back.
    """

    worker: str
    reason: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRefused:
    """Says why a worker is left out: other versions, weights that are not there, too little memory."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesDiffer:
    """Says that workers of one generation are different environments: a recipe has other bytes there.

    ``devices`` are their names; each image says which it was made in.
    """

    devices: tuple[str, ...]


EngineEvent = (
    ModelLoading
    | ModelLoaded
    | ImageStarted
    | StepDone
    | ImageDone
    | ImageFailed
    | ForwardOutOfMemory
    | WorkersAtWork
    | WorkerLost
    | WorkerRefused
    | DevicesDiffer
)
