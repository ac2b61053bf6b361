"""Remembers hashes of big files between processes, in the user's cache folder.

A file is known again by its path, device, inode, size and times: that of its content, and that of its inode, which
also moves where the first is set back (``touch -r``, ``cp -p``). Hashing FLUX.2's folder takes most of a minute, and
every command needs it.

A file system counts time in steps of up to two seconds (FAT), so that a file may change twice in one of them and look
the same. What was changed that shortly before it was hashed is therefore not remembered.

Invariants: whatever is wrong with this memory, a file is hashed; an entry is written whole or not at all, by however
many processes; the folder has one small file for each big one that was ever hashed.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final

__all__ = ["BIG", "CACHE", "FileStamp", "cache_folder", "hash_file", "remembered_files", "write_entry"]

CACHE: Final = "PROMPTLAB_CACHE"
BIG: Final = 1 << 20
"""Bytes from which on a file is remembered: hashing a smaller one takes a millisecond."""
_SETTLED: Final = 2_000_000_000
"""Nanoseconds that a file must not have been changed for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStamp:
    """Tells a file and its content from another, without reading it."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Return the stamp of a file as it is now.

        Raises:
            OSError: when there is none.
        """
        about = path.stat()
        return cls(
            path=str(path.absolute()), device=about.st_dev, inode=about.st_ino, size=about.st_size,
            mtime_ns=about.st_mtime_ns, ctime_ns=about.st_ctime_ns,
        )  # fmt: skip


def cache_folder() -> Path:
    """Return where PromptLab keeps what it can do without: ``PROMPTLAB_CACHE``, else in the user's cache."""
    given = os.environ.get(CACHE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "promptlab"


def hash_file(stamp: FileStamp, *, anew: bool = False) -> str:
    """Return the SHA-256 of a file, remembered or read.

    Args:
        stamp: of the file as it is.
        anew: read it whatever is remembered.

    Raises:
        OSError: when it cannot be read.
    """
    if stamp.size < BIG:
        return _read(stamp)
    entry = _entry(stamp)
    if not anew and (known := _recall(entry, stamp)) is not None:
        return known
    began = time.time_ns()
    digest = _read(stamp)
    if max(stamp.mtime_ns, stamp.ctime_ns) < began - _SETTLED and FileStamp.of(Path(stamp.path)) == stamp:
        with suppress(OSError):  # a full disk, a folder of somebody else's
            write_entry(entry, {**asdict(stamp), "sha256": digest})
    return digest


def remembered_files() -> tuple[tuple[FileStamp, str], ...]:
    """Return the files that are as they were when they were hashed, each with the hash that is remembered."""
    found = []
    for entry in sorted((cache_folder() / "hashes").glob("*.json")):
        with suppress(OSError, ValueError, TypeError, KeyError):
            stamp = FileStamp.of(Path(json.loads(entry.read_text(encoding="utf-8"))["path"]))
            known = _recall(entry, stamp)
            if known is not None:
                found.append((stamp, known))
    return tuple(found)


def _read(stamp: FileStamp) -> str:
    with Path(stamp.path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _entry(stamp: FileStamp) -> Path:
    return cache_folder() / "hashes" / f"{sha256(os.fsencode(stamp.path)).hexdigest()[:32]}.json"


def _recall(entry: Path, stamp: FileStamp) -> str | None:
    try:
        about = json.loads(entry.read_text(encoding="utf-8"))
        digest = about.pop("sha256")
        return digest if about == asdict(stamp) and isinstance(digest, str) and len(digest) == 64 else None
    except (OSError, ValueError, TypeError, AttributeError, KeyError):  # none, or a damaged one
        return None


def write_entry(entry: Path, plain: Mapping[str, object]) -> None:
    """Write what is remembered under a name of the cache folder, whole or not at all.

    Raises:
        OSError: when it cannot be written.
    """
    entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=entry.parent, suffix=".tmp")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(dict(plain), file)
        Path(name).replace(entry)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
