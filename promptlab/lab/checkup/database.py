"""The database file itself: sound, of this schema, and without rows that point nowhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from promptlab.errors import WorkspaceError, one_line
from promptlab.lab.checkup.findings import Finding, Kind
from promptlab.store.glance import revision_of
from promptlab.store.integrity import broken_pages, dangling_rows
from promptlab.store.migrate import HEAD, check
from promptlab.workspace import Workspace

__all__ = ["unreadable", "unsound"]


def unreadable(workspace: Workspace) -> Iterator[Finding]:
    """What keeps the rows from being read at all.

    Raises:
        WorkspaceError: when a newer PromptLab wrote the file; that is no damage.
    """
    name = workspace.database.name
    if not workspace.database.exists():
        if any((workspace.root / "images").glob("*/*.png")):
            yield Finding(
                kind=Kind.DATABASE, subject=name, problem="not there, though pictures are",
                remedy=_put_back(workspace) or "promptlab import images",
            )  # fmt: skip
        return
    try:
        revision = revision_of(workspace.database)
    except WorkspaceError as error:
        yield Finding(kind=Kind.DATABASE, subject=name, problem=error.problem, remedy=_mended(workspace))
        return
    broken = broken_pages(workspace.database)
    if broken:
        problem = f"damaged: {one_line(broken[0], limit=120)}"
        problem += f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        yield Finding(kind=Kind.DATABASE, subject=name, problem=problem, remedy=_mended(workspace))
        return
    check(revision, str(workspace.database))
    if revision is not None and revision != HEAD:
        yield Finding(
            kind=Kind.SCHEMA, subject=name, problem=f"of the older schema {revision}; this PromptLab writes {HEAD}",
            remedy="promptlab db upgrade", fixable=True,
        )  # fmt: skip


def unsound(workspace: Workspace) -> Iterator[Finding]:
    """Rows that point at rows that are not there."""
    for table, count, parent in dangling_rows(workspace.database):
        yield Finding(
            kind=Kind.DATABASE, subject=workspace.database.name, remedy=_mended(workspace),
            problem=f"{count} row{'s' if count > 1 else ''} of {table} that point at no row of {parent}",
        )  # fmt: skip


def _mended(workspace: Workspace) -> str:
    """What to type when rows are lost: the newest backup, or the pictures."""
    return _put_back(workspace) or f"{_put_away(workspace)}; promptlab import images"


def _put_back(workspace: Workspace) -> str | None:
    name = workspace.database.name
    backups = sorted(workspace.root.glob(f"{name}.*.bak"), key=lambda path: path.stat().st_mtime)
    if not backups:
        return None
    away = f"{_put_away(workspace)}; " if workspace.database.exists() else ""
    return f"{away}cp {shlex.quote(backups[-1].name)} {name}"


def _put_away(workspace: Workspace) -> str:
    """The file with its write-ahead log: beside another database that log would be taken for its own."""
    names = [workspace.database.name + end for end in ("", "-wal", "-shm")]
    there = [name for name in names if (workspace.root / name).exists()]
    return f"mkdir -p damaged; mv {' '.join(there)} damaged/"
