"""``promptlab rate``, ``favourite``, ``compare`` and ``best``: what one thinks of pictures, and what that comes to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from promptlab.cli.context import open_lab, tracking_option, workspace_options
from promptlab.cli.inline_pictures import show_picture
from promptlab.cli.param_types import integer
from promptlab.cli.paths import shown_path
from promptlab.cli.progress import ProgressDisplay
from promptlab.cli.render.csv import check_one_format, csv_lines
from promptlab.cli.render.text import counted, judgement, table
from promptlab.errors import InputError, one_line
from promptlab.records import ImageRecord

if TYPE_CHECKING:
    from promptlab.lab import Lab
    from promptlab.lab.preferences.bradley_terry import Ranking
    from promptlab.lab.preferences.leaderboard import Leaderboard
    from promptlab.store.annotation_writer import VoteChange
    from promptlab.store.rated_images import RatedImage

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
    click.echo("\n".join(map(_said, images)))


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
    click.echo("\n".join(map(_said, images)))


def _said(image: ImageRecord) -> str:
    return f"{image.ref}  {judgement(image) or 'no stars, no favourite'}"


@click.command()
@click.argument("refs", nargs=-1, required=True, metavar="RUN|last|sweep:N...")
@click.option("--pairs", type=integer("--pairs", "10"), default=10, show_default=True, help="Ask about so many pairs.")
@click.option("--votes", metavar="LINE", help="Keep the votes that were given in a report, and ask nothing.")
@workspace_options
@tracking_option
def compare(
    refs: tuple[str, ...], pairs: int, votes: str | None, workspace: str | None, tracking_uri: str | None
) -> None:
    """Which of two pictures is better? Pairs of one seed, of other words or settings; then their ranking.

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
            click.echo(_kept(lab.ratings.cast_votes(refs, votes, watch=progress)))
    said = lab.ratings.rated_images(refs, every=True)
    every = said.pictures.values()
    runs, variants = len({one.run_id for one in every}), len({(one.label, one.prompt) for one in every})
    names = {one.source: contender(one, runs=runs, variants=variants) for one in every}
    seen: list[str] = []
    for number in range(1, pairs + 1):
        pair = next_pair(said, names)
        answer = None if pair is None else _asked(lab, pair, f"{number}/{pairs}")
        if pair is None or answer is None:
            break
        winner, loser = pair if answer != "b" else pair[::-1]
        lab.ratings.vote(winner.ref, loser.ref, tie=answer == "=")
        seen += [winner.ref, loser.ref]
        said = lab.ratings.rated_images(refs, every=True)
    if seen:
        with ProgressDisplay(lab.workspace, tracking_uri=lab.tracking_uri) as progress:
            lab.ratings.publish_votes(tuple(dict.fromkeys(seen)), watch=progress)
    ranking = ranked(said, names)
    if not ranking.standings:
        why = "there is nothing to compare: pictures of one seed with other words or settings" if not seen else ""
        click.echo("no votes yet" + (f"; {why}" if next_pair(said, names) is None else ""))
        return
    click.echo("\n".join([*_ranking_lines("CONTENDER", ranking), _verdict(ranking)]))


def _kept(said: Mapping[VoteChange, int]) -> str:
    """``3 votes kept: 2 new, 1 changed; 4 known already``."""
    fresh = [f"{said[what]} {what}" for what in ("new", "changed") if said.get(what)]
    kept = f"{counted(said.get('new', 0) + said.get('changed', 0), 'vote')} kept: {', '.join(fresh)}" if fresh else ""
    known = f"{counted(said['known'], 'vote')} known already" if said.get("known") else ""
    return "; ".join(filter(None, (kept, known)))


