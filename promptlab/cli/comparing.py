"""Carries out ``promptlab compare`` and ``best``: votes and rankings."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from promptlab.cli.completing import complete_experiments, complete_runs
from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_picture
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.paths import shown_path
from promptlab.cli.render.csv import CsvForm, check_one_format, csv_lines, csv_options
from promptlab.cli.render.ranking import kept_votes_line, ranking_lines, ranking_rows, verdict_line
from promptlab.cli.telling import tell, wait_option
from promptlab.errors import InputError

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.store.rated_images import RatedImage, RatedImages

__all__ = ["best", "compare"]


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="RUN|last|sweep:N...", shell_complete=complete_runs)
@click.option("--pairs", type=integer("--pairs", "10"), default=10, show_default=True, help="Ask about so many pairs.")
@click.option("--votes", metavar="LINE", help="Keep the votes that were given in a report, and ask nothing.")
@wait_option
@workspace_options
@tracking_option
def compare(
    refs: tuple[str, ...], pairs: int, votes: str | None, wait: bool, workspace: str | None, tracking_uri: str | None
) -> None:
    """Ask which of two pictures is better: pairs of one seed, other words or settings; then rank them.

    Answer a or b, = when neither is, q to stop. Every answer is kept at once. The pairs asked about are those that met
    least often and stand closest; the ranking is Bradley and Terry's, with 95 % intervals. Reports ask as well (V), and
    give a line with --votes to type here; typed twice it says nothing new.

    \b
    promptlab compare last
    promptlab compare sweep:2 --pairs 20
    promptlab compare 3 4
    """
    if pairs < 0:
        raise InputError("--pairs", pairs, problem="is too small", allowed="0 (only the ranking) or more",
                         hint="--pairs 10")  # fmt: skip
    from promptlab.lab.preferences.leaderboard import contender, next_pair, ranked

    lab = open_lab(workspace, tracking_uri)
    if votes is not None:
        pairs = 0
        kept = lab.ratings.cast_votes(refs, votes, tell=False)
        echo(kept_votes_line(kept))
        if kept["new"] or kept["changed"]:
            tell(lab, tracking_uri, wait=wait)
    said = lab.ratings.rated_images(refs, every=True)
    every = said.images.values()
    runs, variants = len({one.run_id for one in every}), len({(one.label, one.prompt) for one in every})
    names = {one.source: contender(one, runs=runs, variants=variants) for one in every}
    compared = _ask_about(lab, refs, said, names, pairs)
    if compared:
        tell(lab, tracking_uri, wait=wait)
        said = lab.ratings.rated_images(refs, every=True)
    ranking = ranked(said, names)
    if not ranking.standings:
        why = "there is nothing to compare: pictures of one seed with other words or settings" if not compared else ""
        echo("no votes yet" + (f"; {why}" if next_pair(said, names) is None else ""))
        return
    echo("\n".join([*ranking_lines("CONTENDER", ranking), verdict_line(ranking)]))


def _ask_about(lab: Lab, refs: Sequence[str], said: RatedImages, names: Mapping[int, str], pairs: int) -> int:
    """Ask about up to ``pairs`` pairs and keep each answer at once; return how many answers there were."""
    from promptlab.lab.preferences.leaderboard import next_pair

    for number in range(1, pairs + 1):
        pair = next_pair(said, names)
        answer = None if pair is None else _asked(lab, pair, f"{number}/{pairs}")
        if pair is None or answer is None:
            return number - 1
        winner, loser = pair if answer != "b" else pair[::-1]
        lab.ratings.vote(winner.ref, loser.ref, tie=answer == "=")
        said = lab.ratings.rated_images(refs, every=True)
    return pairs


def _asked(lab: Lab, pair: tuple[RatedImage, RatedImage], place: str) -> str | None:
    """Return the answer, ``a``, ``b`` or ``=``; ``None`` when it is enough."""
    echo(f"pair {place}, seed {pair[0].seed}")
    for letter, one in zip("ab", pair, strict=True):
        path = None if one.path is None else lab.workspace.root / one.path
        echo(f"  {letter}  {one.ref}  {'' if path is None else shown_path(path)}")
        if path is not None:
            show_picture(path)
    while True:
        echo("better: a, b, = (neither), q (enough)? ", nl=False)
        answer = _key()
        echo(answer)
        if answer in ("a", "b", "="):
            return answer
        if answer in ("q", ""):
            return None


def _key() -> str:
    """Return one key where somebody types; else the next line, without which it is enough."""
    if sys.stdin.isatty():
        try:
            return click.getchar().strip().lower() or "?"
        except EOFError:
            return ""
    line = sys.stdin.readline()
    return (line.strip().lower() or "?") if line else ""


@click.command()
@click.argument("refs", nargs=-1, metavar="[RUN|last|sweep:N]...", shell_complete=complete_runs)
@click.option("--by", default="scheduler", show_default=True, metavar="SETTING|variant|word|seed",
              help="What is asked about: a setting, such as steps or vae, wordings, words or seeds.")  # fmt: skip
@click.option(
    "--experiment", metavar="NAME", shell_complete=complete_experiments, help="Only pictures of this experiment."
)
@click.option("--score", metavar="SCORER", help="By what a model scored, such as pickscore, not by votes and stars.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@csv_options()
@workspace_options
def best(
    refs: tuple[str, ...],
    by: str,
    score: str | None,
    experiment: str | None,
    as_json: bool,
    as_csv: CsvForm | None,
    workspace: str | None,
) -> None:
    """Rank the values of a setting, wordings, words or seeds by all votes and stars.

    LIKED is how often a value is liked better than the average other, with its 95 % interval. A winner is only named
    with 10 votes at least and a lead whose 95 % interval excludes none. Stars count as votes between pictures that
    agree in all else that matters.

    \b
    promptlab best --by scheduler
    promptlab best --by word --experiment warriors
    promptlab best sweep:2 --by steps --json
    promptlab best --by scheduler --score pickscore
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    found = open_lab(workspace).ratings.best(by, refs, experiment=experiment, score=score)
    means = ("stars", "rated") if score is None else ("score", "scored")
    if as_json:
        told = {"by": by, "winner": found.ranking.winner, "votes": found.ranking.votes, "lead": found.ranking.lead,
                "verdict": verdict_line(found.ranking, found.score), "values": list(ranking_rows(found))}  # fmt: skip
        echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif as_csv:
        columns = ("value", "liked", "low", "high", "won", "lost", "tied", *means)
        echo(csv_lines(columns, ranking_rows(found), as_csv))
    else:
        lines = ranking_lines(by.upper(), found.ranking, found) if found.ranking.standings or found.stars else []
        echo("\n".join([*lines, verdict_line(found.ranking, found.score)]))
