"""Stores stars, favourites and votes on images, ranks settings by them, and publishes them to MLflow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from promptlab.errors import InputError, TrackerError
from promptlab.lab.context import LabContext
from promptlab.lab.execution.watch import unwatched
from promptlab.store.image_ratings import rate_images, read_ratings, runs_rated_since_told

if TYPE_CHECKING:
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.preferences.leaderboard import Leaderboard
    from promptlab.records import ImageRating, ImageRecord
    from promptlab.store.annotation_writer import VoteChange
    from promptlab.store.rated_images import RatedImages

__all__ = ["MAX_STARS", "Ratings"]

MAX_STARS: Final = 5
_TELLING_TIMEOUT: Final = 900.0
"""Seconds to wait for another process that tells MLflow: it tells all that is known by then."""

_NUMBERS: Final = re.compile(r"(\d{1,9})/(\d{1,9})")
"""An image by its run and its position there."""


class Ratings:
    """Keeps what people think of the images of one workspace; :attr:`promptlab.lab.Lab.ratings`."""

    def __init__(self, context: LabContext) -> None:
        self._context = context

    def rate(
        self, refs: Sequence[str], stars: int, *, tell: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRating, ...]:
        """Give images 1 to 5 stars, in place of those they had.

        Args:
            refs: images as :meth:`promptlab.lab.history.history.History.find` takes them.
            tell: whether MLflow is told before this returns; else :meth:`publish` tells it.

        Raises:
            InputError: for other numbers of stars, and for what is no image.
        """
        if not 1 <= stars <= MAX_STARS:
            raise InputError(
                "stars", stars, problem="is out of range", allowed=f"1 to {MAX_STARS}", hint="promptlab rate IMAGE 4"
            )
        return self._rated(refs, stars=stars, tell=tell, watch=watch)

    def favourite(
        self, refs: Sequence[str], *, favourite: bool = True, tell: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRating, ...]:
        """Mark images as favourites, or unmark them; the arguments are those of :meth:`rate`."""
        return self._rated(refs, favourite=favourite, tell=tell, watch=watch)

    def vote(self, winner: str, loser: str, *, tie: bool = False) -> None:
        """Store that one image is liked better than another, or with ``tie`` neither.

        MLflow shows it after :meth:`publish`.
        """
        first, second = self._image(winner), self._image(loser)
        self._context.notebook.add_vote((first.run_id, first.position), (second.run_id, second.position), tie=tie)

    def take_back(self, winner: str, loser: str) -> None:
        """Forget the last vote between two images; MLflow shows it no more after a ``sync``.

        Raises:
            InputError: where there was no vote between them.
        """
        first, second = self._image(winner), self._image(loser)
        if not self._context.notebook.remove_vote((first.run_id, first.position), (second.run_id, second.position)):
            raise InputError("image_ref", winner, problem=f"has no vote beside {loser} that could be taken back")

    def cast_votes(
        self, refs: Sequence[str], votes: str, *, tell: bool = True, watch: Watch = unwatched
    ) -> Counter[VoteChange]:
        """Store the votes that were given in a report, all or none, and publish them to MLflow.

        Of each pair the latest vote is kept; a line that is given twice changes nothing the second time.

        Args:
            refs: the runs or sweeps that the report is of.
            votes: the line that the report gave; see :func:`promptlab.lab.preferences.report_votes.parse_votes`.
            tell: as that of :meth:`rate`.

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
        if tell and (counts["new"] or counts["changed"]):
            self.publish(watch=watch)
        return counts

    def publish(self, *, watch: Watch = unwatched) -> None:
        """Record the stars and votes in MLflow that it does not know, whoever gave them.

        One process at a time does it: another waits, and finds nothing left to tell. Runs that are being made tell
        their own when they end.

        Raises:
            TrackerError: when another process tells MLflow and does not come to an end.
        """
        from promptlab._locks import file_locked
        from promptlab.records import RunStatus

        context = self._context
        if not context.database.is_begun:
            return
        context.database.prepare()
        with file_locked(context.workspace.ratings_lock, timeout=_TELLING_TIMEOUT, error=TrackerError):
            for run_id in runs_rated_since_told(context.database):
                run = context.notebook.run(run_id)
                if run.status not in (RunStatus.RUNNING, RunStatus.SCHEDULED) and not context.locks.busy(run_id):
                    context.publisher.track_run(run, watch)

    def rated_images(
        self, refs: Sequence[str], *, experiment: str | None = None, every: bool = False, scorer: str | None = None
    ) -> RatedImages:
        """Return stars and votes of the images of runs and sweeps; of the whole workspace, when none is named.

        Args:
            every: also the images without a rating or vote.
            scorer: the images that have its score, with it, in place of those that were rated.

        Raises:
            NotFound: naming what exists.
        """
        from promptlab.store.rated_images import read_rated_images

        runs = [run for ref in refs for run in self._run_ids(ref)] if refs else None
        return read_rated_images(self._context.database, runs=runs, experiment=experiment, every=every, scorer=scorer)

    def best(
        self, by: str, refs: Sequence[str] = (), *, experiment: str | None = None, score: str | None = None
    ) -> Leaderboard:
        """Rank the values of a setting, prompts or words; see :mod:`promptlab.lab.preferences.leaderboard`.

        Args:
            score: one of :data:`promptlab.records.scorers.SCORERS`: rank by its scores, in place of votes and stars.
        """
        from promptlab.lab.preferences.leaderboard import best
        from promptlab.records.scorers import known_scorer

        if score is not None:
            known_scorer(score)
        return best(by, self.rated_images(refs, experiment=experiment, scorer=score), score=score)

    def _run_ids(self, ref: str) -> tuple[int, ...]:
        from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs

        if (sweep_id := find_sweep(ref, self._context)) is not None:
            return tuple(one.run_id for one in find_sweep_runs(sweep_id, self._context).runs)
        return (find_run_or_image(ref, self._context).run.id,)

    def _rated(
        self, refs: Sequence[str], *, stars: int | None = None, favourite: bool | None = None, tell: bool, watch: Watch
    ) -> tuple[ImageRating, ...]:
        places = self._places(refs)
        rate_images(self._context.database, places, stars=stars, favourite=favourite)
        if tell:
            self.publish(watch=watch)
        rated = read_ratings(self._context.database, places)
        return tuple(rated[place] for place in places)

    def _places(self, refs: Sequence[str]) -> tuple[tuple[int, int], ...]:
        """Return each image's run and position; a number alone is looked up without reading its whole run."""
        database = self._context.database
        numbers = {ref: (int(found[1]), int(found[2])) for ref in refs if (found := _NUMBERS.fullmatch(ref))}
        known: Mapping[tuple[int, int], ImageRating] = {}
        if numbers and database.is_begun:
            database.prepare()
            known = read_ratings(database, numbers.values())
        return tuple(numbers[ref] if numbers.get(ref) in known else self._place(ref) for ref in refs)

    def _place(self, ref: str) -> tuple[int, int]:
        """Return the run and position of any image, and say what is wrong with what is none."""
        image = self._image(ref)
        return image.run_id, image.position

    def _image(self, ref: str) -> ImageRecord:
        from promptlab.lab.history.refs import find_run_or_image
        from promptlab.records import ImageStatus

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
