"""What is said of runs and pictures once they are there: verified, liked, told to MLflow; and what a batch took.

No verb here makes or changes a picture's own record. Each is one short transaction, as in
:mod:`promptlab.store.notebook`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from promptlab.records import Environment, ProbeTrial, RunRecord, SweepRecord, Verification
from promptlab.store import loaders, ratings
from promptlab.store.engines import translated
from promptlab.store.mapping import environment_row
from promptlab.store.queries import Lookup
from promptlab.store.tables import ImageRow, ProbeRow, RunRow, SweepRow, VariantRow, VerificationRow

__all__ = ["Remarks"]


class Remarks(Lookup):
    """The part of :class:`promptlab.store.notebook.Notebook` that keeps what is said of what is there."""

    def add_verifications(self, run_id: int, found: Mapping[int, Verification], environment: Environment) -> None:
        """Keep what came of making images again: by their places in the run.

        Args:
            environment: in which they were made again.
        """
        with self._writing("noting what was verified") as session:
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

    def rate(self, places: Sequence[ratings.Place], *, stars: int | None = None, favourite: bool | None = None) -> None:
        """Keep what was thought of images; ``None`` leaves what was thought before."""
        with self._writing("noting stars") as session:
            ratings.rate(session, places, stars=stars, favourite=favourite)

    def vote(self, winner: ratings.Place, loser: ratings.Place, *, tie: bool = False) -> None:
        """Keep which of two images was liked better, or that neither was."""
        with self._writing("noting a vote") as session:
            ratings.vote(session, winner, loser, tie=tie)

    def cast(self, votes: Sequence[tuple[ratings.Place, ratings.Place, bool]]) -> Counter[ratings.Standing]:
        """Keep a whole ballot, or nothing of it; see :func:`promptlab.store.ratings.cast`."""
        with self._writing("noting votes") as session:
            return ratings.cast(session, votes)

    def mark_tracked(self, run_id: int, mlflow_run_ids: Mapping[int, str]) -> RunRecord:
        """Note that MLflow has been told: the MLflow run of each variant, by the variant's position."""
        with self._writing("noting what MLflow knows") as session:
            for position, mlflow_run_id in mlflow_run_ids.items():
                session.execute(
                    update(VariantRow)
                    .where(VariantRow.run_id == run_id, VariantRow.position == position)
                    .values(mlflow_run_id=mlflow_run_id)
                )
            session.execute(update(RunRow).where(RunRow.id == run_id).values(tracked_at=datetime.now(UTC)))
            return loaders.run(session, run_id)

    def mark_sweep_tracked(self, sweep_id: int, mlflow_run_id: str) -> SweepRecord:
        """Note that MLflow has been told of the whole sweep."""
        with self._writing("noting what MLflow knows") as session:
            session.execute(
                update(SweepRow)
                .where(SweepRow.id == sweep_id)
                .values(mlflow_run_id=mlflow_run_id, tracked_at=datetime.now(UTC))
            )
        return self.sweep(sweep_id)

    def remember_probe(self, setting: str, probed: ProbeTrial) -> None:
        """Keep what a forward of one size took, in place of what was known of it.

        Args:
            setting: the hash of all that decides how much memory it takes.
        """
        with self._writing("noting what a batch took") as session:
            session.execute(
                delete(ProbeRow).where(ProbeRow.setting == setting, ProbeRow.batch_size == probed.batch_size)
            )
            session.add(
                ProbeRow(
                    setting=setting, batch_size=probed.batch_size, fits=probed.fits, seconds=probed.seconds,
                    step_seconds=probed.step_seconds, peak_memory=probed.peak_memory, probed_at=datetime.now(UTC),
                )
            )  # fmt: skip

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Session]:
        with translated(doing), Session(self._writer) as session, session.begin():
            yield session
