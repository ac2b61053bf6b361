"""What is thought of pictures: stars, favourites, votes, what they come to. MLflow is told of all runs concerned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptlab.errors import InputError
from promptlab.lab.context import Desk
from promptlab.lab.execution.events import Watch, unwatched
from promptlab.lab.preferences.ballot import parse_votes
from promptlab.lab.preferences.leaderboard import Leaderboard, best
from promptlab.records import ImageRecord, ImageStatus, RunStatus
from promptlab.store.rated_images import RatedImages, opinions

if TYPE_CHECKING:
    from promptlab.store.ratings import Standing

__all__ = ["Judging"]

_MOST = 5


class Judging(Desk):
    """The part of :class:`promptlab.lab.Lab` that keeps what people think of pictures."""

    def rate(self, refs: Sequence[str], stars: int, *, watch: Watch = unwatched) -> tuple[ImageRecord, ...]:
        """Give pictures 1 to 5 stars; those that were given before are forgotten.

        Args:
            refs: images as :meth:`source` knows them.

        Raises:
            InputError: for other stars, and for what is no picture.
        """
        if not 1 <= stars <= _MOST:
            raise InputError("STARS", stars, problem="is out of range", allowed="1 to 5", hint="promptlab rate IMAGE 4")
        return self._rated(refs, stars=stars, watch=watch)

    def favourite(
        self, refs: Sequence[str], *, favourite: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRecord, ...]:
        """Mark pictures as favourites, or as none any more."""
        return self._rated(refs, favourite=favourite, watch=watch)

    def vote(self, winner: str, loser: str, *, tie: bool = False) -> None:
        """Note that one picture was liked better than another, or with ``tie`` neither; see :meth:`tell_votes`."""
        first, second = self._picture(winner), self._picture(loser)
        self.notebook.vote((first.run_id, first.position), (second.run_id, second.position), tie=tie)

    def cast(self, refs: Sequence[str], votes: str, *, watch: Watch = unwatched) -> Counter[Standing]:
        """Keep the votes that were given in a report, and tell MLflow; all of them or none.

        Of each pair what was thought last is kept; a line that is given twice changes nothing the second time.

        Args:
            refs: the runs or sweeps that the report is of.
            votes: as :func:`promptlab.lab.preferences.ballot.parse_votes` knows them.

        Returns:
            How many were ``new``, were otherwise before (``changed``), and were ``known``.

        Raises:
            NotFound, InputError: when there is no such run, and for a line that is not whole or not of these runs.
        """
        runs = [self.notebook.run(number) for number in dict.fromkeys(run for ref in refs for run in self._runs(ref))]
        given = parse_votes(votes, runs)
        pairs = [((one.winner.run_id, one.winner.position), (one.loser.run_id, one.loser.position)) for one in given]
        said = self.notebook.cast([(*pair, one.tie) for pair, one in zip(pairs, given, strict=True)])
        if said["new"] or said["changed"]:
            self.tell_votes([image.ref for one in given for image in (one.winner, one.loser)], watch=watch)
        return said

    def tell_votes(self, refs: Sequence[str], *, watch: Watch = unwatched) -> None:
        """Tell MLflow what was thought of these pictures."""
        images = [self._picture(ref) for ref in refs]
        for run_id in self.notebook.runs_showing([(image.run_id, image.position) for image in images]):
            run = self.notebook.run(run_id)
            if run.status not in (RunStatus.RUNNING, RunStatus.SCHEDULED) and not self._workshop.busy(run_id):
                self._workshop.tell_again(run, watch)

    def judged(self, refs: Sequence[str], *, experiment: str | None = None, every: bool = False) -> RatedImages:
        """Stars and votes of the pictures of runs and sweeps; of the whole workspace, when none is named.

        Args:
            every: also the pictures of which nothing was said yet.

        Raises:
            NotFound: naming what is there.
        """
        runs = [run for ref in refs for run in self._runs(ref)] if refs else None
        return opinions(self.database, runs=runs, experiment=experiment, every=every)

    def best(self, by: str, refs: Sequence[str] = (), *, experiment: str | None = None) -> Leaderboard:
        """Which value of a setting, which wording or which word is liked best; see
        :mod:`promptlab.lab.preferences.leaderboard`."""
        return best(by, self.judged(refs, experiment=experiment))

    def _runs(self, ref: str) -> tuple[int, ...]:
        if (sweep_id := self.sweep_named(ref)) is not None:
            return tuple(one.run_id for one in self.sweep_record(sweep_id).runs)
        return (self.source(ref).run.id,)

    def _rated(
        self, refs: Sequence[str], *, stars: int | None = None, favourite: bool | None = None, watch: Watch
    ) -> tuple[ImageRecord, ...]:
        images = [self._picture(ref) for ref in refs]
        self.notebook.rate([(image.run_id, image.position) for image in images], stars=stars, favourite=favourite)
        self.tell_votes(refs, watch=watch)
        return tuple(self._picture(ref) for ref in refs)

    def _picture(self, ref: str) -> ImageRecord:
        source = self.source(ref)
        if source.position is None:
            raise InputError(
                "IMAGE", ref, problem="is a run and no image", allowed="an image as RUN/POSITION, or its file",
                hint=f"promptlab show {source.run.id}",
            )  # fmt: skip
        image = source.run.images[source.position]
        if image.status is not ImageStatus.MADE:
            raise InputError("IMAGE", ref, problem="is not made yet", hint=f"promptlab resume {source.run.id}")
        return image
