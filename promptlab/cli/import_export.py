"""Carries out ``promptlab import`` and ``export``: image files become runs, and runs become files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.paths import shown_path
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.imported import import_lines
from promptlab.cli.render.layout import counted
from promptlab.errors import InputError, UnknownValue
from promptlab.records import plain

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

    Read as data: PNG, JPEG and WebP of PromptLab, AUTOMATIC1111 (and those that write as it does), Civitai, ComfyUI,
    InvokeAI, Fooocus, SwarmUI, NovelAI, Draw Things and dgenerate. What could not be carried over is listed. Grids
    beside the pictures bring back whole runs.

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
        echo(json.dumps([plain(one) for one in taken], indent=2, ensure_ascii=False))
    else:
        echo("\n".join(import_lines(taken, lab.workspace)))


@click.command()
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N", shell_complete=complete_refs)
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
@click.option("--csv-raw", "raw_csv", is_flag=True,
              help="images.csv for programs: texts that a spreadsheet would compute stay as they are.")  # fmt: skip
@workspace_options
def export(
    ref: str, to: str | None, kind: str | None, quality: int, lossless: bool, raw_csv: bool, workspace: str | None
) -> None:
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
    done = lab.maintenance.export(ref, target, image_format=picture, raw_csv=raw_csv)
    echo(f"{counted(done.pictures, 'picture')}: {shown_path(done.path.absolute())}")
