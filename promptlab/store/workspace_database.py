"""Chooses the database of a workspace: its own file, or the one that an address names."""

from __future__ import annotations

from pathlib import Path

from promptlab.store.database import Database
from promptlab.store.sqlite import SqliteDatabase
from promptlab.workspace import Workspace

__all__ = ["database_of"]


def database_of(workspace: Workspace) -> Database:
    """Return where the rows of ``workspace`` are. Opens nothing.

    Raises:
        InputError: when its address is none.
    """
    if workspace.database_url is None:
        return SqliteDatabase(workspace.database)
    from promptlab.store.address import read_address

    address = read_address(workspace.database_url)
    if isinstance(address, Path):
        return SqliteDatabase(address)
    from promptlab.store.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(address)
