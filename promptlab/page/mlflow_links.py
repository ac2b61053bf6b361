"""Finds where MLflow's pages show what the page shows: the runs, and the view of an experiment."""

from __future__ import annotations

from contextlib import suppress

from promptlab.errors import InputError, TrackerError
from promptlab.records import RunRecord
from promptlab.tracking.asking import MlflowPages

__all__ = ["MlflowLinks"]


class MlflowLinks:
    """Leads from a page to MLflow's pages, which are served beside it or elsewhere.

    Args:
        url: where; ``None`` where they are not served yet.
        cookie: of the page, which pages beside it ask for; ``None`` for those of a server elsewhere.
    """

    def __init__(self, url: str | None, cookie: str | None) -> None:
        self.url, self._cookie = url, cookie

    def view(self, experiment: str | None) -> str:
        """Return the address of the view of an experiment, or of the one with the newest run.

        Of a server that asks for a password, or is away, it is that of its first page, which says so itself.

        Raises:
            InputError: when MLflow's pages are not served.
        """
        pages = self._pages()
        with suppress(TrackerError):
            return pages.view(experiment)
        return pages.url

    def run(self, run: RunRecord) -> str:
        """Return the address of a run's own page.

        Raises:
            InputError: when MLflow's pages are not served, or do not know it.
            TrackerError: when they do not answer.
        """
        known = [each.mlflow_run_id for each in run.variants if each.mlflow_run_id]
        address = self._pages().run(known[0]) if known else None
        if address is None:
            raise InputError("run", run.id, problem="is not shown by MLflow", hint="promptlab sync")
        return address

    def _pages(self) -> MlflowPages:
        if self.url is None:
            raise InputError("mlflow", problem="is not served beside this page", hint="promptlab ui --mlflow")
        return MlflowPages(url=self.url, cookie=self._cookie)
