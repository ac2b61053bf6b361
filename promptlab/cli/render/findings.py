"""Renders what ``promptlab doctor`` found, and the command that fixes each finding. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from promptlab.cli.paths import elsewhere, folder_elsewhere
from promptlab.cli.render.layout import counted
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.maintenance.doctor.findings import Finding

__all__ = ["finding_lines"]


def finding_lines(
    left: Sequence[Finding], mended: Sequence[Finding], workspace: Workspace, *, fixing: bool
) -> Iterator[str]:
    """Yield each finding in a line, below it what to type; then how many there are."""
    for finding in mended:
        yield f"mended: {finding.subject}: {finding.problem}"
    for finding in left:
        yield f"{finding.subject}: {finding.problem}"
        if finding.remedy is not None:
            yield f"  type: {_command(finding.remedy, workspace)}"
    if left:
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(str(finding.kind) for finding in left).items())
        fixable = sum(finding.fixable for finding in left)
        offer = (
            "" if fixing or not fixable else f"; promptlab doctor --fix{elsewhere(workspace)} does {fixable} of them"
        )
        yield f"{counted(len(left), 'finding')}: {kinds}{offer}"


def _command(remedy: str, workspace: Workspace) -> str:
    """Return the remedy as it works from here: its paths are the workspace's."""
    folder, commands = folder_elsewhere(workspace), remedy.split("; ")
    if all(command.startswith("promptlab ") and "/" not in command for command in commands):
        return "; ".join(command + elsewhere(workspace) for command in commands)
    return remedy if folder is None else f"cd {folder}; {remedy}"
