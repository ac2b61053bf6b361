"""Carries out ``promptlab rate`` and ``favourite``: stars and favourites."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.render.rating import rating_text
from promptlab.cli.telling import tell, wait_option
from promptlab.errors import InputError

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.records import ImageRating

__all__ = ["favourite", "rate"]


@click.command()
@click.argument("words", nargs=-1, metavar="IMAGE... STARS", shell_complete=complete_refs)
@wait_option
@workspace_options
@tracking_option
def rate(words: tuple[str, ...], wait: bool, workspace: str | None, tracking_uri: str | None) -> None:
    """Give pictures 1 to 5 stars: in the database, and in MLflow as the metric rating of their variant.

    \b
    promptlab rate 3/12 4
    promptlab rate 3/0 3/1 images/00004/v00-seed1.png 5
    """
    if len(words) < 2:
        raise InputError("STARS", problem="is missing", allowed="an image and 1 to 5 stars",
                         hint="promptlab rate 3/12 4")  # fmt: skip
    *refs, typed = words
    if typed not in tuple("12345"):
        raise InputError("STARS", typed, problem="is out of range", allowed="1 to 5", hint="promptlab rate 3/12 4")
    lab = open_lab(workspace, tracking_uri)
    _say(lab, lab.ratings.rate(refs, int(typed), tell=False), tracking_uri, wait=wait)


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="IMAGE...", shell_complete=complete_refs)
@click.option("--off", is_flag=True, help="They are favourites no more.")
@wait_option
@workspace_options
@tracking_option
def favourite(refs: tuple[str, ...], off: bool, wait: bool, workspace: str | None, tracking_uri: str | None) -> None:
    """Mark pictures as favourites; 'promptlab search --favourite' finds them again.

    \b
    promptlab favourite 3/12 4/0
    promptlab favourite 3/12 --off
    """
    lab = open_lab(workspace, tracking_uri)
    _say(lab, lab.ratings.favourite(refs, favourite=not off, tell=False), tracking_uri, wait=wait)


def _say(lab: Lab, images: Iterable[ImageRating], tracking_uri: str | None, *, wait: bool) -> None:
    """Print how images are rated now, and have MLflow told of it."""
    echo("\n".join(f"{image.ref}  {rating_text(image) or 'no stars, no favourite'}" for image in images))
    tell(lab, tracking_uri, wait=wait)
