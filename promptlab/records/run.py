"""Records runs, their variants, and where imported ones came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from promptlab.records.environment import Environment
from promptlab.records.image import ImageRecord, ImageStatus
from promptlab.records.run_summary import RunStatus
from promptlab.specs import Change, RunSpec, Variant

__all__ = ["ImportGap", "Origin", "RunRecord", "TruncatedText", "VariantRecord"]


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
        workers: how many made it at a time, when it was made first; ``None`` where one process did.
        devices: names of what they made it on.
        remarks: what the libraries said of weights that were left out, or made up, while its model was loaded.
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
    workers: int | None = None
    devices: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

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
    def is_foreign(self) -> bool:
        """Return whether another program made its images: they can be taken in again, and not made."""
        return self.origin is not None and self.origin.program != "PromptLab"

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

    def prompt_before(self, record: VariantRecord) -> str | None:
        """Return the prompt that one of its variants was varied from, where it differs."""
        source = record.position if record.variant.source is None else record.variant.source
        for change in self.changes:
            if change.field == "prompts" and isinstance(change.before, list | tuple) and change.before:
                before = change.before[source] if 0 <= source < len(change.before) else change.before[0]
                return str(before) if before != record.variant.prompt else None
        return None
