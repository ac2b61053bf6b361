"""Parses and formats votes given in a report, as the line that it shows: ``0>4 5>1 2=6 #1f3a9c07``.

A report is one file that may be opened anywhere and can store nothing, so its votes travel as text. Each vote names the
better image first, by its position in the run, or as ``RUN/POSITION``; ``=`` is for neither. The checksum behind ``#``
is over the uids of the runs and the votes: it detects a line that was cut, or that comes from another workspace's
report, and nothing is stored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from promptlab.errors import InputError
from promptlab.records import ImageRecord, ImageStatus, RunRecord

__all__ = ["ReportVote", "format_votes", "parse_votes"]

_VOTE: Final = re.compile(r"(?:(\d{1,9})/)?(\d{1,9})([>=])(?:(\d{1,9})/)?(\d{1,9})")
_ALLOWED: Final = "the line that a report gives, with all that stands in its quotes"
_HINT: Final = "promptlab open RUN --report"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportVote:
    """Says which of two images was liked better, or with ``tie`` neither."""

    winner: ImageRecord
    loser: ImageRecord
    tie: bool


def parse_votes(text: str, runs: Sequence[RunRecord]) -> tuple[ReportVote, ...]:
    """Parse the votes in ``text`` and check all of them.

    Args:
        runs: the runs of the report.

    Raises:
        InputError: for what is no vote, for images that do not exist or cannot be compared, and for a line that is
            not whole or not of these runs.
    """
    *votes, checksum = text.split() or [""]
    if not (votes and re.fullmatch(r"#[0-9a-f]{8}", checksum)):
        raise _error(text, "is not whole: it has votes and ends in # and eight signs")
    by_number = {run.id: run for run in runs}
    given = [_parse_vote(vote, by_number) for vote in votes]
    concerned = {image.run_id for one in given for image in (one.winner, one.loser)}
    if checksum != f"#{_checksum([by_number[number] for number in sorted(concerned)], votes)}":
        raise _error(text, "was changed on the way, or was given by a report of other runs")
    seen: set[frozenset[str]] = set()
    for vote, one in zip(votes, given, strict=True):
        pair = frozenset({one.winner.ref, one.loser.ref})
        if pair in seen:
            raise _error(vote, "is about two pictures that another vote of the line is about")
        seen.add(pair)
    return tuple(given)


def format_votes(given: Sequence[ReportVote], runs: Sequence[RunRecord]) -> str:
    """Format votes as the line that a report shows; images of a single run by their positions alone."""
    alone = len(runs) == 1

    def name(image: ImageRecord) -> str:
        return str(image.position) if alone else image.ref

    votes = [f"{name(one.winner)}{'=' if one.tie else '>'}{name(one.loser)}" for one in given]
    concerned = {image.run_id for one in given for image in (one.winner, one.loser)}
    named = sorted((run for run in runs if run.id in concerned), key=lambda run: run.id)
    return f"{' '.join(votes)} #{_checksum(named, votes)}"


def _parse_vote(vote: str, runs: Mapping[int, RunRecord]) -> ReportVote:
    found = _VOTE.fullmatch(vote)
    if found is None:
        raise _error(vote, "is no vote", allowed="0>4 (the first is better), 0=4 (neither), or 3/0>5/2 of two runs")
    winner, loser = _image(found[1], found[2], vote, runs), _image(found[4], found[5], vote, runs)
    if winner.ref == loser.ref or (winner.pixel_sha256 is not None and winner.pixel_sha256 == loser.pixel_sha256):
        raise _error(vote, "names one picture twice", allowed="two pictures that differ")
    if winner.seed != loser.seed:
        raise _error(
            vote, f"is about pictures of the seeds {winner.seed} and {loser.seed}", allowed="two pictures of one seed"
        )
    return ReportVote(winner=winner, loser=loser, tie=found[3] == "=")


def _image(run: str | None, position: str, vote: str, runs: Mapping[int, RunRecord]) -> ImageRecord:
    number = int(run) if run else next(iter(runs))
    names = ", ".join(map(str, runs))
    if run is None and len(runs) > 1:
        raise _error(vote, "does not say of which run its pictures are", allowed=f"RUN/POSITION of {names}")
    if number not in runs:
        raise _error(vote, f"is about run {number}", allowed=f"pictures of run {names}")
    images = runs[number].images
    if int(position) >= len(images):
        raise _error(vote, f"names {number}/{position}", allowed=f"{number}/0 to {number}/{len(images) - 1}")
    image = images[int(position)]
    if image.status is not ImageStatus.MADE:
        raise _error(vote, f"names {image.ref}, which is not made", allowed="pictures that are there")
    return image


def _checksum(runs: Sequence[RunRecord], votes: Sequence[str]) -> str:
    text = f"{','.join(run.uid for run in runs)} {' '.join(votes)}"
    return f"{crc32(text.encode()):08x}"


def _error(text: str, problem: str, *, allowed: str = _ALLOWED) -> InputError:
    return InputError("votes", text, problem=problem, allowed=allowed, hint=_HINT)
