"""Writes and reads the two text chunks of an image: ours, without loss, and everyone else's.

``promptlab`` is JSON that :func:`self_description` gives back equal to what was made: enough to make the image again,
to say in which environment it was made, to put its row back into an empty database, and to find its parent.
``parameters`` is AUTOMATIC1111's format (:mod:`promptlab.images.infotext`). A third, ``prompt``, is never written: to
other tools it means ComfyUI. Grids and overviews describe whole runs and sweeps: :mod:`promptlab.images.grid_metadata`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab import __version__
from promptlab.errors import InputError, one_line
from promptlab.expand.seeds import parse_seeds, show_seeds
from promptlab.images.foreign.texts import texts_of
from promptlab.images.infotext import infotext
from promptlab.plan import ImageRequest
from promptlab.records import Environment, ImageRecord, RunRecord, plain
from promptlab.specs import Change, RunSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["CHUNK", "FORMAT", "ImageMetadata", "ParentImage", "chunk_of", "damaged", "describe", "self_description"]

CHUNK: Final = "promptlab"
"""The keyword of our own chunk."""

_UID: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)
"""Matches the uid of a run; ours are 32 hexadecimal digits."""

_GREATEST: Final = 2**63 - 1
"""Bounds what a database can hold."""

FORMAT: Final = 2
"""Of our chunk. 1 had neither the environment's facts nor the whole run's outline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentImage:
    """Names the image that another was varied from: the run's uid, the place in it, the recipe key."""

    recipe_key: str
    run_uid: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetadata:
    """Describes an image as its ``promptlab`` chunk does.

    Args:
        version: of the PromptLab that made it.
        run_uid, run_id, position, experiment: whose image it is; the uid is unique anywhere, the number in its
            workspace.
        recipe_key: the hash of everything that decides the pixels, the environment apart.
        environment_hash: of the environment it was made in.
        environment: that environment's facts; images of format 1 have none.
        model_identity, vae_identity: ``commit:<sha>`` or ``sha256:<hex>`` of the weights.
        device: the device used, such as ``cuda:0``.
        parent: the image it was varied from.
        spec: of this image alone: one variant, one seed, the batch size that it was made at.
        variant: the variant's place in its run.
        seeds: of the whole run, in order, as :func:`promptlab.expand.show_seeds` writes them.
        name, note, created_at, changes: the run's.
        batch, slot, seconds, peak_memory, flag, decoded_in: as in :class:`~promptlab.records.ImageRecord`.
        pixel_sha256: likewise; an editor keeps it with what it changed. Images of earlier versions have none.
    """

    version: str
    run_uid: str
    run_id: int
    position: int
    experiment: str
    recipe_key: str
    environment_hash: str
    model_identity: str
    vae_identity: str | None
    device: str
    parent: ParentImage | None
    spec: RunSpec
    environment: Environment | None = None
    variant: int | None = None
    seeds: str | None = None
    name: str | None = None
    note: str | None = None
    created_at: datetime | None = None
    changes: tuple[Change, ...] = ()
    batch: int | None = None
    slot: int | None = None
    seconds: float | None = None
    peak_memory: int | None = None
    flag: str | None = None
    decoded_in: str | None = None
    pixel_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.spec.image_count != 1:
            raise ValueError(f"the spec of one picture asks for {self.spec.image_count}")
        if self.seeds is not None and self.spec.seeds[0] not in parse_seeds(self.seeds):
            raise ValueError("the seed is not among its run's")
        if not _UID.fullmatch(self.run_uid):
            raise ValueError("the run's uid is none")

    def to_json(self) -> str:
        """Write the description as ASCII, so that the chunk is the same ``tEXt`` for every prompt.

        :meth:`from_json` gives back an equal one.
        """
        return json.dumps({"kind": "image", "format": FORMAT, **plain(self)})

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> ImageMetadata:
        """Read the description that :meth:`to_json` wrote, or that of format 1.

        Raises:
            InputError: when the spec in it is none.
            LookupError, TypeError, ValueError: when something is missing or of the wrong kind.
        """
        known = _of_format_1(written) if written["format"] == 1 else dict(written)
        fields = {name: known[name] for name in known if name in cls.__dataclass_fields__}
        return _reader().validate_python({**fields, "spec": RunSpec.from_dict(known["spec"])})


