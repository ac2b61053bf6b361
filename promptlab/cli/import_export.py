"""``promptlab import`` and ``export``: pictures taken in by what they say of themselves, and given to others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.param_types import integer
from promptlab.cli.paths import elsewhere, shown_path
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.text import counted
from promptlab.errors import InputError, UnknownValue
from promptlab.records import plain
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.lab.maintenance.scan import ImportResult

__all__ = ["export", "import_pictures"]


@click.command("import")
@click.argument("paths", nargs=-1, metavar="FILE|FOLDER...")
@click.option(
    "--experiment",
    default="imported",
    show_default=True,
    metavar="NAME",
    help="Of other programs' pictures; PromptLab's say theirs.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
def import_pictures(paths: tuple[str, ...], experiment: str, as_json: bool, workspace: str | None) -> None:
    """Take pictures in by what they say of themselves: PromptLab's own, or others', to go on from them.

    Read as data: PNG, JPEG and WebP of PromptLab, AUTOMATIC1111 (and those that write as it does), InvokeAI, ComfyUI,
    Fooocus and dgenerate. What could not be carried over is listed. Grids beside the pictures bring back whole runs.

    \b
    promptlab import picture.png
    promptlab import images/             (a lost mlflow.db, written anew)
    """
    if not paths:
        raise InputError("FILE", problem="is missing", allowed="pictures, or folders of them",
                         hint="promptlab import picture.png")  # fmt: skip
    lab = open_lab(workspace)
    with ProgressDisplay(lab.workspace) as progress:
        taken = lab.maintenance.import_images(paths, experiment=experiment, watch=progress)
    if as_json:
        click.echo(json.dumps([plain(one) for one in taken], indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(taken, lab.workspace)))


@click.command()
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N")
@click.option("--to", metavar="FOLDER|FILE.zip", help="Not there yet. [default: run-00003, here; a picture's own name]")
@click.option("--format", "kind", metavar="png|jpeg|webp", help="Of the pictures. [default: png, or as --to ends]")
@click.option(
    "--quality",
    type=integer("--quality", "92"),
    default=92,
    show_default=True,
    metavar="1-100",
    help="Of JPEG and WebP.",
)
@click.option("--lossless", is_flag=True, help="WebP with the very same pixels.")
@workspace_options
def export(ref: str, to: str | None, kind: str | None, quality: int, lossless: bool, workspace: str | None) -> None:
    """Write a run, a sweep or a picture to files that need no workspace.

    A run is its pictures, grid, report, an experiment file that makes it again, and all records as JSON and CSV. JPEG
    and WebP carry in their EXIF what the PNGs say of themselves.

    \b
    promptlab export last
    promptlab export 3 --to chief.zip --format webp --lossless
    promptlab export 3/12 --to chief.jpg
    """
    from promptlab.lab.maintenance.export import FORMATS, ImageFormat

    endings = {**{ending: name for name, ending in FORMATS.items()}, ".jpeg": "jpeg"}
    target = None if to is None else Path(to)
    asked = kind or endings.get(target.suffix.lower() if target else "", "png")
    if asked not in FORMATS:
        raise UnknownValue("--format", asked, FORMATS, hint="--format jpeg")
    picture = ImageFormat(format=asked, quality=quality, lossless=lossless)
    lab = open_lab(workspace)
    done = lab.maintenance.export(ref, target, picture=picture)
    click.echo(f"{counted(done.pictures, 'picture')}: {shown_path(done.path.absolute())}")


def _lines(taken: Sequence[ImportResult], workspace: Workspace) -> Iterator[str]:
    for one in taken:
        run = one.run
        if run is None:
            yield f"{one.file}: {one.problem}"
        elif not one.files and not one.new:
            yield f"run {run.id}: " + ("is here already" if not run.owed else "its pictures can be made again")
        elif run.origin is None or run.origin.program == "PromptLab":
            yield f"run {run.id}: {counted(one.files, 'picture')} taken in ({run.experiment})"
        else:
            yield f"run {run.id}: {run.origin.file}, made by {run.origin.program}"
            yield from (f"  not carried over: {loss}" for loss in run.origin.lost)
        if run is not None and run.owed:
            yield f"  {counted(len(run.owed), 'picture')} owed; type: promptlab resume {run.id}{elsewhere(workspace)}"
    foreign = [one.run for one in taken if one.run and one.run.origin and one.run.origin.program != "PromptLab"]
    if foreign:
        yield f"next: promptlab rerun {foreign[-1].id} --model MODEL{elsewhere(workspace)}"
