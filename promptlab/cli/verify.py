"""Carries out ``promptlab verify``: makes pictures again and compares every pixel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from promptlab.cli.completing import complete_refs
from promptlab.cli.context import allow_pickle_option, workspace_options
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.verdicts import verdict_lines
from promptlab.cli.warm import open_warm_lab, server_options
from promptlab.errors import InputError, UnknownValue
from promptlab.records import Outcome, plain

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.serving.remote_lab import RemoteLab

__all__ = ["verify"]

_ALLOWED = (Outcome.EXACT, Outcome.CLOSE)


@click.command()
@click.argument("refs", nargs=-1, metavar="[RUN|IMAGE|FILE.png|last|sweep:N]...", shell_complete=complete_refs)
@click.option("--all", "everything", is_flag=True, help="Every picture that was made in this workspace.")
@click.option("--sample", type=integer("--sample", "20"), metavar="N", help="Only N of them, drawn at random.")
@click.option("--allow", default="exact", show_default=True, metavar="exact|close", help="What counts as success.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@workspace_options
@server_options
@allow_pickle_option
def verify(
    refs: tuple[str, ...], everything: bool, sample: int | None, allow: str, as_json: bool, workspace: str | None
) -> int:
    """Make pictures again exactly as recorded, and compare every pixel with what is kept.

    exact: the same bytes. close: the same picture, with a measured difference. different: another one. Where it is not
    exact, what changed in the environment is named. The exit code is 0 only when all are exact.

    \b
    promptlab verify last
    promptlab verify 3/12 images/00004/v00-seed1.png
    promptlab verify --all --sample 20 --allow close
    """
    if allow not in _ALLOWED:
        raise UnknownValue("--allow", allow, _ALLOWED, hint="--allow close")
    if not refs and not everything:
        raise InputError("RUN", problem="is missing", allowed="a run, an image, a file, last, or --all",
                         hint="promptlab verify last")  # fmt: skip
    if sample is not None and sample < 1:
        raise InputError("--sample", sample, problem="is too small", allowed="1 or more", hint="--sample 20")
    lab = open_warm_lab(workspace)
    with ProgressDisplay(lab.workspace) as progress:
        verdicts = lab.verify(refs, everything=everything, sample=sample, watch=progress)
    if as_json:
        echo(json.dumps([plain(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
    else:
        echo("\n".join([*verdict_lines(verdicts), *_not_looked_at(refs, lab)]))
    accepted = _ALLOWED[: _ALLOWED.index(Outcome(allow)) + 1]
    return int(not all(one.verification is not None and one.verification.outcome in accepted for one in verdicts))


def _not_looked_at(refs: Sequence[str], lab: Lab | RemoteLab) -> Iterator[str]:
    """Say what ``last`` leaves out where it is a run of a sweep, which is what was asked for last."""
    run = lab.history.find("last").run if "last" in refs else None
    if run is not None and run.sweep_id is not None and f"sweep:{run.sweep_id}" not in refs:
        runs = len(lab.history.sweep(run.sweep_id).runs)
        if runs > 1:
            yield (
                f"run {run.id} is one of the {runs} runs of sweep {run.sweep_id}; "
                f"type: promptlab verify sweep:{run.sweep_id}"
            )