@cache
def _reader() -> TypeAdapter[ImageMetadata]:
    """Return the parser, made once: making it takes longer than reading an image."""
    from pydantic import TypeAdapter

    return TypeAdapter(ImageMetadata)


def _of_format_1(written: Mapping[str, Any]) -> dict[str, Any]:
    run, parent = written["run"], written["parent"]
    return {
        **written,
        "run_uid": run["uid"],
        "run_id": run["id"],
        "experiment": run["experiment"],
        "environment_hash": written["environment"],
        "environment": None,
        "parent": None if parent is None else ParentImage(recipe_key=str(parent)),
    }


def describe(
    run: RunRecord,
    image: ImageRecord,
    request: ImageRequest,
    *,
    environment: Environment,
    parent: ParentImage | None = None,
) -> dict[str, str]:
    """Return the two text chunks of one image, for :func:`promptlab.images.png.write_png`.

    Args:
        run: whose image it is.
        image: as it will be in the notebook.
        request: what it was made from.
        environment: what it was made in, which after a resume may not be the run's own.
        parent: the image it was varied from.
    """
    own = ImageMetadata(
        version=__version__,
        run_uid=run.uid,
        run_id=run.id,
        position=image.position,
        experiment=run.experiment,
        recipe_key=image.recipe_key,
        environment_hash=environment.hash,
        environment=environment,
        model_identity=run.model_identity,
        vae_identity=run.vae_identity,
        device=run.device,
        parent=parent,
        spec=run.spec.vary(
            variants=(run.spec.variants[image.variant],), seeds=(image.seed,), batch_size=request.batch_size
        ),
        variant=image.variant,
        seeds=show_seeds(run.spec.seeds),
        name=run.name,
        note=run.note,
        created_at=run.created_at,
        changes=run.changes,
        batch=image.batch,
        slot=image.slot,
        seconds=image.seconds,
        peak_memory=image.peak_memory,
        flag=image.flag,
        decoded_in=image.decoded_in,
        pixel_sha256=image.pixel_sha256,
    )
    size = (image.width, image.height) if image.width and image.height else None
    return {CHUNK: own.to_json(), "parameters": infotext(request, size=size)}


def self_description(path: Path) -> ImageMetadata | None:
    """Read what the image at ``path`` says about itself; return None when it is not ours.

    Grids and the like are none, either.

    Raises:
        NotFound: when there is no such file.
        InputError: when it is no image, a damaged one, one of a newer PromptLab, or its chunk was tampered with.
    """
    written = chunk_of(path)
    if written is None or written.get("kind", "image") != "image":
        return None
    try:
        return ImageMetadata.from_json(written)
    except (InputError, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def chunk_of(path: Path) -> dict[str, Any] | None:
    """Read and parse our text in the PNG, JPEG or WebP at ``path``; return None when it has none."""
    written = texts_of(path).get(CHUNK)
    if written is None:
        return None
    try:
        found: dict[str, Any] = json.loads(written, parse_int=_whole)
        version = found["format"]  # a list or a number in place of the object has none
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    if type(version) is not int:
        raise damaged(path, f"{version!r} is no format")
    if version > FORMAT:
        raise InputError(
            "picture", str(path), problem=f"was made by a newer PromptLab ({found.get('version')}) than this one",
            hint="pip install --upgrade promptlab",
        )  # fmt: skip
    return found


def _whole(digits: str) -> int:
    number = int(digits)
    if abs(number) > _GREATEST:
        raise ValueError(f"{one_line(digits, limit=40)} is too large a number")
    return number


def damaged(path: Path, why: str) -> InputError:
    """Return the error for a chunk of ours that says what it cannot."""
    return InputError("picture", str(path), problem=f"holds a {CHUNK} chunk that cannot be read ({why})")
