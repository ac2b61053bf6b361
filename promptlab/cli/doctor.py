"""Carries out ``promptlab doctor``: checks that database, image files and MLflow agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from promptlab.cli.cluster import cluster_option, typed_workers
from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.findings import finding_lines
from promptlab.cli.render.layout import counted
from promptlab.cli.render.nodes import node_lines
from promptlab.cli.render.server_status import status_lines
from promptlab.cli.warm import status_here
from promptlab.records import plain

if TYPE_CHECKING:
    from promptlab.cluster.nodes import NodeFacts

__all__ = ["doctor"]


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option(
    "--deep", is_flag=True, help="Read all pictures and weights anew that were read before: gigabytes, minutes."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@cluster_option("Say what each machine of a Ray cluster has, too: HOST:PORT of its head, or auto.")
@workspace_options
@tracking_option
def doctor(fix: bool, deep: bool, as_json: bool, workspace: str | None, tracking_uri: str | None) -> int:
    """Check that database, image files and MLflow agree; print the command that fixes each problem.

    Looked at: the database's pages and rows; every picture's file, pixels and own words; grids, stray and half-written
    files; what MLflow shows of every run. --fix deletes no picture and no row: lost pictures are put back from MLflow's
    copy or marked for resume, grids are drawn again, MLflow is told again. The exit code is 0 when nothing is left. A
    server that keeps a model warm is shown with the memory that it holds.
    """
    lab = open_lab(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        found = lab.maintenance.doctor(deep=deep, watch=progress)
        left = lab.maintenance.fix(found, watch=progress) if fix and found else found
        if deep:
            weights = lab.maintenance.check_weights(watch=progress)
            found, left = found + weights, left + weights
    server, nodes = status_here(), _nodes()
    mended = [finding for finding in found if finding not in left]
    if as_json:
        told = {
            "mended": plain(mended),
            "findings": plain(left),
            **({} if server is None else {"server": plain(server)}),
            **({} if nodes is None else {"cluster": plain(nodes)}),
        }
        echo(json.dumps(told, indent=2, ensure_ascii=False, default=str))
    else:
        for line in finding_lines(left, mended, lab.workspace, fixing=fix):
            echo(line)
        if not left:
            runs, pictures = lab.history.count()
            echo(f"healthy: {counted(runs, 'run')}, {counted(pictures, 'picture')}, and MLflow agree")
        for line in () if server is None else status_lines(server):
            echo(line)
        for line in () if nodes is None else node_lines(nodes):
            echo(line)
    return 1 if left else 0


def _nodes() -> tuple[NodeFacts, ...] | None:
    """Return the machines of the cluster that was named; None where none was."""
    asked = typed_workers()
    if asked is None or asked.cluster is None:
        return None
    from promptlab.cluster.nodes import survey_nodes

    return survey_nodes(asked.cluster)
