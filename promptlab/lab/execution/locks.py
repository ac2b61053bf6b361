"""Locks runs and sweeps: the process that makes one holds a lock, which ends with the process.

So whether a RUNNING run is alive can be told, however its process ended. Beginning a run and locking it are one step to
everybody else: whoever looks for runs that were left does not find one that has only just been begun.

Locks are files in the workspace or, where the records are on a server, that server's own: not every folder that
machines share locks files among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from promptlab.errors import InputError, StoreError
from promptlab.lab.execution.file_locks import FileLocks
from promptlab.records import RunRecord
from promptlab.store.lock_table import LockKind, LockTable
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
        server: keeps the locks where the records are on a server; files keep them else.
    """

    def __init__(
        self, workspace: Workspace, sweep_of: Callable[[int], int | None], server: LockTable | None = None
    ) -> None:
        self._sweep_of, self._home = sweep_of, workspace.root / "images"
        self._locks: LockTable = server or FileLocks(workspace)
        self._taken: set[tuple[LockKind, int]] = set()

    def busy(self, run_id: int) -> bool:
        """Say whether a process is making the run at this moment, or the sweep that it is a part of."""
        if self._nothing_is_begun():
            return False
        with self.beginning():
            if self._locks.is_held("run", run_id):
                return True
            sweep_id = self._sweep_of(run_id)
            return sweep_id is not None and self._locks.is_held("sweep", sweep_id)

    def busy_of(self, runs: Mapping[int, int | None]) -> set[int]:
        """Return those of many runs that processes are making at this moment; see :meth:`busy`.

        Args:
            runs: the number of the sweep that each is a part of, by its own.
        """
        if not runs or self._nothing_is_begun():
            return set()
        with self.beginning():
            sweeps = {sweep_id for sweep_id in runs.values() if sweep_id is not None}
            held = {sweep_id for sweep_id in sweeps if self._locks.is_held("sweep", sweep_id)}
            return {
                run_id for run_id, sweep_id in runs.items() if sweep_id in held or self._locks.is_held("run", run_id)
            }

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Keep other processes, in the block, from beginning a run or asking whether one is busy.

        Within it, a run is written and then taken (:meth:`take`): never is it seen begun and free. Where nothing may be
        written nobody begins anything.

        Raises:
            StoreError: when another process does not end it.
        """
        try:
            taken = self._locks.take("beginning", 0, timeout=BEGINNING)
        except OSError:
            yield
            return
        if not taken:
            raise StoreError(f"the runs in {self._home} are locked by another process; end it, then try again")
        try:
            yield
        finally:
            self._locks.release("beginning", 0)

    def take(self, run: RunRecord) -> None:
        """Keep other processes from taking up ``run``, from now until :meth:`held` ends."""
        self._take("run", run.id)

    @contextmanager
    def held(self, runs: Sequence[RunRecord]) -> Iterator[None]:
        """Keep other processes from making these runs in the block.

        Those of a sweep that is held are held by that: a lock each would be more files than a process may open.

        Raises:
            InputError: when another process is making one of them.
        """
        with ExitStack() as held:
            for run in runs:
                if run.sweep_id is not None and ("sweep", run.sweep_id) in self._taken:
                    if self._locks.is_held("run", run.id):
                        raise _busy("run", run.id)
                    continue
                if ("run", run.id) not in self._taken:
                    self._take("run", run.id)
                held.callback(self._release, "run", run.id)
                if run.sweep_id is not None and self._locks.is_held("sweep", run.sweep_id):
                    raise _busy("run", run.id)
            yield

    def take_sweep(self, sweep_id: int) -> None:
        """Keep other processes from taking up the sweep's runs, from now until :meth:`sweep_held` ends.

        Raises:
            InputError: when another process is making it.
        """
        if ("sweep", sweep_id) not in self._taken:
            self._take("sweep", sweep_id)

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
            self._release("sweep", sweep_id)

    def _nothing_is_begun(self) -> bool:
        return isinstance(self._locks, FileLocks) and not self._home.is_dir()

    def _take(self, kind: LockKind, number: int) -> None:
        if not self._locks.take(kind, number, timeout=LOOKED_AT):
            raise _busy(kind, number)
        self._taken.add((kind, number))

    def _release(self, kind: LockKind, number: int) -> None:
        self._taken.discard((kind, number))
        self._locks.release(kind, number)


def _busy(what: str, number: int) -> InputError:
    return InputError(what, number, problem="is being made by another process", hint="promptlab list")
