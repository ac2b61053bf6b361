"""Finds models on the Hub and in its cache, at the commit that a name means, and downloads them.

The cache comes first and is believed: a model that is there needs no network and stays the one it was. Only a revision
that is not in it is asked for over the network, with one quick question, so that a missing connection is said within
seconds instead of after diffusers' half a minute of retries.

Invariant: every failure of the Hub, the network or the cache leaves this module as one line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any, Final

from promptlab.engine.machine.torch_setup import prepare
from promptlab.engine.sources.files import (
    INDEX,
    MODULAR_INDEX,
    PICKLES,
    FileSet,
    choose_files,
    listing,
    read_header,
    read_json,
)
from promptlab.errors import EngineError, InputError, NotFound, PromptLabError, one_line, ref, ref_value

__all__ = [
    "Snapshot",
    "cache_home",
    "check_cached",
    "damage_in_cache",
    "fetch",
    "find",
    "find_cached",
    "is_id",
    "translate_download_errors",
]

_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SECONDS: Final = 10.0
_ANEW: Final = "hf download {} --force-download"
_READ_BY_DIFFUSERS: Final = ("config.json", "scheduler_config.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Represents one commit of a Hub repository.

    Args:
        name: ``organisation/repository``.
        commit: 40 hex digits.
        revision: what was asked for: a branch, a tag or the commit.
        files: every file it has, or, without network, every file of it that is here.
        folder: where the cached part of it lies; ``None`` when there is none.
    """

    name: str
    commit: str
    revision: str
    files: tuple[str, ...]
    folder: Path | None

    def fetch(self, files: Sequence[str]) -> Path:
        """Return the folder with these files in it, downloaded if need be.

        Raises:
            EngineError: when the download fails.
        """
        if self.folder is not None and all((self.folder / file).is_file() for file in files):
            return self.folder
        folder = fetch(self.name, self.commit, files)
        if not _COMMIT.fullmatch(self.revision):
            # huggingface_hub notes what a branch meant only when it is asked for the branch, which may have moved since
            ref = folder.parent.parent / "refs" / self.revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(self.commit, encoding="utf-8")
        return folder


def is_id(name: str) -> bool:
    """Tell whether ``name`` can be a Hub id: ``organisation/repository``."""
    return bool(_ID.fullmatch(name)) and ".." not in name and not name.endswith(".safetensors")


def find(
    name: str,
    revision: str | None,
    field: str,
    allowed: str,
    *,
    weights: bool = True,
    variant: str | None = None,
    allow_pickle: bool = False,
    without: Collection[str] = (),
) -> Snapshot:
    """Find the commit of ``name`` that ``revision`` means: as cached, or else as the Hub says.

    Args:
        name: a Hub id.
        revision: branch, tag or commit; ``None`` is ``main``.
        field: of a spec that the name was given as.
        allowed: what may be given instead.
        weights: whether a cached copy without weights will not do.
        variant: of the weights; a cached copy without it will not do where the Hub can be asked.
        allow_pickle: whether pickles count as weights.
        without: parts whose weights are not wanted: a cached copy without them is whole.

    Raises:
        NotFound: when the Hub has no such model or revision.
        InputError: when it is gated, or not cached and the Hub cannot be reached.
    """
    found = find_cached(name, revision, weights=weights, variant=variant, allow_pickle=allow_pickle, without=without)
    if found is not None:
        return found
    cached = _cached(name, revision)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        about = HfApi().model_info(name, revision=revision, timeout=_SECONDS)
    except GatedRepoError as error:
        raise _gated(field, name) from error
    except RevisionNotFoundError as error:
        raise NotFound(
            "revision", revision, allowed=f"a branch, tag or commit of {name}", hint=ref_value(field, name)
        ) from error
    except RepositoryNotFoundError as error:
        raise NotFound(field, name, allowed=allowed, hint=_hint(field)) from error
    except Exception as error:
        whole = cached is not None and _looks_whole(cached, None, allow_pickle=allow_pickle, without=without)
        if cached is not None and (whole or any(file.endswith(PICKLES) for file in cached.files)):
            return cached  # whole, as far as it goes: what is wrong with it is said by whoever looks at its files
        raise _unreachable(
            field, name if revision is None else f"{name} at {revision}", allowed, error, cached
        ) from error
    commit = about.sha or ""
    return Snapshot(
        name=name, commit=commit, revision=revision or "main", folder=_snapshot_folder(name, commit),
        files=tuple(sorted(file.rfilename for file in about.siblings or ())),
    )  # fmt: skip


def find_cached(
    name: str,
    revision: str | None,
    *,
    weights: bool = True,
    variant: str | None = None,
    allow_pickle: bool = False,
    without: Collection[str] = (),
) -> Snapshot | None:
    """Return what :func:`find` finds without asking the Hub; ``None`` where that has to be asked."""
    cached = _cached(name, revision)
    whole = cached is not None and (
        not weights or _looks_whole(cached, variant, allow_pickle=allow_pickle, without=without)
    )
    return cached if whole else None


def fetch(name: str, commit: str, files: Sequence[str], report: Callable[[int, int], None] | None = None) -> Path:
    """Download these files of one commit into the cache, and give the folder they lie in.

    A connection that breaks is taken up where it broke, give or take huggingface_hub's 10 MB. Files that came whole
    before a download was stopped stay; one that was under way is fetched anew, for huggingface_hub keeps no part of it.

    Args:
        report: is given the bytes that are here, and those there are of all files begun so far, by several threads.

    Raises:
        InputError: when the model is gated: what it is, anyone may read; its files, only whoever accepted its terms.
        EngineError: when they cannot be had.
    """
    from huggingface_hub import snapshot_download

    with translate_download_errors(name):
        return Path(
            snapshot_download(
                name,
                revision=commit,
                allow_patterns=list(files),
                cache_dir=cache_home(),
                tqdm_class=None if report is None else _counting(report),
            )
        )


