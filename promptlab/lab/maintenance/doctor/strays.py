"""Files that no row knows: pictures that rows may have lost, and what a killed process left behind."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError
from promptlab.lab.maintenance.doctor.findings import Finding, Kind
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.records import RunRecord
    from promptlab.store.notebook import Notebook

__all__ = ["leftovers", "orphans"]

_AGE: Final = 600.0
"""Seconds after which a file that is half written is taken for left: the longest write takes a few."""

_USELESS: Final = ("damaged", "a second copy")
"""Findings of which nothing is lost with the file."""

_OURS: Final = re.compile(r"grid(-\d+)?\.png|effect\.png|diff-.*\.png")
"""Pictures that are drawn from others."""


def orphans(workspace: Workspace, notebook: Notebook | None, known: Set[str], busy: Set[str]) -> Iterator[Finding]:
    """Pictures below ``images/`` that no row points at.

    Args:
        known: the paths that rows point at, or will when they are made.
        busy: folders of runs that are being made at this moment, by their names.
    """
    home = workspace.root / "images"
    for path in sorted(home.rglob("*.png")) if home.is_dir() else ():
        where = workspace.relative(path)
        if where in known or path.name.startswith(".") or path.parent.name in busy or _OURS.fullmatch(path.name):
            continue
        problem = _orphaned(path, notebook)
        if problem is not None:
            command = "rm" if problem.startswith(_USELESS) else "promptlab import"
            yield Finding(kind=Kind.ORPHAN, subject=where, problem=problem, remedy=f"{command} {where}", path=where)


def _orphaned(path: Path, notebook: Notebook | None) -> str | None:
    """Why no row points at the picture; ``None`` when that is in order."""
    from promptlab.images.metadata import self_description

    try:
        told = self_description(path)
    except InputError as error:
        return f"damaged, and of no row: it {error.problem}"
    if told is None:
        return "of no row, and it does not say where it comes from"
    run = None if notebook is None else notebook.run_by_uid(told.run_uid)
    if run is None:
        return f"of no row: its run {told.run_uid[:8]}… is not in the notebook"
    return _misplaced(run, told.position, path)


def _misplaced(run: RunRecord, position: int, path: Path) -> str:
    from promptlab.images.png import pixel_sha256, read_pixels

    if position >= len(run.images):
        return f"of no row: run {run.id} has {len(run.images)} pictures"
    image = run.images[position]
    same = image.pixel_sha256 == pixel_sha256(read_pixels(path))
    copy = "a second copy of" if same else "of no row: it says that it is"
    return f"{copy} image {image.ref}" + (f", which is {image.path}" if image.path else "")


def leftovers(workspace: Workspace, busy: Callable[[int], bool]) -> Iterator[Finding]:
    """Files that a process wrote to and never finished.

    Args:
        busy: whether a run is being made at this moment: then its files are none of ours.
    """
    root = workspace.root
    if not root.is_dir():
        return
    found = [*root.glob("images/*/.*.tmp"), *root.glob("images/*/*.part")]
    found += [*root.glob("mlartifacts/**/.*.part"), *root.glob(f"{workspace.database.name}.*.part")]
    for path in sorted({*found, *root.glob(".upload-*")}):
        in_run = re.fullmatch(r"\d{5,}", path.parent.name) and path.parent.parent.name == "images"
        if busy(int(path.parent.name)) if in_run else _young(path):
            continue
        where = workspace.relative(path)
        yield Finding(
            kind=Kind.LEFTOVER, subject=where, problem="left half written by a process that was stopped",
            remedy="promptlab doctor --fix", fixable=True, path=where,
        )  # fmt: skip


def _young(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _AGE
    except FileNotFoundError:
        return True
