"""Lists the models that need no download: those in the package and those in the Hub's cache.

Only index files are read. Neither torch nor diffusers is imported, so a list is there at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from promptlab.engine.sources.files import INDEX, read_json
from promptlab.engine.sources.hub import cache_home
from promptlab.errors import InputError
from promptlab.models import bundled_models, bundled_vaes

__all__ = ["ModelInfo", "known_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Describes a model or VAE that is here.

    Args:
        name: what a spec's ``model`` or ``vae`` takes.
        kind: ``bundled``, or ``hub cache``.
        pipeline: diffusers class name of the pipeline, or of the autoencoder.
        size: bytes on disk.
        revision: the commit, for the Hub.
        path: the folder.
    """

    name: str
    kind: Literal["bundled", "hub cache"]
    pipeline: str
    size: int
    revision: str | None
    path: str


def known_models(cache: Path | None = None) -> tuple[ModelInfo, ...]:
    """List bundled models first, then the cache's by name.

    Args:
        cache: the Hub's cache; ``None`` takes the one that huggingface_hub would.
    """
    inside = [
        ModelInfo(name=name, kind="bundled", pipeline=kind, size=_size(home), revision=None, path=str(home))
        for name, home in {**bundled_models(), **bundled_vaes()}.items()
        if (kind := _class_of(home)) is not None
    ]
    return (*inside, *sorted(_cached(cache), key=lambda info: (info.name, info.revision)))


def _cached(cache: Path | None) -> Iterator[ModelInfo]:
    home = cache or cache_home()
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        found = scan_cache_dir(home)
    except CacheNotFound:
        return
    for repository in found.repos:
        for revision in repository.revisions if repository.repo_type == "model" else ():
            kind = _class_of(revision.snapshot_path)
            if kind is not None:
                yield ModelInfo(
                    name=repository.repo_id, kind="hub cache", pipeline=kind, size=revision.size_on_disk,
                    revision=revision.commit_hash, path=str(revision.snapshot_path),
                )  # fmt: skip


def _class_of(folder: Path) -> str | None:
    """Return the class of the pipeline or autoencoder in the folder; ``None`` where it holds neither."""
    for name in (INDEX, "config.json"):
        if (folder / name).is_file():
            try:
                kind = read_json(folder / name).get("_class_name")
            except InputError:
                return None
            return kind if isinstance(kind, str) and (name == INDEX or kind.startswith("Autoencoder")) else None
    return None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
