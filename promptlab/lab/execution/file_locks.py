"""Locks runs and sweeps by files in the workspace, which the system releases however a process ends."""

from __future__ import annotations

from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from promptlab.errors import StoreError
from promptlab.store.lock_table import LockKind, LockTable
from promptlab.workspace import Workspace

__all__ = ["FileLocks", "make_folder"]


def make_folder(folder: Path) -> None:
    """Make the folder of a run or sweep, unless it is there.

    Raises:
        StoreError: where its name is a link: what lies there is not ours to write into. The folder of all of them may
            be one, to another disk.
    """
    if folder.is_symlink():
        raise StoreError(
            f"{folder} is a link, and pictures are written into the workspace's own folders; "
            f"remove it, or make all of {folder.parent.name}/ a link"
        )
    folder.mkdir(parents=True, exist_ok=True)


class FileLocks(LockTable):
    """Keeps locks as files of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._held: dict[tuple[LockKind, int], tuple[BaseFileLock, int]] = {}

    def take(self, kind: LockKind, number: int, *, timeout: float) -> bool:
        """See :meth:`LockTable.take`."""
        lock, times = self._held.get((kind, number)) or (FileLock(self._path(kind, number)), 0)
        if not times:
            folder = Path(lock.lock_file).parent
            if kind in ("run", "sweep"):
                make_folder(folder)
            else:  # all of them: may be a link
                folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=timeout)
            except Timeout:
                return False
        self._held[kind, number] = lock, times + 1
        return True

    def release(self, kind: LockKind, number: int) -> None:
        """See :meth:`LockTable.release`."""
        lock, times = self._held.pop((kind, number))
        if times > 1:
            self._held[kind, number] = lock, times - 1
        else:
            lock.release()

    def is_held(self, kind: LockKind, number: int) -> bool:
        """See :meth:`LockTable.is_held`; where nothing may be written, nobody holds any."""
        path = self._path(kind, number)
        if (kind, number) in self._held:
            return True
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def _path(self, kind: LockKind, number: int) -> Path:
        match kind:
            case "run":
                return self._workspace.run_folder(number) / ".lock"
            case "sweep":
                return self._workspace.sweep_folder(number) / ".lock"
        return self._workspace.root / "images" / ".beginning.lock"
