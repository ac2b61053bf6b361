"""Locks runs and sweeps on a PostgreSQL server, where file locks would not hold: among machines.

They are the server's own advisory locks, of one connection that is kept while it has any. The server releases them when
that ends, however its process does; of a machine that is gone without a word it learns within a minute. Nothing is
written, so nothing is left.

Source: PostgreSQL's manual, *Explicit locking: advisory locks*, and the view ``pg_locks``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from promptlab.errors import StoreError
from promptlab.store.database import store_errors
from promptlab.store.lock_table import LockKind, LockTable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["AdvisoryLocks"]

_CLASSES: Final = {"beginning": 0x706C6201, "run": 0x706C6202, "sweep": 0x706C6203}
"""The first of the two numbers of a lock: ``plb`` and the kind. Other programs on the database take others."""

_ASKED: Final = 0.05
"""Seconds between two tries."""

_TAKE: Final = "SELECT pg_try_advisory_lock(:kind, :number)"
_RELEASE: Final = "SELECT pg_advisory_unlock(:kind, :number)"
_HOLDERS: Final = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = :kind AND objid = :number
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_KEPT_ALIVE: Final = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")


class AdvisoryLocks(LockTable):
    """Keeps locks on a server.

    Args:
        engine: gives the engine on the server.
    """

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._held = 0
        self._using = threading.Lock()

    def take(self, kind: LockKind, number: int, *, timeout: float) -> bool:
        """See :meth:`LockTable.take`."""
        until = time.monotonic() + timeout
        while not self._ask(_TAKE, kind, number, more=1):
            if time.monotonic() > until:
                return False
            time.sleep(_ASKED)
        return True

    def release(self, kind: LockKind, number: int) -> None:
        """See :meth:`LockTable.release`. A server that is gone has released it by that."""
        with suppress(StoreError):
            self._ask(_RELEASE, kind, number, more=-1)

    def is_held(self, kind: LockKind, number: int) -> bool:
        """See :meth:`LockTable.is_held`."""
        return self._ask(_HOLDERS, kind, number) is not None

    def close(self) -> None:
        """Release all."""
        with self._using:
            if self._connection is not None:
                self._connection.invalidate()
                self._connection.close()
            self._connection, self._held = None, 0

    def _ask(self, statement: str, kind: LockKind, number: int, *, more: int = 0) -> object:
        """Ask on the connection that has the locks; it is given back as soon as it has none.

        Args:
            more: locks that it has afterwards, where the answer is yes.
        """
        from sqlalchemy import text

        with self._using, store_errors("locking on the server"):
            if self._connection is None:
                self._connection = self._engine().connect().execution_options(isolation_level="AUTOCOMMIT")
                for setting in _KEPT_ALIVE:
                    self._connection.exec_driver_sql(f"SET {setting}")
            try:
                asked = {"kind": _CLASSES[kind], "number": number}
                answer = self._connection.execute(text(statement), asked).scalar()
            except BaseException:
                if self._held <= 0 and not self._connection.invalidated:
                    self._connection.invalidate()  # it may have the lock all the same: it must not be used again
                raise
            else:
                self._held += more if answer else 0
                return answer
            finally:
                if self._held <= 0 or self._connection.invalidated:
                    self._connection.close()
                    self._connection, self._held = None, 0
