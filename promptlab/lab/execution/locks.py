"""Locks runs and sweeps: the process that makes one holds a file lock, which ends with the process.

So whether a RUNNING run is alive can be told, however its process ended. Beginning a run and locking it are one step to
everybody else: whoever looks for runs that were left does not find one that has only just been begun.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, Timeout

from promptlab.errors import InputError, StoreError
from promptlab.records import RunRecord
from promptlab.workspace import Workspace

__all__ = ["RunLocks"]

LOOKED_AT: Final = 1.0
"""Seconds that another process may hold a lock to see whether it is free. Making a run takes longer."""

BEGINNING: Final = 60.0
"""Seconds to wait for others to begin their runs: each takes a moment, but for a large sweep."""


class RunLocks:
    """Takes the locks of one workspace for one process, and asks for those of others.

    Args:
        sweep_of: gives the number of the sweep that a run is a part of.
    """

    def __init__(self, workspace: Workspace, sweep_of: Callable[[int], int | None]) -> None:
        self._workspace, self._sweep_of = workspace, sweep_of
        self._home = workspace.root / "images"
        self._beginning = FileLock(self._home / ".beginning.lock")
        self._held: dict[Path, BaseFileLock] = {}

    def busy(self, run_id: int) -> bool:
        """Say whether a process is making the run at this moment, or the sweep that it is a part of."""
        if not self._home.is_dir():
            return False
        with self.beginning():
            if _is_held(self._lock(run_id)):
                return True
            sweep_id = self._sweep_of(run_id)
            return sweep_id is not None and _is_held(self._sweep_lock(sweep_id))

    def busy_of(self, runs: Mapping[int, int | None]) -> set[int]:
        """Return those of many runs that processes are making at this moment; see :meth:`busy`.

        Args:
            runs: the number of the sweep that each is a part of, by its own.
        """
        if not runs or not self._home.is_dir():
            return set()
        with self.beginning():
            sweeps = {sweep_id for sweep_id in runs.values() if sweep_id is not None}
            held = {sweep_id for sweep_id in sweeps if _is_held(self._sweep_lock(sweep_id))}
            return {run_id for run_id, sweep_id in runs.items() if sweep_id in held or _is_held(self._lock(run_id))}

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Keep other processes, in the block, from beginning a run or asking whether one is busy.

        Within it, a run is written and then taken (:meth:`take`): never is it seen begun and free. Where nothing may be
        written nobody begins anything.

        Raises:
            StoreError: when another process does not end it.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._beginning.acquire(timeout=BEGINNING)
        except Timeout:
            raise StoreError(
                f"{self._beginning.lock_file} is held by another process; end it, then try again"
            ) from None
        except OSError:
            yield
            return
        try:
            yield
        finally:
            self._beginning.release()

    def take(self, run: RunRecord) -> None:
        """Keep other processes from taking up ``run``, from now until :meth:`held` ends."""
        lock = self._lock(run.id)
        self._held[lock] = _locked(lock, "run", run.id)

    @contextmanager
    def held(self, runs: Sequence[RunRecord]) -> Iterator[None]:
        """Keep other processes from making these runs in the block.

        Those of a sweep that is held are held by that: a lock each would be more files than a process may open.

        Raises:
            InputError: when another process is making one of them.
        """
        with ExitStack() as held:
            for run in runs:
                lock = self._lock(run.id)
                sweep = None if run.sweep_id is None else self._sweep_lock(run.sweep_id)
                if sweep is not None and sweep in self._held:
                    if _is_held(lock):
                        raise _busy("run", run.id)
                    continue
                held.callback((self._held.pop(lock, None) or _locked(lock, "run", run.id)).release)
                if sweep is not None and _is_held(sweep):
                    raise _busy("run", run.id)
            yield

    def take_sweep(self, sweep_id: int) -> None:
        """Keep other processes from taking up the sweep's runs, from now until :meth:`sweep_held` ends.

        Raises:
            InputError: when another process is making it.
        """
        lock = self._sweep_lock(sweep_id)
        if lock not in self._held:
            self._held[lock] = _locked(lock, "sweep", sweep_id)

    @contextmanager
    def sweep_held(self, sweep_id: int) -> Iterator[None]:
        """Keep other processes from taking up the sweep's runs in the block.

        Raises:
            InputError: when another process is making it.
        """
        self.take_sweep(sweep_id)
        try:
            yield
        finally:
            self._held.pop(self._sweep_lock(sweep_id)).release()

    def _lock(self, run_id: int) -> Path:
        return self._workspace.run_folder(run_id) / ".lock"

    def _sweep_lock(self, sweep_id: int) -> Path:
        return self._workspace.sweep_folder(sweep_id) / ".lock"


def _locked(path: Path, what: str, number: int) -> BaseFileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=LOOKED_AT)
    except Timeout:
        raise _busy(what, number) from None
    return lock


def _busy(what: str, number: int) -> InputError:
    return InputError(what, number, problem="is being made by another process", hint="promptlab list")


def _is_held(lock: Path) -> bool:
    """Say whether another process holds the lock; where nothing may be written, none does."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False
