"""Writes what is said of runs and images later: votes, verifications, MLflow's runs.

Functions of a session. None makes or changes an image's own record. A link is rated as the image it links to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from sqlalchemy import delete, or_, select, update

from promptlab.records import Environment, ProbeTrial, RunRecord, SweepRecord, Verification
from promptlab.store.loaders import Place, load_run, load_sweep, source_ids
from promptlab.store.mapping import environment_row
from promptlab.store.tables import ImageRow, ProbeRow, RunRow, SweepRow, VariantRow, VerificationRow, VoteRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = [
    "VoteChange",
    "add_probe_trial",
    "add_verifications",
    "add_vote",
    "add_votes",
    "mark_sweep_tracked",
    "mark_tracked",
    "remove_vote",
]

VoteChange = Literal["new", "changed", "known"]
"""What a vote was to the notebook."""


def add_vote(session: Session, winner: Place, loser: Place, *, tie: bool = False) -> None:
    """Write that one image was liked better than another, or with ``tie`` neither."""
    ids = source_ids(session, (winner, loser))
    row = VoteRow(winner_image_id=ids[winner], loser_image_id=ids[loser], tie=tie, voted_at=datetime.now(UTC))
    session.add(row)


def add_votes(session: Session, votes: Sequence[tuple[Place, Place, bool]]) -> Counter[VoteChange]:
    """Write several votes, of each pair what was thought last; what is known already is not written again.

    Args:
        votes: winner, loser, and whether neither was liked better.

    Returns:
        How many were new, were thought otherwise before, and were known.
    """
    ids = source_ids(session, [place for winner, loser, _ in votes for place in (winner, loser)])
    said: Counter[VoteChange] = Counter()
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


def remove_vote(session: Session, winner: Place, loser: Place) -> bool:
    """Delete the last vote between two images, whichever won, and return whether there was one.

    Runs whose MLflow runs show it are marked as not told.
    """
    ids = source_ids(session, (winner, loser))
    first, second = ids[winner], ids[loser]
    about = or_(
        (VoteRow.winner_image_id == first) & (VoteRow.loser_image_id == second),
        (VoteRow.winner_image_id == second) & (VoteRow.loser_image_id == first),
    )
    vote = session.scalars(select(VoteRow).where(about).order_by(VoteRow.id.desc()).limit(1)).first()
    if vote is None:
        return False
    its = or_(ImageRow.id.in_((first, second)), ImageRow.linked_image_id.in_((first, second)))
    told = RunRow.id.in_(select(ImageRow.run_id).where(its)) & (RunRow.tracked_at >= vote.voted_at)
    session.execute(update(RunRow).where(told).values(tracked_at=None))
    session.delete(vote)
    return True


def add_verifications(
    session: Session, run_id: int, found: Mapping[int, Verification], environment: Environment
) -> None:
    """Write what came of generating images again, by their positions in the run.

    Args:
        environment: in which they were generated again.
    """
    where = environment_row(session, environment)
    session.add(where)
    rows = session.execute(select(ImageRow.position, ImageRow.id).where(ImageRow.run_id == run_id))
    ids = {position: row_id for position, row_id in rows}  # noqa: C416 - rows are no pairs to mypy
    for position, one in found.items():
        row = VerificationRow(
            image_id=ids[position],
            verified_at=one.verified_at,
            outcome=one.outcome,
            environment=where,
            pixel_sha256=one.pixel_sha256,
            differing_pixels=one.differing_pixels,
            greatest_difference=one.greatest_difference,
            mean_difference=one.mean_difference,
            psnr=one.psnr,
            changes=[[change.field, change.before, change.after] for change in one.changes],
        )
        session.add(row)


def mark_tracked(session: Session, run_id: int, mlflow_run_ids: Mapping[int, str], *, at: datetime) -> RunRecord:
    """Write that MLflow has recorded a run: the MLflow run of each variant, by the variant's position.

    Args:
        at: when the record was read that MLflow was told: what was said since, it does not know.
    """
    for position, mlflow_run_id in mlflow_run_ids.items():
        session.execute(
            update(VariantRow)
            .where(VariantRow.run_id == run_id, VariantRow.position == position)
            .values(mlflow_run_id=mlflow_run_id)
        )
    session.execute(update(RunRow).where(RunRow.id == run_id).values(tracked_at=at))
    return load_run(session, run_id)


def mark_sweep_tracked(session: Session, sweep_id: int, mlflow_run_id: str) -> SweepRecord:
    """Write that MLflow has recorded a whole sweep."""
    recorded = {"mlflow_run_id": mlflow_run_id, "tracked_at": datetime.now(UTC)}
    session.execute(update(SweepRow).where(SweepRow.id == sweep_id).values(**recorded))
    return load_sweep(session, sweep_id)


def add_probe_trial(session: Session, setting: str, probed: ProbeTrial) -> None:
    """Write what a batch of one size took, in place of what was known of it.

    Args:
        setting: the hash of all that decides how much memory it takes.
    """
    session.execute(delete(ProbeRow).where(ProbeRow.setting == setting, ProbeRow.batch_size == probed.batch_size))
    session.add(
        ProbeRow(
            setting=setting, batch_size=probed.batch_size, fits=probed.fits, seconds=probed.seconds,
            step_seconds=probed.step_seconds, peak_memory=probed.peak_memory, probed_at=datetime.now(UTC),
        )
    )  # fmt: skip
