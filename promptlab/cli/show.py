"""Carries out ``promptlab show``: what is recorded of a run, an image or a sweep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.inline_pictures import show_option, show_picture, show_run, show_sweep
from promptlab.cli.output import echo
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_options
from promptlab.cli.render.image_csv import images_csv
from promptlab.cli.render.imported import origin_lines
from promptlab.cli.render.records import image_lines, show_lines
from promptlab.cli.render.run_results import sweep_lines
from promptlab.records import plain
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.images.foreign import ForeignMetadata
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.records import SweepRecord

__all__ = ["show"]


@click.command()
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N", shell_complete=complete_refs)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options("The images as CSV, each with its words and setting.")
@show_option
@workspace_options
def show(ref: str, as_json: bool, as_csv: CsvForm | None, show: bool | None, workspace: str | None) -> None:
    """Show everything recorded about a run (3, last), an image (3/12, or its file) or a sweep (sweep:2)."""
    check_one_format(as_json=as_json, as_csv=as_csv)
    lab = open_lab(workspace)
    if Path(ref).is_file() and (told := lab.maintenance.read_file(Path(ref))) is not None:
        echo("\n".join(_told_lines(ref, told, lab.workspace, as_json=as_json)))
        return
    if (sweep_id := lab.history.find_sweep(ref)) is not None:
        sweep = lab.history.sweep(sweep_id)
        if as_json:
            echo(json.dumps({"sweep": plain(sweep)}, indent=2, ensure_ascii=False))
        elif as_csv:
            echo(images_csv((lab.history.find(str(one.run_id)).run for one in sweep.runs), as_csv))
        else:
            show_sweep(lab, sweep_id, [one.run_id for one in sweep.runs], lab.workspace, show)
            echo("\n".join(sweep_lines(sweep, lab.history.list(), lab.workspace, most=len(sweep.runs))))
        return
    source = lab.history.find(ref)
    image = None if source.position is None else source.run.images[source.position]
    if as_json:
        record = {"run": plain(source.run)} | ({} if image is None else {"image": plain(image)})
        echo(json.dumps(record, indent=2, ensure_ascii=False))
    elif as_csv:
        echo(images_csv([source.run], as_csv, source.position))
    elif image is None:
        show_run(source.run, lab.workspace, show)
        echo("\n".join(show_lines(source.run, lab.workspace)))
    else:
        if image.path is not None:
            show_picture(lab.workspace.root / image.path, show)
        echo("\n".join(image_lines(source.run, image, lab.workspace)))


def _told_lines(
    ref: str, told: RunOrImage | SweepRecord | ForeignMetadata, workspace: Workspace, *, as_json: bool
) -> Iterator[str]:
    """Yield what a file says whose run is not in this workspace, and what to type to take it in."""
    from promptlab.expand.experiment_file.writer import write_experiment
    from promptlab.images.foreign import ForeignMetadata
    from promptlab.records import SweepRecord

    if as_json:
        yield json.dumps({"file": ref, "says": plain(told)}, indent=2, ensure_ascii=False)
        return
    if isinstance(told, ForeignMetadata):
        yield from origin_lines(ref, told.program, told.lost)
        yield write_experiment(told.spec.vary(device=None)).rstrip()
    elif isinstance(told, SweepRecord):
        yield f"{ref} is the overview of a sweep of another workspace, and says:"
        yield from sweep_lines(told, (), workspace, most=len(told.runs))[:-2]  # what to type next is for sweeps here
    else:
        yield f"{ref} was made in another workspace, and says:"
        image = None if told.position is None else told.run.images[told.position]
        lines = show_lines(told.run, workspace) if image is None else image_lines(told.run, image, workspace)
        yield from (line for line in lines if not line.startswith("next: "))
    yield f"next: promptlab import {ref}"
