"""``promptlab doctor``: rows, pictures and MLflow held against each other, and what to type where they disagree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.paths import elsewhere, folder_elsewhere
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.text import counted
from promptlab.records import plain
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.maintenance.doctor.findings import Finding

__all__ = ["doctor"]


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
@tracking_option
def doctor(fix: bool, as_json: bool, workspace: str | None, tracking_uri: str | None) -> int:
    """Hold database, pictures and MLflow against each other; each finding comes with the command that mends it.

    Looked at: the database's pages and rows; every picture's file, pixels and own words; grids, stray and half-written
    files; what MLflow shows of every run. --fix deletes no picture and no row: lost pictures are put back from MLflow's
    copy or marked for resume, grids are drawn again, MLflow is told again. The exit code is 0 when nothing is left.
    """
    lab = open_lab(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.maintenance.doctor(watch=progress)
        left = lab.maintenance.fix(found, watch=progress) if fix and found else found
    mended = [finding for finding in found if finding not in left]
    if as_json:
        click.echo(json.dumps({"mended": plain(mended), "findings": plain(left)}, indent=2, ensure_ascii=False))
    else:
        for line in _lines(left, mended, lab.workspace, fixing=fix):
            click.echo(line)
        if not left:
            runs, pictures = lab.history.count()
            click.echo(f"healthy: {counted(runs, 'run')}, {counted(pictures, 'picture')}, and MLflow agree")
    return 1 if left else 0


def _lines(left: Sequence[Finding], mended: Sequence[Finding], workspace: Workspace, *, fixing: bool) -> Iterator[str]:
    """A finding a line, and below it what to type; then how many there are."""
    for finding in mended:
        yield f"mended: {finding.subject}: {finding.problem}"
    for finding in left:
        yield f"{finding.subject}: {finding.problem}"
        if finding.remedy is not None:
            yield f"  type: {_typed(finding.remedy, workspace)}"
    if left:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(str(finding.kind) for finding in left).items())
        fixable = sum(finding.fixable for finding in left)
        offer = (
            "" if fixing or not fixable else f"; promptlab doctor --fix{elsewhere(workspace)} does {fixable} of them"
        )
        yield f"{counted(len(left), 'finding')}: {kinds}{offer}"


def _typed(remedy: str, workspace: Workspace) -> str:
    """The remedy as it works from here: its paths are the workspace's."""
    folder, commands = folder_elsewhere(workspace), remedy.split("; ")
    if all(command.startswith("promptlab ") and "/" not in command for command in commands):
        return "; ".join(command + elsewhere(workspace) for command in commands)
    return remedy if folder is None else f"cd {folder}; {remedy}"
