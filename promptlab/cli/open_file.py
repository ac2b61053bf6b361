"""Carries out ``promptlab open``: a run or a picture on its page, or in the system's own viewer."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from promptlab.cli.context import open_lab, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.paths import shown_path
from promptlab.cli.warm import page_of
from promptlab.errors import InputError, NotFound, PromptLabError

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.serving.messages import PageAddress

__all__ = ["has_screen", "open_file", "show_page"]


@click.command("open")
@click.argument("ref", metavar="RUN|last|IMAGE|sweep:N")
@click.option("--report", is_flag=True, help="The report instead of the grid.")
@click.option("--file", "as_file", is_flag=True, help="The file, also while 'promptlab ui' has the page open.")
@workspace_options
def open_file(ref: str, report: bool, as_file: bool, workspace: str | None) -> None:
    """Open the grid of a run (3, last), a picture (3/12) or a sweep's overview (sweep:2) in a viewer.

    While 'promptlab ui' has the page of the workspace open, all of these are opened there. Says the file's path or
    the address, also where there is no screen to open it on.
    """
    lab = open_lab(workspace)
    found = None if report or as_file else _page_address(lab, ref)
    if found is not None:
        address, place = found
        echo(address.first(place))
        if has_screen():
            show_page(address, place)
        return
    path = _file(lab, ref, report=report)
    if not path.is_file():
        raise NotFound("file", shown_path(path), hint="promptlab doctor")
    echo(shown_path(path))
    if not has_screen():
        raise PromptLabError("there is no screen here to open it on: neither DISPLAY nor WAYLAND_DISPLAY is set")
    if click.launch(str(path)) != 0:
        raise PromptLabError("no program was found to open it with: xdg-open is not there or failed")


def show_page(address: PageAddress, place: str = "/", more: str = "") -> None:
    """Open the page in the browser, by an address that is good for once: others can read command lines.

    Args:
        place: the path there, ``/run/3``.
        more: what follows in the query.
    """
    from promptlab.page.gate import ticket

    click.launch(replace(address, token=ticket(address.token)).first(place) + more)


def _page_address(lab: Lab, ref: str) -> tuple[PageAddress, str] | None:
    """Return where the page is open, and the path there of what is named; ``None`` where it is not."""
    address = page_of(lab.workspace)
    if address is None:
        return None
    if (sweep_id := lab.history.find_sweep(ref)) is not None:
        runs = lab.history.sweep(sweep_id).runs
        return (address, f"/run/{runs[0].run_id}") if runs else None
    source = lab.history.find(ref)
    return address, f"/run/{source.run.id}" + ("" if source.position is None else f"/{source.position}")


def _file(lab: Lab, ref: str, *, report: bool) -> Path:
    if (sweep_id := lab.history.find_sweep(ref)) is not None:
        lab.history.sweep(sweep_id)  # so that one that is not there is said to be so
        return lab.workspace.sweep_report(sweep_id) if report else lab.workspace.sweep_grid(sweep_id, 1)
    source = lab.history.find(ref)
    if report:
        return lab.workspace.report(source.run.id)
    if source.position is None:
        return lab.workspace.grid(source.run.id)
    image = source.run.images[source.position]
    if image.path is None:
        raise InputError("image", image.ref, problem="is not made yet", hint=f"promptlab resume {image.run_id}")
    return lab.workspace.root / image.path


def has_screen() -> bool:
    """Say whether a viewer has somewhere to draw.

    Where there is nothing, ``xdg-open`` may start a browser made of letters.
    """
    if sys.platform in ("darwin", "win32", "cygwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
