"""Sends folders and files of weights to machines that lack them, through Ray's store, by hash.

Sent are the files of a local folder, or a single file, in pieces, each once to a machine; there they lie in
PromptLab's cache under the hash of all of them, and are found there the next time; see
:mod:`promptlab.cluster.shipped_cache`. A spec keeps the name that was typed: on the machine the name is exchanged for
the place, and back in what comes from there.

Invariant: what a worker loads under a shipped name has the bytes that the name has here; the identity of the weights,
which the engine computes there, is held against the request's as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from promptlab.errors import EngineError
from promptlab.models import bundled
from promptlab.plan import ImageRequest
from promptlab.specs import GGUF, PipelineSpec, RunSpec

__all__ = [
    "ShippedFile",
    "ShippedSource",
    "fingerprint",
    "local_sources",
    "names_of",
    "read_source",
    "with_places",
]

PIECE: Final = 64 * 2**20
"""Bytes that pass through the store at once."""

Asked = TypeVar("Asked", RunSpec, ImageRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedFile:
    """Names one file.

    Args:
        path: within the folder, with ``/``; the file's own name where it is shipped alone.
        sha256: of its bytes.
        size: in bytes.
        pieces: references into Ray's store, in order.
    """

    path: str
    sha256: str
    size: int
    pieces: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedSource:
    """Names a folder or a file that was put into the store.

    Args:
        name: as specs name it.
        is_file: whether it is one file.
        key: the hash of all names and bytes.
    """

    name: str
    is_file: bool
    key: str
    files: tuple[ShippedFile, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all its files."""
        return sum(file.size for file in self.files)


def local_sources(specs: Iterable[RunSpec]) -> dict[str, str]:
    """Return the names of weights that are folders or files here, with their absolute paths."""
    names = dict.fromkeys(
        name for pipeline in dict.fromkeys(spec.pipeline for spec in specs) for name in _names(pipeline)
    )
    return {name: str(Path(name).resolve()) for name in names if bundled(name) is None and _is_here(name)}


def _is_here(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # longer than any file's name, say: the engine says what is wrong with it
        return False


def fingerprint(name: str) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file of a folder does: names, sizes and times.

    Raises:
        EngineError: when it cannot be looked at.
    """
    try:
        return tuple((str(file), (about := file.stat()).st_size, about.st_mtime_ns) for file in _files(Path(name)))
    except OSError as error:
        raise _unshippable(name, error) from error


def read_source(name: str) -> ShippedSource:
    """Put a folder or a file into the store.

    Raises:
        EngineError: when it cannot be read.
    """
    import ray

    place = Path(name)
    files = []
    try:
        for path in _files(place):
            digest, size, pieces = hashlib.sha256(), 0, []
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
                    pieces.append(ray.put(piece))
            within = path.name if place.is_file() else path.relative_to(place).as_posix()
            files.append(ShippedFile(path=within, sha256=digest.hexdigest(), size=size, pieces=tuple(pieces)))
    except OSError as error:
        raise _unshippable(name, error) from error
    key = hashlib.sha256("\0".join(f"{file.path} {file.sha256}" for file in files).encode()).hexdigest()
    return ShippedSource(name=name, is_file=place.is_file(), key=key, files=tuple(files))


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file())


def _unshippable(name: str, error: OSError) -> EngineError:
    return EngineError(f"{name} cannot be shipped: {error.strerror or error}")


def with_places(asked: Asked, places: Mapping[str, str]) -> Asked:
    """Return a spec or a request with names of weights exchanged: for the places where they lie, or back."""
    pipeline = asked.pipeline
    if not places or places.keys().isdisjoint(_names(pipeline)):
        return asked

    def of(name: str | None) -> str | None:
        return None if name is None else places.get(name, name)

    there = replace(
        pipeline,
        model=places.get(pipeline.model, pipeline.model),
        vae=of(pipeline.vae),
        config=of(pipeline.config),
        quantization=None if pipeline.quantization is None else _with_place(pipeline.quantization, places),
        loras=tuple(replace(each, name=places.get(each.name, each.name)) for each in pipeline.loras),
        embeddings=tuple(replace(each, name=places.get(each.name, each.name)) for each in pipeline.embeddings),
    )
    return replace(asked, pipeline=there)


def _with_place(quantization: str, places: Mapping[str, str]) -> str:
    """Exchange the file of a GGUF for its place."""
    file = quantization.removeprefix(GGUF)
    return quantization if file == quantization else f"{GGUF}{places.get(file, file)}"


def names_of(spec: RunSpec) -> frozenset[str]:
    """Return the names of all weights of a spec."""
    return frozenset(_names(spec.pipeline))


def _names(pipeline: PipelineSpec) -> Iterator[str]:
    yield from (name for name in (pipeline.model, pipeline.vae, pipeline.config) if name is not None)
    if pipeline.quantization is not None and pipeline.quantization.startswith(GGUF):
        yield pipeline.quantization.removeprefix(GGUF)
    yield from (each.name for each in pipeline.loras)
    yield from (each.name for each in pipeline.embeddings)
