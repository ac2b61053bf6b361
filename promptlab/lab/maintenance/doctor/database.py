"""The database itself: sound, of this schema, and without rows that point nowhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from promptlab.errors import WorkspaceError, one_line
from promptlab.lab.maintenance.doctor.findings import Finding, Kind
from promptlab.store.database import Database
from promptlab.store.migrate import HEAD, check
from promptlab.workspace import Workspace

__all__ = ["unreadable", "unsound"]

_FROM_PICTURES = "promptlab import images"


def unreadable(workspace: Workspace, database: Database) -> Iterator[Finding]:
    """What keeps the rows from being read at all.

    Raises:
        WorkspaceError: when a newer PromptLab wrote them, or a server is away; that is no damage.
    """
    name, file = _name(workspace, database), database.file
    if file is not None:
        broken = _broken(database)
        if broken is not None:
            yield Finding(kind=Kind.DATABASE, subject=name, problem=broken, remedy=_mended(workspace, database))
            return
    if not database.is_begun:
        if any((workspace.root / "images").glob("*/*.png")):
            yield Finding(
                kind=Kind.DATABASE, subject=name, problem="not there, though pictures are",
                remedy=(file and _put_back(workspace, file)) or _FROM_PICTURES,
            )  # fmt: skip
        return
    revision = database.revision()
    check(revision, database.name)
    if revision is not None and revision != HEAD:
        yield Finding(
            kind=Kind.SCHEMA, subject=name, problem=f"of the older schema {revision}; this PromptLab writes {HEAD}",
            remedy="promptlab db upgrade", fixable=True,
        )  # fmt: skip


def unsound(workspace: Workspace, database: Database) -> Iterator[Finding]:
    """Rows that point at rows that are not there."""
    for table, count, parent in database.dangling_rows():
        yield Finding(
            kind=Kind.DATABASE, subject=_name(workspace, database), remedy=_mended(workspace, database),
            problem=f"{count} row{'s' if count > 1 else ''} of {table} that point at no row of {parent}",
        )  # fmt: skip


def _broken(database: Database) -> str | None:
    """What is wrong with a file that is there."""
    if not database.is_begun:
        return None
    try:
        database.revision()
    except WorkspaceError as error:
        return error.problem
    broken = database.broken_pages()
    if not broken:
        return None
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    return f"damaged: {one_line(broken[0], limit=120)}{more}"


def _name(workspace: Workspace, database: Database) -> str:
    return database.name if database.file is None else _from(workspace, database.file)


def _from(workspace: Workspace, file: Path) -> str:
    """A file as it is called in the workspace's folder, in which remedies are typed."""
    return workspace.relative(file) if file.is_relative_to(workspace.root) else str(file)


def _mended(workspace: Workspace, database: Database) -> str:
    """What to type when rows are lost: the newest backup, or the pictures."""
    file = database.file
    if file is None:
        return _FROM_PICTURES
    return _put_back(workspace, file) or f"{_put_away(workspace, file)}; {_FROM_PICTURES}"


def _put_back(workspace: Workspace, file: Path) -> str | None:
    backups = sorted(file.parent.glob(f"{file.name}.*.bak"), key=lambda path: path.stat().st_mtime)
    if not backups:
        return None
    away = f"{_put_away(workspace, file)}; " if file.exists() else ""
    return f"{away}cp {shlex.quote(_from(workspace, backups[-1]))} {shlex.quote(_from(workspace, file))}"


def _put_away(workspace: Workspace, file: Path) -> str:
    """The file with its write-ahead log: beside another database that log would be taken for its own."""
    names = [file.with_name(file.name + end) for end in ("", "-wal", "-shm")]
    there = [shlex.quote(_from(workspace, name)) for name in names if name.exists()]
    return f"mkdir -p damaged; mv {' '.join(there)} damaged/"