def _asked(lab: Lab, pair: tuple[RatedImage, RatedImage], place: str) -> str | None:
    """``a``, ``b`` or ``=``; ``None`` when it is enough."""
    click.echo(f"pair {place}, seed {pair[0].seed}")
    for letter, one in zip("ab", pair, strict=True):
        path = None if one.path is None else lab.workspace.root / one.path
        click.echo(f"  {letter}  {one.ref}  {'' if path is None else shown_path(path)}")
        if path is not None:
            show_picture(path)
    while True:
        click.echo("better: a, b, = (neither), q (enough)? ", nl=False)
        answer = _key()
        click.echo(answer)
        if answer in ("a", "b", "="):
            return answer
        if answer in ("q", ""):
            return None


def _key() -> str:
    """One key where somebody types; else the next line, without which it is enough."""
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
    """Which value wins, by all votes and stars: of a setting, a wording, a word or a seed.

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
                "verdict": _verdict(found.ranking), "values": list(_rows(found))}  # fmt: skip
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif as_csv:
        columns = ("value", "liked", "low", "high", "won", "lost", "tied", "stars", "rated")
        click.echo(csv_lines(columns, _rows(found)))
    else:
        lines = _ranking_lines(by.upper(), found.ranking, found) if found.ranking.standings or found.stars else []
        click.echo("\n".join([*lines, _verdict(found.ranking)]))


def _rows(found: Leaderboard) -> Iterator[dict[str, Any]]:
    """Every value with what is known of it; those without a vote last."""
    for one in found.ranking.standings:
        yield {"value": one.name, "liked": one.share, "low": one.low, "high": one.high, "won": one.won,
               "lost": one.lost, "tied": one.tied, **_stars(found, one.name)}  # fmt: skip
    ranked = {one.name for one in found.ranking.standings}
    for name in found.stars:
        if name not in ranked:
            yield {"value": name, "liked": None, "low": None, "high": None, "won": 0.0, "lost": 0.0, "tied": 0.0,
                   **_stars(found, name)}  # fmt: skip


def _stars(found: Leaderboard, name: str) -> dict[str, float | int | None]:
    stars = found.stars.get(name)
    return {"stars": stars.mean if stars else None, "rated": stars.rated if stars else 0}


def _ranking_lines(title: str, ranking: Ranking, found: Leaderboard | None = None) -> list[str]:
    from promptlab.lab.preferences.leaderboard import Leaderboard

    found = found or Leaderboard(by="", ranking=ranking, stars={})
    rows = [
        (
            one_line(row["value"], limit=60),
            "-" if row["liked"] is None else f"{row['liked']:.0%}",
            "-" if row["liked"] is None else f"{row['low']:.0%} to {row['high']:.0%}",
            *(f"{row[name]:.4g}" for name in ("won", "lost", "tied")),
            "-" if row["stars"] is None else f"{row['stars']:.1f} of {row['rated']}",
        )
        for row in _rows(found)
    ]
    headers = (title, "LIKED", "95 %", "WON", "LOST", "TIED", "STARS")
    lines = table(headers, rows, right=frozenset({1, 3, 4, 5}))
    return lines if found.stars else table(headers[:-1], [row[:-1] for row in rows], right=frozenset({1, 3, 4, 5}))


def _verdict(ranking: Ranking) -> str:
    """Who wins, from how many votes; or how many are missing, or that the lead may be chance."""
    from promptlab.lab.preferences.bradley_terry import ENOUGH

    how_many = f"{ranking.votes:.4g} vote{'' if ranking.votes == 1 else 's'}"
    if ranking.lead is None or ranking.votes < ENOUGH:
        return f"not enough votes: {how_many} of {ENOUGH} at least; type: promptlab compare last"
    first = ranking.standings[0].name
    ahead = "its lead of {:+.2f} log-odds (95 % {:+.2f} to {:+.2f})".format(*ranking.lead)
    if ranking.winner is None:
        if ranking.lead[0] < 0.005:
            return f"not enough votes: nobody is ahead after {how_many}"
        return f"not enough votes: {first} is ahead after {how_many}, but {ahead} may be chance"
    return f"{first} wins, from {how_many}; {ahead} is no chance"
