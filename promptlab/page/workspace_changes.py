"""Finds what other processes have done to a workspace, by the times of its database's files."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from promptlab.store.database import Database
from promptlab.store.run_marks import run_marks

__all__ = ["WorkspaceChanges"]

_REST: Final = 20
"""So many times as long as a look took is waited before the next: looking takes a twentieth of a core at most."""

_SERVER_EVERY: Final = 3.0
"""Seconds between two looks at a database on a server, which has no files that tell."""


class WorkspaceChanges:
    """Compares marks of all runs with those of the last look."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = () if database.file is None else (database.file, Path(f"{database.file}-wal"))
        self._times: tuple[int, ...] = ()
        self._marks = dict(run_marks(database))
        self._not_before = 0.0

    def look(self) -> frozenset[int]:
        """Return the runs that have changed since the last look; none where it is too early to look again."""
        started = time.monotonic()
        times = self._file_times()
        if started < self._not_before or (self._files and times == self._times):
            return frozenset()
        marks = dict(run_marks(self._database))
        changed = {run_id for run_id, mark in marks.items() if self._marks.get(run_id) != mark}
        changed |= self._marks.keys() - marks.keys()
        self._marks, self._times = marks, times
        took = time.monotonic() - started
        self._not_before = started + max(_REST * took, 0.0 if self._files else _SERVER_EVERY)
        return frozenset(changed)

    def know(self, run_ids: Iterable[int]) -> None:
        """Take what these runs are by now as known."""
        marks = run_marks(self._database)
        self._marks |= {run_id: marks[run_id] for run_id in run_ids if run_id in marks}

    def _file_times(self) -> tuple[int, ...]:
        found = []
        for file in self._files:
            with suppress(OSError):
                about = file.stat()
                found += [about.st_mtime_ns, about.st_size]
        return tuple(found)
