"""Identifies a model's components by content: two models with the same text encoder can share it.

A part is a folder of a model with weights: its configuration and its weights make it what it is, and nothing else.
What the Hub's cache holds is told apart by the names of its files, which are hashes; so gigabytes are read once.

Invariant: equal identities are equal modules, whatever models they were found in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from promptlab.engine.sources.configuration import DENOISERS
from promptlab.engine.sources.files import INDEX, choose_files, file_identity, listing, read_json
from promptlab.engine.sources.finder import ModelSource
from promptlab.specs import MachineSpec, canonical_json

__all__ = ["Component", "component_identities"]

_LFS_BLOB: Final = re.compile(r"[0-9a-f]{64}")
_WRITER_KEYS: Final = frozenset({"transformers_version", "torch_dtype", "dtype", "_name_or_path", "_diffusers_version"})
"""Keys of a configuration that say who wrote it, and not what it describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Identifies a module in memory: what it is, and how it lies there.

    Args:
        identity: of its configuration and weights.
        dtype: as asked for when it was loaded.
        device: where it lies.
        machine: as far as weights are loaded for it.
    """

    identity: str
    dtype: str
    device: str
    machine: MachineSpec


def component_identities(source: ModelSource) -> Mapping[str, str]:
    """Return the identity of each part with weights, by its name. The parts of a single file are its own."""
    index = read_json(source.folder / INDEX)
    if source.file is not None:
        names = [name for name, value in index.items() if isinstance(value, list) and value[0]]
        return {name: f"{source.identity}/{name}" for name in names}
    replaced = [] if source.gguf is None else [name for name in DENOISERS if name in index]
    index = {name: value for name, value in index.items() if name not in replaced}
    chosen = choose_files(
        source.name, listing(source.folder), index, source.variant, allow_pickle=source.pickled
    ).weights  # fmt: skip
    by_part: dict[str, list[str]] = {}
    for file in chosen:
        part, _, name = file.rpartition("/")
        by_part.setdefault(part, []).append(name)
    found = {part: _identity(source.folder / part, str(index[part]), names) for part, names in by_part.items()}
    return found | {part: f"{source.identity}/{part}" for part in replaced}


def _identity(folder: Path, kind: str, names: Iterable[str]) -> str:
    about = {key: value for key, value in read_json(folder / "config.json").items() if key not in _WRITER_KEYS}
    digests = sorted(_digest(folder, name) for name in names)
    return sha256("\n".join([kind, canonical_json(about), *digests]).encode()).hexdigest()


def _digest(folder: Path, name: str) -> str:
    """Return the hash of one file of weights."""
    blob = (folder / name).resolve()
    if blob.parent.name == "blobs" and _LFS_BLOB.fullmatch(blob.name):
        return blob.name
    return file_identity(blob).removeprefix("sha256:")
