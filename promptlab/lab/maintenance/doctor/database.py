"""Checks the database itself: readable, undamaged, of this schema, and without dangling foreign keys."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from promptlab.errors import WorkspaceError, one_line
from promptlab.lab.maintenance.doctor.findings import Finding, FindingKind
from promptlab.store.database import Database
from promptlab.store.migrate import HEAD, check
from promptlab.store.sqlite import lacks_room
from promptlab.workspace import Workspace

__all__ = ["check_readable", "check_references"]

_FROM_IMAGES = "promptlab import images"


def check_readable(workspace: Workspace, database: Database) -> Iterator[Finding]:
    """Yield what keeps the rows from being read at all.

    Raises:
        WorkspaceError: when a newer PromptLab wrote them, or a server is away; that is no damage.
    """
    name, file = _name(workspace, database), database.file
    if file is not None:
        damage = _damage(database)
        if damage is not None:
            full = lacks_room(file.parent)  # nothing is broken then, and there is no room to mend it in
            yield Finding(
                kind=FindingKind.DATABASE, subject=name, problem=damage,
                remedy="df -h ." if full else _remedy(workspace, database),
            )  # fmt: skip
            return
    if not database.is_begun:
        if any((workspace.root / "images").glob("*/*.png")):
            yield Finding(
                kind=FindingKind.DATABASE, subject=name, problem="not there, though pictures are",
                remedy=(file and _restore_command(workspace, file)) or _FROM_IMAGES,
            )  # fmt: skip
        return
    revision = database.revision()
    check(revision, database.name)
    if revision is not None and revision != HEAD:
        yield Finding(
            kind=FindingKind.SCHEMA, subject=name, remedy="promptlab db upgrade", fixable=True,
            problem=f"of the older schema {revision}; this PromptLab writes {HEAD}",
        )  # fmt: skip


def check_references(workspace: Workspace, database: Database) -> Iterator[Finding]:
    """Yield a finding for each foreign key that points at rows that do not exist."""
    for table, count, parent in database.dangling_rows():
        yield Finding(
            kind=FindingKind.DATABASE, subject=_name(workspace, database), remedy=_remedy(workspace, database),
            problem=f"{count} row{'s' if count > 1 else ''} of {table} that point at no row of {parent}",
        )  # fmt: skip


def _damage(database: Database) -> str | None:
    """Return what is wrong with a database file that exists, or None."""
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
    """Return a file's path as it is typed in the workspace's folder, where remedies are run."""
    return workspace.relative(file) if file.is_relative_to(workspace.root) else str(file)


def _remedy(workspace: Workspace, database: Database) -> str:
    """Return the command that restores lost rows: from the newest backup, or from the images."""
    file = database.file
    if file is None:
        return _FROM_IMAGES
    return _restore_command(workspace, file) or f"{_set_aside_command(workspace, file)}; {_FROM_IMAGES}"


def _restore_command(workspace: Workspace, file: Path) -> str | None:
    backups = sorted(file.parent.glob(f"{file.name}.*.bak"), key=lambda path: path.stat().st_mtime)
    if not backups:
        return None
    away = f"{_set_aside_command(workspace, file)}; " if file.exists() else ""
    return f"{away}cp {shlex.quote(_from(workspace, backups[-1]))} {shlex.quote(_from(workspace, file))}"


def _set_aside_command(workspace: Workspace, file: Path) -> str:
    """Return the command that moves the file away with its write-ahead log.

    Beside another database that log would be taken for its own.
    """
    names = [file.with_name(file.name + end) for end in ("", "-wal", "-shm")]
    there = [shlex.quote(_from(workspace, name)) for name in names if name.exists()]
    return f"mkdir -p damaged; mv {' '.join(there)} damaged/"
