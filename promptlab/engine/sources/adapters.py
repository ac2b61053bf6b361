"""Finds the files of LoRAs and textual inversions by name, before a weight of a model is read.

A name is a file, a folder with one weights file, or on the Hub ``organisation/repository[@revision][/file]``. These
files are small beside models, so that one from the Hub is downloaded to be looked at. Invariant: a spec that is
resolved names the file itself, at a commit where it comes from the Hub, and its identity is the hash of its content.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab.engine.sources import hub
from promptlab.engine.sources.files import ALLOW_PICKLE, INDEX, PICKLES, file_identity, listing, read_header
from promptlab.errors import InputError, NotFound, UnknownValue, ref_value

__all__ = ["EMBEDDING", "LORA", "AdapterFile", "AdapterKind", "find_adapter"]

_SAFE: Final = ".safetensors"
_ON_HUB: Final = re.compile(r"(?P<repository>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?(?:/(?P<file>.+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterKind:
    """Describes one of the two kinds, as far as they differ before they are opened.

    Args:
        field: of a spec that names them.
        usual: the file that is taken where there are several, with and without pickles.
        what: in words.
    """

    field: str
    usual: tuple[str, ...]
    what: str


LORA: Final = AdapterKind(
    field="loras", usual=("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin"), what="a LoRA"
)
EMBEDDING: Final = AdapterKind(
    field="embeddings", usual=("learned_embeds.safetensors", "learned_embeds.bin"), what="an embedding"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFile:
    """Represents one file of weights.

    Args:
        name: as a spec holds it.
        path: where it lies here.
        identity: ``sha256:<hex>`` of its content.
        header: its tensors by name, each with ``dtype`` and ``shape``.
    """

    name: str
    path: Path
    identity: str
    header: dict[str, dict[str, Any]]


def find_adapter(name: str, kind: AdapterKind, *, allow_pickle: bool = False) -> AdapterFile:
    """Find the file that ``name`` means.

    Raises:
        NotFound: when nothing has that name.
        InputError: when it is pickled and may not, is damaged, or needs a network that is not there.
        UnknownValue: when there are several files, and none with the usual name.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        file = _choose(name, listing(path), kind, allow_pickle=allow_pickle)
        return _read_file(os.path.normpath((path / file).absolute()), path / file, kind, allow_pickle=allow_pickle)
    if path.is_file():
        return _read_file(os.path.normpath(path.absolute()), path, kind, allow_pickle=allow_pickle)
    found = _ON_HUB.fullmatch(name)
    if found is None or not hub.is_id(found["repository"]) or (path.suffix == _SAFE and found["file"] is None):
        raise NotFound(kind.field, name, allowed=_allowed(kind), hint=ref_value(kind.field, f"FILE{_SAFE}"))
    return _from_hub(name, found, kind, allow_pickle=allow_pickle)


def _from_hub(name: str, found: re.Match[str], kind: AdapterKind, *, allow_pickle: bool) -> AdapterFile:
    repository = found["repository"]
    snapshot = hub.find(repository, found["revision"], kind.field, _allowed(kind), weights=False)
    if found["file"] is not None and found["file"] not in snapshot.files:
        raise UnknownValue(
            kind.field, name, [f"{repository}/{file}" for file in snapshot.files if _is_weights(file)],
            problem="is no file of its repository",
        )  # fmt: skip
    file = found["file"] or _choose(name, snapshot.files, kind, allow_pickle=allow_pickle)
    path = snapshot.fetch([file]) / file
    return _read_file(f"{repository}@{snapshot.commit}/{file}", path, kind, allow_pickle=allow_pickle)


def _choose(name: str, files: Sequence[str], kind: AdapterKind, *, allow_pickle: bool) -> str:
    """Choose the usual file, or the only one."""
    if INDEX in files:
        raise InputError(kind.field, name, problem=f"is a whole model, not {kind.what}", allowed=_allowed(kind))
    safe = [file for file in files if file.endswith(_SAFE)]
    pickled = [file for file in files if file.endswith(PICKLES)]
    some = safe or (pickled if allow_pickle else [])
    usual = next((file for file in kind.usual if file in some), None)
    if usual is not None or len(some) == 1:
        return usual or some[0]
    if some:
        raise UnknownValue(
            kind.field, name, [f"{name}/{file}" for file in some], problem="holds several files",
            hint=ref_value(kind.field, f"{name}/{some[0]}"),
        )  # fmt: skip
    if pickled:
        raise _refused_pickle(name, kind)
    raise InputError(kind.field, name, problem=f"holds no weights of {kind.what}", allowed=_allowed(kind))


def _read_file(name: str, path: Path, kind: AdapterKind, *, allow_pickle: bool) -> AdapterFile:
    if path.suffix in PICKLES and not allow_pickle:
        raise _refused_pickle(name, kind)
    return AdapterFile(
        name=name, path=path.absolute(), identity=file_identity(path), header=read_header(path, kind.field)
    )


def _is_weights(file: str) -> bool:
    return file.endswith((_SAFE, *PICKLES))


def _allowed(kind: AdapterKind) -> str:
    return f"a {_SAFE} file with {kind.what}, a folder with one, a Hub id, or none to have none"


def _refused_pickle(name: str, kind: AdapterKind) -> InputError:
    return InputError(
        kind.field, name, problem="is pickled, which may hold a program",
        allowed=f"safetensors, or {ALLOW_PICKLE}", hint=f"{ALLOW_PICKLE} if you trust whoever made it",
    )  # fmt: skip
