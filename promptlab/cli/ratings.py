"""Carries out ``promptlab rate``, ``favourite``, ``compare`` and ``best``: stars, votes, rankings."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_picture
from promptlab.cli.output import echo
from promptlab.cli.param_types import integer
from promptlab.cli.paths import shown_path
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.csv import check_one_format, csv_lines
from promptlab.cli.render.ranking import kept_votes_line, ranking_lines, ranking_rows, verdict_line
from promptlab.cli.render.text import rating_text
from promptlab.errors import InputError
from promptlab.records import ImageRecord

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.store.rated_images import RatedImage, RatedImages

__all__ = ["best", "compare", "favourite", "rate"]


@click.command()
@click.argument("words", nargs=-1, metavar="IMAGE... STARS")
@workspace_options
@tracking_option
def rate(words: tuple[str, ...], workspace: str | None, tracking_uri: str | None) -> None:
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
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        images = lab.ratings.rate(refs, int(typed), watch=progress)
    echo("\n".join(map(_said, images)))


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--off", is_flag=True, help="They are favourites no more.")
@workspace_options
@tracking_option
def favourite(refs: tuple[str, ...], off: bool, workspace: str | None, tracking_uri: str | None) -> None:
    """Mark pictures as favourites; 'promptlab search --favourite' finds them again.

    \b
    promptlab favourite 3/12 4/0
    promptlab favourite 3/12 --off
    """
    lab = open_lab(workspace, tracking_uri)
    with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
        images = lab.ratings.favourite(refs, favourite=not off, watch=progress)
    echo("\n".join(map(_said, images)))


def _said(image: ImageRecord) -> str:
    return f"{image.ref}  {rating_text(image) or 'no stars, no favourite'}"


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="RUN|last|sweep:N...")
@click.option("--pairs", type=integer("--pairs", "10"), default=10, show_default=True, help="Ask about so many pairs.")
@click.option("--votes", metavar="LINE", help="Keep the votes that were given in a report, and ask nothing.")
@workspace_options
@tracking_option
def compare(
    refs: tuple[str, ...], pairs: int, votes: str | None, workspace: str | None, tracking_uri: str | None
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
        with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
            echo(kept_votes_line(lab.ratings.cast_votes(refs, votes, watch=progress)))
    said = lab.ratings.rated_images(refs, every=True)
    every = said.images.values()
    runs, variants = len({one.run_id for one in every}), len({(one.label, one.prompt) for one in every})
    names = {one.source: contender(one, runs=runs, variants=variants) for one in every}
    compared = _ask_about(lab, refs, said, names, pairs) if pairs else ()
    if compared:
        with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
            lab.ratings.publish_votes(compared, watch=progress)
        said = lab.ratings.rated_images(refs, every=True)
    ranking = ranked(said, names)
    if not ranking.standings:
        why = "there is nothing to compare: pictures of one seed with other words or settings" if not compared else ""
        echo("no votes yet" + (f"; {why}" if next_pair(said, names) is None else ""))
        return
    echo("\n".join([*ranking_lines("CONTENDER", ranking), verdict_line(ranking)]))


def _ask_about(
    lab: Lab, refs: Sequence[str], said: RatedImages, names: Mapping[int, str], pairs: int
) -> tuple[str, ...]:
    """Ask about up to ``pairs`` pairs and keep each answer at once; return the images that were voted on."""
    from promptlab.lab.preferences.leaderboard import next_pair

    voted_on: list[str] = []
    for number in range(1, pairs + 1):
        pair = next_pair(said, names)
        answer = None if pair is None else _asked(lab, pair, f"{number}/{pairs}")
        if pair is None or answer is None:
            break
        winner, loser = pair if answer != "b" else pair[::-1]
        lab.ratings.vote(winner.ref, loser.ref, tie=answer == "=")
        voted_on += [winner.ref, loser.ref]
        said = lab.ratings.rated_images(refs, every=True)
    return tuple(dict.fromkeys(voted_on))


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
@click.argument("refs", nargs=-1, metavar="[RUN|last|sweep:N]...")
@click.option("--by", default="scheduler", show_default=True, metavar="SETTING|variant|word|seed",
              help="What is asked about: a setting, such as steps or vae, wordings, words or seeds.")  # fmt: skip
@click.option("--experiment", metavar="NAME", help="Only pictures of this experiment.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
@workspace_options
def best(
    refs: tuple[str, ...], by: str, experiment: str | None, as_json: bool, as_csv: bool, workspace: str | None
) -> None:
    """Rank the values of a setting, wordings, words or seeds by all votes and stars.

    LIKED is how often a value is liked better than the average other, with its 95 % interval. A winner is only named
    with 10 votes at least and a lead whose 95 % interval excludes none. Stars count as votes between pictures that
    agree in all else that matters.

    \b
    promptlab best --by scheduler
    promptlab best --by word --experiment warriors
    promptlab best sweep:2 --by steps --json
    """
    check_one_format(as_json=as_json, as_csv=as_csv)
    found = open_lab(workspace).ratings.best(by, refs, experiment=experiment)
    if as_json:
        told = {"by": by, "winner": found.ranking.winner, "votes": found.ranking.votes, "lead": found.ranking.lead,
                "verdict": verdict_line(found.ranking), "values": list(ranking_rows(found))}  # fmt: skip
        echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif as_csv:
        columns = ("value", "liked", "low", "high", "won", "lost", "tied", "stars", "rated")
        echo(csv_lines(columns, ranking_rows(found)))
    else:
        lines = ranking_lines(by.upper(), found.ranking, found) if found.ranking.standings or found.stars else []
        echo("\n".join([*lines, verdict_line(found.ranking)]))