def _counting(report: Callable[[int, int], None]) -> type[Any]:
    """Make a progress bar for huggingface_hub that draws nothing and reports the bytes that were written."""
    from tqdm import tqdm

    class Counting(tqdm):
        def __init__(self, *rest: Any, **named: Any) -> None:
            self._bytes = named.get("unit") == "B" and "Downloading" not in str(named.get("desc"))
            super().__init__(*rest, **{**named, "file": StringIO(), "mininterval": 3600})

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            if self._bytes:
                report(int(self.n), int(self.total or 0))
            return drawn

    return Counting


def check_cached(snapshot: Snapshot, files: FileSet) -> None:
    """Check what is cached of a model: its configurations are JSON, and no file of weights is cut.

    Raises:
        InputError: naming the file, and what downloads it anew.
    """
    folder = snapshot.folder
    if folder is None:
        return
    with damage_in_cache(snapshot.name):
        for file in files.configs:
            if file.endswith(".json") and PurePosixPath(file).name in _READ_BY_DIFFUSERS and (folder / file).is_file():
                read_json(folder / file)
        for file in files.weights:
            if file.endswith(".safetensors") and (folder / file).is_file():
                read_header(folder / file, "model")


@contextmanager
def damage_in_cache(name: str) -> Iterator[None]:
    """Say of a damaged file of the cache which model it is of, and what mends it."""
    try:
        yield
    except InputError as error:
        raise InputError(
            "model", name, problem=f"is damaged in the Hub cache: {error.value} {error.problem}",
            allowed="a whole copy", hint=_ANEW.format(name),
        ) from error  # fmt: skip


def cache_home() -> Path:
    """Return the folder of the Hub cache, from the same variables that huggingface_hub reads."""
    prepare()
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE)


def _cached(name: str, revision: str | None) -> Snapshot | None:
    home = cache_home() / f"models--{name.replace('/', '--')}"
    wanted = revision or "main"
    if not _COMMIT.fullmatch(wanted):
        ref = home / "refs" / wanted
        if not (ref.resolve().is_relative_to(home.resolve()) and ref.is_file()):
            return None
        wanted = ref.read_text(encoding="utf-8").strip()
    folder = _snapshot_folder(name, wanted)
    if folder is None:
        return None
    return Snapshot(name=name, commit=wanted, revision=revision or "main", files=listing(folder), folder=folder)


def _snapshot_folder(name: str, commit: str) -> Path | None:
    folder = cache_home() / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


def _looks_whole(snapshot: Snapshot, variant: str | None, *, allow_pickle: bool, without: Collection[str] = ()) -> bool:
    """Tell whether weights lie beside the configurations: an earlier look at these fetches nothing else."""
    folder = snapshot.folder
    if folder is None:
        return False
    if INDEX not in snapshot.files and MODULAR_INDEX in snapshot.files:
        return True  # no download makes it one that can be loaded: what it is is said by whoever looks at its files
    try:
        index = read_json(folder / INDEX) if INDEX in snapshot.files else None
        if any(part in (index or {}) and f"{part}/config.json" not in snapshot.files for part in without):
            return False
        weights = set(
            choose_files(
                snapshot.name, snapshot.files, index, variant, allow_pickle=allow_pickle, without=without
            ).weights
        )  # fmt: skip
        for name in snapshot.files:
            if name.endswith((".safetensors.index.json", ".bin.index.json")):
                shards = read_json(folder / name).get("weight_map", {}).values()
                wanted = {str(PurePosixPath(name).with_name(shard)) for shard in shards}
                if wanted & weights and not wanted <= weights:
                    return False
    except InputError:
        return False
    return True


def _hint(field: str) -> str:
    """Return what to type where a name is nothing: ``promptlab models`` lists models and VAEs."""
    return "promptlab models" if field in ("model", "vae") else f"{ref(field)} with a file or folder here"


def _unreachable(field: str, name: str, allowed: str, error: Exception, cached: Snapshot | None) -> InputError:
    from huggingface_hub.errors import HfHubHTTPError

    if cached is not None:
        return InputError(
            field, name, problem="is in the Hub cache only in part, and the Hub cannot be reached", allowed=allowed,
            hint=f"hf download {name.partition(' at ')[0]}, once there is a network",
        )  # fmt: skip
    if isinstance(error, HfHubHTTPError):
        problem = f"cannot be asked for: the Hub says {one_line(error)}"
    else:
        problem = "is neither a folder here nor in the Hub cache, and the Hub cannot be reached"
    return InputError(field, name, problem=problem, allowed=allowed, hint=_hint(field))


def _gated(field: str, name: str | None = None) -> InputError:
    return InputError(
        field, name, problem="is gated, and this account may not read it",
        allowed=f"models whose terms you accepted at https://huggingface.co/{name or field}", hint="hf auth login",
    )  # fmt: skip


@contextmanager
def translate_download_errors(name: str) -> Iterator[None]:
    """Turn whatever huggingface_hub raises in the block into an error of one line about ``name``."""
    from huggingface_hub.errors import GatedRepoError

    try:
        yield
    except PromptLabError:
        raise
    except GatedRepoError as error:
        raise _gated(name) from error
    except Exception as error:
        raise EngineError(f"{name} could not be downloaded: {one_line(error)}") from error
