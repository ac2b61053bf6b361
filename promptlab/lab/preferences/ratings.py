"""Stores stars, favourites and votes on images, ranks settings by them, and publishes them to MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError
from promptlab.lab.context import LabContext
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs
from promptlab.records import ImageRecord, ImageStatus, RunStatus

if TYPE_CHECKING:
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.preferences.leaderboard import Leaderboard
    from promptlab.store.annotation_writer import VoteChange
    from promptlab.store.rated_images import RatedImages

__all__ = ["MAX_STARS", "Ratings"]

MAX_STARS: Final = 5


class Ratings:
    """Keeps what people think of the images of one workspace; :attr:`promptlab.lab.Lab.ratings`."""

    def __init__(self, context: LabContext) -> None:
        self._context = context

    def rate(self, refs: Sequence[str], stars: int, *, watch: Watch = unwatched) -> tuple[ImageRecord, ...]:
        """Give images 1 to 5 stars, in place of those they had.

        Args:
            refs: images as :meth:`promptlab.lab.history.history.History.find` takes them.

        Raises:
            InputError: for other numbers of stars, and for what is no image.
        """
        if not 1 <= stars <= MAX_STARS:
            raise InputError(
                "stars", stars, problem="is out of range", allowed=f"1 to {MAX_STARS}", hint="promptlab rate IMAGE 4"
            )
        return self._rated(refs, stars=stars, watch=watch)

    def favourite(
        self, refs: Sequence[str], *, favourite: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRecord, ...]:
        """Mark images as favourites, or unmark them."""
        return self._rated(refs, favourite=favourite, watch=watch)

    def vote(self, winner: str, loser: str, *, tie: bool = False) -> None:
        """Store that one image is liked better than another, or with ``tie`` neither.

        MLflow shows it after :meth:`publish_votes`.
        """
        first, second = self._image(winner), self._image(loser)
        self._context.notebook.add_vote((first.run_id, first.position), (second.run_id, second.position), tie=tie)

    def cast_votes(self, refs: Sequence[str], votes: str, *, watch: Watch = unwatched) -> Counter[VoteChange]:
        """Store the votes that were given in a report, all or none, and publish them to MLflow.

        Of each pair the latest vote is kept; a line that is given twice changes nothing the second time.

        Args:
            refs: the runs or sweeps that the report is of.
            votes: the line that the report gave; see :func:`promptlab.lab.preferences.report_votes.parse_votes`.

        Returns:
            How many votes were ``new``, ``changed`` an earlier one, and were ``known``.

        Raises:
            NotFound, InputError: when there is no such run, and for a line that is not whole or not of these runs.
        """
        from promptlab.lab.preferences.report_votes import parse_votes

        notebook = self._context.notebook
        runs = [notebook.run(number) for number in dict.fromkeys(run for ref in refs for run in self._run_ids(ref))]
        given = parse_votes(votes, runs)
        pairs = [((one.winner.run_id, one.winner.position), (one.loser.run_id, one.loser.position)) for one in given]
        counts = notebook.add_votes([(*pair, one.tie) for pair, one in zip(pairs, given, strict=True)])
        if counts["new"] or counts["changed"]:
            self.publish_votes([image.ref for one in given for image in (one.winner, one.loser)], watch=watch)
        return counts

    def publish_votes(self, refs: Sequence[str], *, watch: Watch = unwatched) -> None:
        """Record the ratings and votes of these images in MLflow."""
        notebook, locks = self._context.notebook, self._context.locks
        images = [self._image(ref) for ref in refs]
        for run_id in notebook.runs_showing([(image.run_id, image.position) for image in images]):
            run = notebook.run(run_id)
            if run.status not in (RunStatus.RUNNING, RunStatus.SCHEDULED) and not locks.busy(run_id):
                self._context.publisher.track_run(run, watch)

    def rated_images(self, refs: Sequence[str], *, experiment: str | None = None, every: bool = False) -> RatedImages:
        """Return stars and votes of the images of runs and sweeps; of the whole workspace, when none is named.

        Args:
            every: also the images without a rating or vote.

        Raises:
            NotFound: naming what exists.
        """
        from promptlab.store.rated_images import read_rated_images

        runs = [run for ref in refs for run in self._run_ids(ref)] if refs else None
        return read_rated_images(self._context.database, runs=runs, experiment=experiment, every=every)

    def best(self, by: str, refs: Sequence[str] = (), *, experiment: str | None = None) -> Leaderboard:
        """Rank the values of a setting, prompts or words; see :mod:`promptlab.lab.preferences.leaderboard`."""
        from promptlab.lab.preferences.leaderboard import best

        return best(by, self.rated_images(refs, experiment=experiment))

    def _run_ids(self, ref: str) -> tuple[int, ...]:
        if (sweep_id := find_sweep(ref, self._context)) is not None:
            return tuple(one.run_id for one in find_sweep_runs(sweep_id, self._context).runs)
        return (find_run_or_image(ref, self._context).run.id,)

    def _rated(
        self, refs: Sequence[str], *, stars: int | None = None, favourite: bool | None = None, watch: Watch
    ) -> tuple[ImageRecord, ...]:
        images = [self._image(ref) for ref in refs]
        places = [(image.run_id, image.position) for image in images]
        self._context.notebook.rate(places, stars=stars, favourite=favourite)
        self.publish_votes(refs, watch=watch)
        return tuple(self._image(ref) for ref in refs)

    def _image(self, ref: str) -> ImageRecord:
        source = find_run_or_image(ref, self._context)
        if source.position is None:
            raise InputError(
                "image_ref", ref, problem="is a run and no image", allowed="an image as RUN/POSITION, or its file",
                hint=f"promptlab show {source.run.id}",
            )  # fmt: skip
        image = source.run.images[source.position]
        if image.status is not ImageStatus.MADE:
            raise InputError("image_ref", ref, problem="is not made yet", hint=f"promptlab resume {source.run.id}")
        return image
