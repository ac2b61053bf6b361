"""Keeps stars, favourites and votes of a page: at once in the database, a moment later in MLflow."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from promptlab.errors import InputError, PromptLabError
from promptlab.lab import Lab
from promptlab.page.event_log import EventLog
from promptlab.page.shapes import rating_shape
from promptlab.records import ImageRating
from promptlab.store.image_ratings import read_ratings

__all__ = ["PageRatings"]

_TELL_AFTER: Final = 2.0
"""Seconds after a rating, before MLflow is told: somebody who rates gives several."""


class PageRatings:
    """Rates images of one workspace.

    Args:
        open_lab: opens a lab of it.
        told: takes note that runs have changed, and everybody knows.
        submit: has MLflow told by a job: where its address has a password, or a vote was taken back.
    """

    def __init__(
        self,
        open_lab: Callable[[], Lab],
        log: EventLog,
        *,
        told: Callable[[Iterable[int]], None],
        submit: Callable[[], None],
    ) -> None:
        self._open_lab, self._log, self._told, self._submit = open_lab, log, told, submit
        self._lock = threading.Lock()
        self._telling: threading.Timer | None = None
        self._syncs = False

    def rate(self, run_id: int, position: int, stars: object) -> dict[str, Any]:
        """Give an image stars.

        Raises:
            InputError: for other numbers of stars, and for what is no image.
        """
        if type(stars) is not int:
            raise InputError("stars", problem="is no number of stars", allowed="1 to 5")
        (rated,) = self._open_lab().ratings.rate([f"{run_id}/{position}"], stars, tell=False)
        return self._said(rated)

    def favourite(self, run_id: int, position: int, favourite: object) -> dict[str, Any]:
        """Mark an image as a favourite, or unmark it.

        Raises:
            InputError: for what is no image.
        """
        (rated,) = self._open_lab().ratings.favourite([f"{run_id}/{position}"], favourite=favourite is True, tell=False)
        return self._said(rated)

    def vote(self, winner: object, loser: object, *, tie: bool) -> None:
        """Keep that one image is liked better than another, or with ``tie`` neither.

        Raises:
            InputError: for what is no image, and for one alone.
        """
        places = [_place(winner), _place(loser)]
        if places[0] == places[1]:
            raise InputError("loser", problem="is the winner, too", allowed="two images")
        lab = self._open_lab()
        lab.ratings.vote(str(winner), str(loser), tie=tie)
        rated = read_ratings(lab.database, places)
        for place in places:
            self._said(rated[place])

    def take_back(self, winner: object, loser: object) -> None:
        """Forget the last vote between two images.

        MLflow, which may know of it, is told by a job.

        Raises:
            InputError: for what is no image, and where there was no vote between them.
        """
        places = [_place(winner), _place(loser)]
        lab = self._open_lab()
        lab.ratings.take_back(str(winner), str(loser))
        rated = read_ratings(lab.database, places)
        self._syncs = True
        for place in places:
            self._said(rated[place])

    def close(self) -> None:
        """Tell MLflow now what it was to be told in a moment."""
        with self._lock:
            waiting, self._telling = self._telling, None
        if waiting is not None:
            waiting.cancel()
            self._publish()

    def _said(self, rated: ImageRating) -> dict[str, Any]:
        """Tell the other pages at once, and MLflow once nothing more was said for a moment."""
        shape = rating_shape(rated)
        self._told([rated.run_id])
        self._log.tell("rated", {"run": rated.run_id, "position": rated.position, **shape})
        with self._lock:
            if self._telling is not None:
                self._telling.cancel()
            self._telling = threading.Timer(_TELL_AFTER, self._publish_in_time)
            self._telling.daemon = True
            self._telling.start()
        return shape

    def _publish_in_time(self) -> None:
        with self._lock:
            self._telling = None
        self._publish()

    def _publish(self) -> None:
        with suppress(PromptLabError):  # what MLflow is not told now, the next rating and 'sync' tell it
            lab = self._open_lab()
            uri = lab.context.tracking_address
            syncs, self._syncs = self._syncs, False
            if syncs or (uri is not None and (uri.username or uri.password)):
                self._submit()
            else:
                lab.ratings.publish()


def _place(ref: object) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(ref))
    if found is None:
        raise InputError("image_ref", str(ref)[:80], problem="is no image", allowed="an image as RUN/POSITION")
    return int(found[1]), int(found[2])
