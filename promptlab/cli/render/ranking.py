"""Renders rankings of images, and what became of votes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from promptlab.cli.render.layout import counted, table
from promptlab.errors import one_line
from promptlab.records.scorers import score_text

if TYPE_CHECKING:
    from promptlab.lab.preferences.bradley_terry import Ranking
    from promptlab.lab.preferences.leaderboard import Leaderboard
    from promptlab.store.annotation_writer import VoteChange

__all__ = ["kept_votes_line", "ranking_lines", "ranking_rows", "verdict_line"]


def kept_votes_line(said: Mapping[VoteChange, int]) -> str:
    """Return what became of votes: ``3 votes kept: 2 new, 1 changed; 4 known already``."""
    fresh = [f"{said[what]} {what}" for what in ("new", "changed") if said.get(what)]
    kept = f"{counted(said.get('new', 0) + said.get('changed', 0), 'vote')} kept: {', '.join(fresh)}" if fresh else ""
    known = f"{counted(said['known'], 'vote')} known already" if said.get("known") else ""
    return "; ".join(filter(None, (kept, known)))


def ranking_rows(found: Leaderboard) -> Iterator[dict[str, Any]]:
    """Yield every value with what is known of it; those without a vote last."""
    for one in found.ranking.standings:
        yield {"value": one.name, "liked": one.share, "low": one.low, "high": one.high, "won": one.won,
               "lost": one.lost, "tied": one.tied, **_stars(found, one.name)}  # fmt: skip
    ranked = {one.name for one in found.ranking.standings}
    for name in found.stars:
        if name not in ranked:
            yield {"value": name, "liked": None, "low": None, "high": None, "won": 0.0, "lost": 0.0, "tied": 0.0,
                   **_stars(found, name)}  # fmt: skip


def _stars(found: Leaderboard, name: str) -> dict[str, float | int | None]:
    stars, (mean, many) = found.stars.get(name), _names(found)
    return {mean: stars.mean if stars else None, many: stars.rated if stars else 0}


def _names(found: Leaderboard) -> tuple[str, str]:
    """Return what a mean and the number of its pictures are called: of stars, or of a scorer's scores."""
    return ("stars", "rated") if found.score is None else ("score", "scored")


def _mean_text(found: Leaderboard, row: Mapping[str, Any]) -> str:
    mean, many = (row[name] for name in _names(found))
    if mean is None:
        return "-"
    return f"{mean:.1f} of {many}" if found.score is None else f"{score_text(found.score, mean)} of {many}"


def ranking_lines(title: str, ranking: Ranking, found: Leaderboard | None = None) -> list[str]:
    """Return the ranking as a table; with the stars of ``found``, where any were given."""
    from promptlab.lab.preferences.leaderboard import Leaderboard

    found = found or Leaderboard(by="", ranking=ranking, stars={})
    rows = [
        (
            one_line(row["value"], limit=60),
            "-" if row["liked"] is None else f"{row['liked']:.0%}",
            "-" if row["liked"] is None else f"{row['low']:.0%} to {row['high']:.0%}",
            *(f"{row[name]:.4g}" for name in ("won", "lost", "tied")),
            _mean_text(found, row),
        )
        for row in ranking_rows(found)
    ]
    headers = (title, "LIKED", "95 %", "WON", "LOST", "TIED", (found.score or "stars").upper())
    lines = table(headers, rows, right=frozenset({1, 3, 4, 5}))
    return lines if found.stars else table(headers[:-1], [row[:-1] for row in rows], right=frozenset({1, 3, 4, 5}))


def verdict_line(ranking: Ranking, score: str | None = None) -> str:
    """Say who wins, from how many votes; or how many are missing, or that the lead may be chance.

    Args:
        score: the scorer whose scores were compared, in place of votes.
    """
    from promptlab.lab.preferences.bradley_terry import ENOUGH

    what = "vote" if score is None else "comparison"
    how_many = f"{ranking.votes:.4g} {what}{'' if ranking.votes == 1 else 's'}"
    if ranking.lead is None or ranking.votes < ENOUGH:
        hint = "promptlab compare last" if score is None else f"promptlab score --all --score {score}"
        return f"not enough {what}s: {how_many} of {ENOUGH} at least; type: {hint}"
    first = ranking.standings[0].name
    ahead = "its lead of {:+.2f} log-odds (95 % {:+.2f} to {:+.2f})".format(*ranking.lead)
    if ranking.winner is None:
        if ranking.lead[0] < 0.005:
            return f"not enough {what}s: nobody is ahead after {how_many}"
        return f"not enough {what}s: {first} is ahead after {how_many}, but {ahead} may be chance"
    return f"{first} wins, from {how_many}; {ahead} is no chance"
