"""What people think of pictures, written: stars, favourites, votes. A link is judged as the picture it links to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import func, or_, select

from promptlab.store.tables import ImageRow, RatingRow, VoteRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Place", "Standing", "cast", "rate", "runs_showing", "vote"]

Place = tuple[int, int]
"""An image, as its run's number and its position there."""

Standing = Literal["new", "changed", "known"]
"""What a vote was to the notebook."""


def rate(session: Session, places: Sequence[Place], *, stars: int | None, favourite: bool | None) -> None:
    """Give the images stars, or mark them; ``None`` leaves what is there."""
    for image_id in set(_sources(session, places).values()):
        row = session.get(RatingRow, image_id)
        if row is None:
            row = RatingRow(image_id=image_id, stars=None, favourite=False)
            session.add(row)
        row.stars = row.stars if stars is None else stars
        row.favourite = row.favourite if favourite is None else favourite
        row.rated_at = datetime.now(UTC)


def vote(session: Session, winner: Place, loser: Place, *, tie: bool) -> None:
    """Note that one image was liked better than another, or neither."""
    ids = _sources(session, (winner, loser))
    row = VoteRow(winner_image_id=ids[winner], loser_image_id=ids[loser], tie=tie, voted_at=datetime.now(UTC))
    session.add(row)


def cast(session: Session, votes: Sequence[tuple[Place, Place, bool]]) -> Counter[Standing]:
    """Note a whole ballot: of each pair what was thought last. What was known already is not noted again.

    Args:
        votes: winner, loser, and whether neither was liked better.

    Returns:
        How many were new, were thought otherwise before, and were known.
    """
    ids = _sources(session, [place for winner, loser, _ in votes for place in (winner, loser)])
    said: Counter[Standing] = Counter()
    for winner, loser, tie in votes:
        first, second = ids[winner], ids[loser]
        about = or_(
            (VoteRow.winner_image_id == first) & (VoteRow.loser_image_id == second),
            (VoteRow.winner_image_id == second) & (VoteRow.loser_image_id == first),
        )
        before = session.scalars(select(VoteRow).where(about)).all()
        if before and all(one.tie if tie else not one.tie and one.winner_image_id == first for one in before):
            said["known"] += 1
            continue
        for one in before:
            session.delete(one)
        session.add(VoteRow(winner_image_id=first, loser_image_id=second, tie=tie, voted_at=datetime.now(UTC)))
        said["changed" if before else "new"] += 1
    return said


def runs_showing(session: Session, places: Iterable[Place]) -> tuple[int, ...]:
    """The runs that have one of these images, or a link to what it is."""
    sources = set(_sources(session, tuple(places)).values())
    having = or_(ImageRow.id.in_(sources), ImageRow.linked_image_id.in_(sources))
    return tuple(session.scalars(select(ImageRow.run_id).where(having).distinct().order_by(ImageRow.run_id)))


def _sources(session: Session, places: Sequence[Place]) -> Mapping[Place, int]:
    """Row ids of the images, of what is linked where they are links."""
    source = func.coalesce(ImageRow.linked_image_id, ImageRow.id)
    wanted = {run_id for run_id, _ in places}
    found = session.execute(select(ImageRow.run_id, ImageRow.position, source).where(ImageRow.run_id.in_(wanted)))
    every = {(run_id, position): image_id for run_id, position, image_id in found}
    return {place: every[place] for place in places}
