"""Keeps the weights that were shipped to this machine; removes the oldest where room is needed.

A source lies under the hash of all its names and bytes. Whoever uses one holds the lock of a file of its own, which the
system lets go of however that process ends; files of locks lie beside, and not among, the sources.

Invariants: what lies under a key is whole; what a living process uses is not removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab._locks import TABLES_TIMEOUT, file_locked
from promptlab.cluster.shipping import ShippedFile, ShippedSource
from promptlab.engine.sources.hash_memory import cache_folder
from promptlab.errors import EngineError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["ShippedCache"]

_SHARE: Final = 2
"""Divides the room of the disk: so much of what is free, and what lies here, may be taken by shipped weights."""


class ShippedCache:
    """Unpacks what is shipped, and holds it for as long as this process lives.

    Args:
        most: bytes that all sources may take together; by default half of the room that the disk would have without
            them. One that is asked for is unpacked all the same.
    """

    def __init__(self, *, most: int | None = None) -> None:
        self._home, self._users = cache_folder() / "shipped", cache_folder() / "shipped-in-use"
        self._most = most
        self._held: dict[str, FileLock] = {}

    def place(self, source: ShippedSource) -> str:
        """Return where a source lies on this machine; it is written there where it does not.

        Raises:
            EngineError: when what came has other bytes than what was sent.
        """
        self._hold(source.key)
        folder = self._home / source.key
        if not folder.is_dir():
            self._make_room(source.size)
            self._unpack(source, folder)
        with suppress(OSError):
            os.utime(folder)  # the oldest is what was not asked for longest
        return str(folder / source.files[0].path if source.is_file else folder)

    def _hold(self, key: str) -> None:
        from filelock import FileLock

        if key in self._held:
            return
        self._home.mkdir(parents=True, exist_ok=True)
        with self._alone():
            lock = FileLock(self._users / f"{key}.{uuid.uuid4().hex}.lock", thread_local=False)
            lock.acquire()
        self._held[key] = lock

    def _make_room(self, needed: int) -> None:
        """Remove what nobody uses, the oldest first, until ``needed`` bytes have room; and what is unfinished."""
        removed = []
        with self._alone():
            used = self._in_use()
            kept = sorted((_age(folder), _size(folder), folder) for folder in self._home.iterdir())
            total = sum(size for _, size, _ in kept)
            over = total + needed - self._bound(total)
            for _, size, folder in kept:
                unfinished = folder.name.startswith(".")
                if folder.name.lstrip(".").partition(".")[0] in used or (over <= 0 and not unfinished):
                    continue
                removed.append(folder if unfinished else folder.rename(folder.with_name(f".{folder.name}.gone")))
                over -= size
        for folder in removed:
            shutil.rmtree(folder, ignore_errors=True)

    def _bound(self, total: int) -> int:
        return (shutil.disk_usage(self._home).free + total) // _SHARE if self._most is None else self._most

    def _in_use(self) -> set[str]:
        """Return the keys that a process holds; remove the locks of those that have ended."""
        from filelock import FileLock, Timeout

        used = set(self._held)
        for path in self._users.glob("*.lock"):
            key = path.name.partition(".")[0]
            if key in used:
                continue
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                used.add(key)
                continue
            lock.release()
            path.unlink(missing_ok=True)
        return used

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other process of this machine take up or remove anything meanwhile."""
        with file_locked(self._users / "all", timeout=TABLES_TIMEOUT, error=EngineError):
            yield

    def _unpack(self, source: ShippedSource, folder: Path) -> None:
        unfinished = Path(tempfile.mkdtemp(dir=self._home, prefix=f".{source.key}."))
        try:
            for file in source.files:
                _write(unfinished, file)
            try:
                unfinished.rename(folder)
            except OSError:  # another worker of this machine was quicker
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _age(folder: Path) -> float:
    """Return when a folder was last asked for; 0 for one that another process removes."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            size += file.stat().st_size if file.is_file() else 0
    return size


def _write(folder: Path, file: ShippedFile) -> None:
    import ray

    path = folder.joinpath(*_parts(file.path))
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as opened:
        for piece in file.pieces:
            data: bytes = ray.get(piece)
            digest.update(data)
            opened.write(data)
    if digest.hexdigest() != file.sha256:
        raise EngineError(f"{file.path} came with other bytes than it was shipped with")


def _parts(path: str) -> Sequence[str]:
    parts = path.split("/")
    if any(part in ("", ".", "..") or os.sep in part for part in parts):
        raise EngineError(f"{path} is no file of a model")
    return parts
