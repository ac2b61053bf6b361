"""Offers what a lab's services look up, rate and maintain, where a server carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptlab import lab, records
from promptlab.lab.execution.watch import unwatched
from promptlab.serving.absolute_paths import absolute_ref
from promptlab.serving.job_stream import FindServer, carry_out
from promptlab.serving.messages import JobRequest
from promptlab.wire import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptlab.lab.execution.events import Watch
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.maintenance.doctor.findings import Finding
    from promptlab.lab.maintenance.doctor.sync import SyncResult
    from promptlab.records import ImageRating, RunSummary, SweepRecord
    from promptlab.store.text_search import SearchHit, SearchQuery

__all__ = ["Asker", "RemoteHistory", "RemoteMaintenance", "RemoteRatings"]


class Asker:
    """Sends verbs for one workspace to whatever server there is."""

    def __init__(self, find: FindServer, asked: JobRequest) -> None:
        self._find, self._asked = find, asked

    def ask(self, verb: str, gives: Callable[[], Any], watch: Watch = unwatched, /, **arguments: Any) -> Any:
        """Return what the verb gives.

        Args:
            gives: returns its type, which is imported by then: once the server has been asked.
        """
        plain, theirs = carry_out(self._find, replace(self._asked, verb=verb), arguments, watch)
        return decode(gives(), plain, theirs=theirs)


class RemoteHistory:
    """Looks up what :class:`promptlab.lab.history.history.History` does; waits for no job."""

    def __init__(self, asker: Asker) -> None:
        self._ask = asker.ask

    def find(self, ref: str) -> RunOrImage:
        """See :meth:`promptlab.lab.history.history.History.find`."""
        found: RunOrImage = self._ask("history.find", lambda: lab.RunOrImage, ref=absolute_ref(ref))
        return found

    def find_sweep(self, ref: str) -> int | None:
        """See :meth:`promptlab.lab.history.history.History.find_sweep`."""
        found: int | None = self._ask("history.find_sweep", lambda: int | None, ref=absolute_ref(ref))
        return found

    def sweep(self, sweep_id: int) -> SweepRecord:
        """See :meth:`promptlab.lab.history.history.History.sweep`."""
        sweep: SweepRecord = self._ask("history.sweep", lambda: records.SweepRecord, sweep_id=sweep_id)
        return sweep

    def list(self, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
        """See :meth:`promptlab.lab.history.history.History.list`."""
        runs: tuple[RunSummary, ...] = self._ask(
            "history.list", lambda: tuple[records.RunSummary, ...], experiment=experiment, limit=limit
        )
        return runs

    def count(self) -> tuple[int, int]:
        """See :meth:`promptlab.lab.history.history.History.count`."""
        counts: tuple[int, int] = self._ask("history.count", lambda: tuple[int, int])
        return counts

    def search(self, query: SearchQuery) -> tuple[SearchHit, ...]:
        """See :meth:`promptlab.lab.history.history.History.search`."""
        from promptlab.store.text_search import SearchHit

        hits: tuple[SearchHit, ...] = self._ask("history.search", lambda: tuple[SearchHit, ...], query=query)
        return hits


class RemoteRatings:
    """Keeps stars and favourites as :class:`promptlab.lab.preferences.ratings.Ratings` does."""

    def __init__(self, asker: Asker) -> None:
        self._ask = asker.ask

    def rate(
        self, refs: Sequence[str], stars: int, *, tell: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRating, ...]:
        """See :meth:`promptlab.lab.preferences.ratings.Ratings.rate`."""
        images: tuple[ImageRating, ...] = self._ask(
            "ratings.rate",
            lambda: tuple[records.ImageRating, ...],
            watch,
            refs=[absolute_ref(ref) for ref in refs],
            stars=stars,
            tell=tell,
        )
        return images

    def favourite(
        self, refs: Sequence[str], *, favourite: bool = True, tell: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRating, ...]:
        """See :meth:`promptlab.lab.preferences.ratings.Ratings.favourite`."""
        images: tuple[ImageRating, ...] = self._ask(
            "ratings.favourite", lambda: tuple[records.ImageRating, ...], watch,
            refs=[absolute_ref(ref) for ref in refs], favourite=favourite, tell=tell,
        )  # fmt: skip
        return images


class RemoteMaintenance:
    """Looks after a workspace as :class:`promptlab.lab.maintenance.maintenance.Maintenance` does."""

    def __init__(self, asker: Asker) -> None:
        self._ask = asker.ask

    def doctor(self, *, deep: bool = False, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.doctor`."""
        from promptlab.lab.maintenance.doctor.findings import Finding

        found: tuple[Finding, ...] = self._ask("maintenance.doctor", lambda: tuple[Finding, ...], watch, deep=deep)
        return found

    def fix(self, findings: Sequence[Finding], *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.fix`."""
        from promptlab.lab.maintenance.doctor.findings import Finding

        left: tuple[Finding, ...] = self._ask(
            "maintenance.fix", lambda: tuple[Finding, ...], watch, findings=tuple(findings)
        )
        return left

    def sync(self, watch: Watch = unwatched, *, everything: bool = False) -> SyncResult:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.sync`."""
        from promptlab.lab.maintenance.doctor.sync import SyncResult

        told: SyncResult = self._ask("maintenance.sync", lambda: SyncResult, watch, everything=everything)
        return told
