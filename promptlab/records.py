"""Defines the records of what was done: runs, images, sweeps, probes.

Frozen, complete, and free of live objects. No ORM row leaves the store.

``None`` in a record means "not known (yet)". Times are UTC-aware, durations are seconds, memory is bytes, paths are
relative to the workspace.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from promptlab.specs import Change, RunSpec, Scalar, Variant, canonical_json

__all__ = [
    "Environment",
    "ImageRecord",
    "ImageStatus",
    "ImportGap",
    "Origin",
    "Outcome",
    "ProbeRecord",
    "ProbeTrial",
    "RunRecord",
    "RunStatus",
    "RunSummary",
    "SweepRecord",
    "SweepRun",
    "TruncatedText",
    "VariantRecord",
    "Verification",
    "plain",
]


class RunStatus(StrEnum):
    """Lists the statuses of a run, in MLflow's words."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class ImageStatus(StrEnum):
    """Lists the statuses of an image: a row from the start, it is owed until its PNG is whole on disk."""

    OWED = "OWED"
    MADE = "MADE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Records what else decides the bytes of an image; stored once, and runs point at it.

    Args:
        facts: flat names and values: ``torch``, ``diffusers``, ``device_name``, ``threads``, ``tf32`` …
    """

    facts: Mapping[str, Scalar]

    @property
    def hash(self) -> str:
        """Return 64 hex digits; equal facts give an equal hash."""
        return hashlib.sha256(canonical_json(dict(self.facts)).encode()).hexdigest()


class Outcome(StrEnum):
    """Lists what can come of generating an image again."""

    EXACT = "exact"
    CLOSE = "close"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Records how an image that was generated again compares with the one that is kept.

    Args:
        outcome: see :class:`Outcome`.
        verified_at: UTC.
        environment: hash of the one in which it was made again.
        pixel_sha256: of what came out.
        differing_pixels: how many pixels differ in any channel.
        greatest_difference: levels of 255, in one channel of one pixel.
        mean_difference: levels of 255, over all channels of all pixels.
        psnr: peak signal-to-noise ratio, dB; ``None`` where nothing differs, or where the sizes do.
        changes: the fields of the environment that are not what they were; none, where it is the same.
    """

    outcome: Outcome
    verified_at: datetime
    environment: str
    pixel_sha256: str
    differing_pixels: int | None = None
    greatest_difference: int | None = None
    mean_difference: float | None = None
    psnr: float | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportGap:
    """Records one thing that another program's image says of itself and that could not be carried over.

    Args:
        name: as its program calls it: ``Hires upscale``.
        value: what it said, in one short line.
        why: the rest of a sentence: ``the second pass is not made here``.
    """

    name: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value} ({self.why})" if self.value else f"{self.name} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Records where an imported run came from: the program, the file's name, what was lost."""

    program: str
    file: str
    lost: tuple[ImportGap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TruncatedText:
    """Records words of a prompt, or a negative prompt, that a text encoder did not see.

    Args:
        prompt: in full.
        encoder: the part that cut, such as ``tokenizer_2``.
        words: what was cut off.
    """

    prompt: str
    encoder: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecord:
    """Records one variant of a run, and the MLflow run that shows it."""

    position: int
    variant: Variant
    mlflow_run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """Records one image of a run, made or still owed.

    Args:
        run_id: the run's number.
        position: the place in the run; ``<run_id>/<position>`` names the image on the command line.
        variant: the variant's place in the run.
        seed: 0 … 2³²−1.
        status: see :class:`ImageStatus`.
        recipe_key: the hash of everything that decides the pixels.
        path: of the PNG, relative to the workspace.
        width, height: pixels.
        pixel_sha256: of the RGB bytes, row by row.
        batch, slot: in which forward of the run it was made, and where in it.
        seconds: the image's share of its batch.
        peak_memory: bytes, of the batch.
        made_at: when its row was written.
        parent: ``(run_id, position)`` of the image it was varied from.
        linked: ``(run_id, position)`` of the image whose picture this is, when the same recipe was made before in the
            same environment and nothing had to be made again.
        environment: hash of the environment it was made in, where that is not its run's: after a resume elsewhere.
        flag: why it should be looked at twice: ``black``, ``nan``, ``unsafe`` (blacked out by the model's own checker).
        error: what went wrong, when it failed.
        batch_size: images per forward that its recipe is of, where that is not its run's: memory was too short for it.
        asked_key: the recipe key that was asked for, where ``batch_size`` made it another.
        decoded_in: the dtype that it was decoded in, where its VAE's own gave no picture.
        verified: what came of the last time it was made again to be compared.
        stars: what it was rated, 1 … 5.
        favourite: whether it is one; ``None`` where nobody has said.
        votes_won, votes_lost: how often it was liked better, or less, beside another.
    """

    run_id: int
    position: int
    variant: int
    seed: int
    status: ImageStatus
    recipe_key: str
    path: str | None = None
    width: int | None = None
    height: int | None = None
    pixel_sha256: str | None = None
    batch: int | None = None
    slot: int | None = None
    seconds: float | None = None
    peak_memory: int | None = None
    made_at: datetime | None = None
    parent: tuple[int, int] | None = None
    linked: tuple[int, int] | None = None
    environment: str | None = None
    flag: str | None = None
    error: str | None = None
    batch_size: int | None = None
    asked_key: str | None = None
    decoded_in: str | None = None
    verified: Verification | None = None
    stars: int | None = None
    favourite: bool | None = None
    votes_won: int = 0
    votes_lost: int = 0

    @property
    def ref(self) -> str:
        """Return how the image is named on the command line: ``12/3``."""
        return f"{self.run_id}/{self.position}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Records one run, with everything that is known of it.

    Args:
        id: the run's number in its workspace, from 1.
        uid: 32 hex digits, unique anywhere: what a PNG and an MLflow tag hold.
        experiment, name, note: as the user named them.
        status: see :class:`RunStatus`.
        spec: resolved; what a rerun starts from.
        device: the device used, such as ``cuda:0``.
        model_identity, vae_identity: ``commit:<sha>`` or ``sha256:<hex>``.
        created_at, ended_at: UTC.
        variants, images: in the grid's order.
        environment: versions, device, kernels, flags.
        parent_run_id: the run it was varied from.
        changes: what was changed from the parent's spec.
        load_seconds: to have the pipeline ready; 0 when it was already.
        generate_seconds: from the first task to the last picture.
        error: what went wrong, when it failed.
        sweep_id: the sweep it is a part of.
        sweep_values: field and shown value of each of the sweep's axes, for this run.
        tracked_at: when MLflow was told; ``None`` while it has not been.
        origin: of a run that was not made in this workspace but taken in.
        cut: words that text encoders did not see.
    """

    id: int
    uid: str
    experiment: str
    name: str | None
    note: str | None
    status: RunStatus
    spec: RunSpec
    device: str
    model_identity: str
    vae_identity: str | None
    created_at: datetime
    ended_at: datetime | None
    variants: tuple[VariantRecord, ...]
    images: tuple[ImageRecord, ...]
    environment: Environment
    parent_run_id: int | None = None
    changes: tuple[Change, ...] = ()
    load_seconds: float | None = None
    generate_seconds: float | None = None
    error: str | None = None
    sweep_id: int | None = None
    sweep_values: tuple[tuple[str, str], ...] = ()
    tracked_at: datetime | None = None
    origin: Origin | None = None
    cut: tuple[TruncatedText, ...] = ()

    @property
    def made(self) -> tuple[ImageRecord, ...]:
        """Return the images that are whole on disk."""
        return tuple(image for image in self.images if image.status is ImageStatus.MADE)

    @property
    def owed(self) -> tuple[ImageRecord, ...]:
        """Return the images that are still to be made."""
        return tuple(image for image in self.images if image.status is not ImageStatus.MADE)

    @property
    def complete(self) -> bool:
        """Return whether it has ended and owes nothing."""
        return self.status is RunStatus.FINISHED and not self.owed

    @property
    def made_here(self) -> tuple[ImageRecord, ...]:
        """Return the images that this run made itself: those linked from earlier runs are left out."""
        return tuple(image for image in self.made if image.linked is None)

    @property
    def seconds_per_image(self) -> float | None:
        """Return the mean over the images made here, loading and saving left out."""
        taken = [image.seconds for image in self.made_here if image.seconds is not None]
        return sum(taken) / len(taken) if taken else None

    @property
    def made_smaller(self) -> Mapping[int, tuple[ImageRecord, ...]]:
        """Return the images of smaller batches than the run's, for want of memory, by batch size."""
        sizes = sorted({image.batch_size for image in self.images if image.batch_size is not None}, reverse=True)
        return {size: tuple(image for image in self.images if image.batch_size == size) for size in sizes}

    @property
    def peak_memory(self) -> int | None:
        """Return the greatest of the images' batches, in bytes."""
        return max((image.peak_memory for image in self.made if image.peak_memory is not None), default=None)

    @property
    def named_runs(self) -> frozenset[int]:
        """Return the numbers of the other runs that this record names: parents, sources of links."""
        images = {place[0] for image in self.images for place in (image.parent, image.linked) if place is not None}
        return frozenset(images if self.parent_run_id is None else images | {self.parent_run_id})

    @property
    def parent_image(self) -> tuple[int, int] | None:
        """Return the one image that the whole run was varied from, or None."""
        parents = {image.parent for image in self.images}
        return parents.pop() if len(parents) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """Records a run's part in a sweep: number, place on each dimension, axis values as labels show them."""

    run_id: int
    place: tuple[int, ...]
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """Records a sweep: the runs that came of one set of axes.

    Args:
        id: the sweep's number in its workspace, from 1; ``sweep:<id>`` names it on the command line.
        uid: 32 hex digits, unique anywhere.
        experiment, name, note: as the user named them; its runs have the same.
        created_at: UTC.
        dimensions: the fields that vary: one, or those of a zip group, for each dimension; the first is the slowest.
        runs: in the order in which they were begun, as far as they were.
        mlflow_run_id: the MLflow run above those of its runs.
        tracked_at: when MLflow was told.
    """

    id: int
    uid: str
    experiment: str
    name: str | None
    note: str | None
    created_at: datetime
    dimensions: tuple[tuple[str, ...], ...]
    runs: tuple[SweepRun, ...]
    mlflow_run_id: str | None = None
    tracked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrial:
    """Records one batch size, tried out in a few steps.

    Args:
        batch_size: images of the forward.
        attention_slicing: how it was computed.
        fits: whether there was memory enough, and enough left over.
        seconds: of everything but the steps (words, decoding); ``None`` when it did not fit.
        step_seconds: of one step.
        peak_memory: bytes, the most that were in use; see :mod:`promptlab.engine.machine.memory`.
    """

    batch_size: int
    attention_slicing: bool = False
    fits: bool
    seconds: float | None = None
    step_seconds: float | None = None
    peak_memory: int | None = None

    def seconds_per_image(self, steps: int) -> float | None:
        """Return an image's share of a batch of ``steps`` steps, in seconds."""
        if self.seconds is None or self.step_seconds is None:
            return None
        return (self.seconds + steps * self.step_seconds) / self.batch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord:
    """Records the batch sizes that were tried out with one setting.

    Args:
        spec: resolved.
        device: the device used.
        model_identity, vae_identity: see :class:`RunRecord`.
        environment: in which it was tried out.
        probed_at: UTC.
        measured_steps: how many steps each forward was given.
        available: bytes that there were on the device.
        limit: bytes that a forward may take at most to be said to fit.
        tried: with and without attention slicing, smallest first.
        unsliced_only: why attention slicing was not tried.
    """

    spec: RunSpec
    device: str
    model_identity: str
    vae_identity: str | None
    environment: Environment
    probed_at: datetime
    measured_steps: int
    available: int
    limit: int
    tried: tuple[ProbeTrial, ...]
    unsliced_only: str | None = None

    def largest(self, *, attention_slicing: bool) -> int | None:
        """Return the greatest batch size that fitted, or None."""
        sizes = [one.batch_size for one in self.tried if one.fits and one.attention_slicing == attention_slicing]
        return max(sizes, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Records a line of ``promptlab list``: enough to recognise a run, quick to read for thousands."""

    id: int
    experiment: str
    name: str | None
    status: RunStatus
    created_at: datetime
    prompt: str
    variants: int
    images: int
    made: int
    scheduler: str | None
    num_inference_steps: int | None
    dtype: str | None
    model: str
    vae: str | None
    seconds_per_image: float | None
    parent_run_id: int | None
    tracked: bool


def plain(record: object) -> Any:
    """Return a record as JSON can hold it.

    Dataclasses become objects, times ISO 8601, a spec its own ``to_dict``.
    """
    match record:
        case RunSpec():
            return record.to_dict()
        case datetime():
            return record.isoformat()
        case StrEnum():
            return record.value
        case Mapping():
            return {str(key): plain(value) for key, value in record.items()}
        case list() | tuple():
            return [plain(value) for value in record]
        case _ if dataclasses.is_dataclass(record):
            return {field.name: plain(getattr(record, field.name)) for field in dataclasses.fields(record)}
        case _:
            return record
