"""Writes and reads the text chunk of a grid, its whole run, and of an overview, its whole sweep.

The records stand in it as they stood, word for word.

So a notebook that is lost can be written anew from the images that lie beside it: what each image says of itself
makes it again, and what the grid says puts it back where it was, the images that were only linked included. Records
name other runs by their numbers, which mean something in one workspace only; ``uids`` says which runs these are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptlab import __version__
from promptlab.errors import InputError
from promptlab.images.metadata import CHUNK, FORMAT, chunk_of, damaged
from promptlab.records import RunRecord, SweepRecord, plain
from promptlab.specs import RunSpec

__all__ = ["GridMetadata", "describe_grid", "describe_sweep", "read_grid_metadata", "read_grid_owner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridMetadata:
    """Holds what a grid or an overview says.

    Args:
        record: the run or the sweep.
        uids: of the other runs that the record names, by their numbers in its workspace.
    """

    record: RunRecord | SweepRecord
    uids: Mapping[int, str]


def describe_grid(run: RunRecord, uids: Mapping[int, str]) -> dict[str, str]:
    """Return the text chunk of a grid."""
    whose = {"uid": run.uid, "id": run.id, "experiment": run.experiment}
    return _chunk("grid", run=whose, record=plain(run), uids=plain(uids))


def describe_sweep(sweep: SweepRecord, uids: Mapping[int, str], *, page: int) -> dict[str, str]:
    """Return the text chunk of page ``page`` (from 1) of a sweep's overview."""
    whose = {"uid": sweep.uid, "id": sweep.id, "experiment": sweep.experiment, "page": page}
    return _chunk("sweep", sweep=whose, record=plain(sweep), uids=plain(uids))


def _chunk(kind: str, **fields: Any) -> dict[str, str]:
    return {CHUNK: json.dumps({"kind": kind, "format": FORMAT, "version": __version__, **fields})}


def read_grid_owner(path: Path) -> tuple[str, str] | None:
    """Read whose grid or overview this file is: ``("run", uid)`` or ``("sweep", uid)``, or None.

    Raises:
        NotFound, InputError: as :func:`promptlab.images.metadata.self_description` does.
    """
    written = chunk_of(path)
    what = {"grid": "run", "sweep": "sweep"}.get(str(written.get("kind"))) if written else None
    if written is None or what is None:
        return None
    try:
        uid = written[what]["uid"]
    except (LookupError, TypeError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    if not isinstance(uid, str):
        raise damaged(path, f"{uid!r} is no uid")
    return what, uid


def read_grid_metadata(path: Path) -> GridMetadata | None:
    """Read the record in a grid or an overview; return None for all else, and for format 1.

    Raises:
        NotFound, InputError: as :func:`promptlab.images.metadata.self_description` does.
    """
    from pydantic import TypeAdapter

    written = chunk_of(path)
    if written is None or written.get("kind") not in ("grid", "sweep") or "record" not in written:
        return None
    try:
        uids = TypeAdapter(dict[int, str]).validate_python(written["uids"])
        record = written["record"]
        if written["kind"] == "sweep":
            return GridMetadata(record=TypeAdapter(SweepRecord).validate_python(record), uids=uids)
        whole = {**record, "spec": RunSpec.from_dict(record["spec"])}
        return GridMetadata(record=_checked(TypeAdapter(RunRecord).validate_python(whole)), uids=uids)
    except (InputError, LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def _checked(run: RunRecord) -> RunRecord:
    """Return ``run``, when its images are those that its spec asks for.

    Raises:
        ValueError: when they are not.
    """
    width = len(run.spec.seeds)
    asked = [(place, place // width, run.spec.seeds[place % width]) for place in range(run.spec.image_count)]
    if asked != [(image.position, image.variant, image.seed) for image in run.images]:
        raise ValueError("its images are not those that its run asks for")
    if [record.variant for record in run.variants] != list(run.spec.variants):
        raise ValueError("its wordings are not those of its run")
    return run
