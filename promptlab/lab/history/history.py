"""Looks up what a workspace holds: finds runs, images and sweeps, lists, searches, compares.

Invariant: nothing here creates or changes an image or a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from promptlab.lab.context import LabContext
from promptlab.store.migrate import HEAD

if TYPE_CHECKING:
    from pandas import DataFrame

    from promptlab.lab.history.compare import RunComparison
    from promptlab.lab.history.display import ImageDisplay, RunDisplay
    from promptlab.lab.history.lineage import Lineage
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.records import ImageRecord, RunRecord, RunSummary, SweepRecord
    from promptlab.store.text_search import SearchHit, SearchQuery

__all__ = ["History"]


class History:
    """Looks up runs, images and sweeps of one workspace; :attr:`promptlab.lab.Lab.history`."""

    def __init__(self, context: LabContext) -> None:
        self._context = context

    def find(self, ref: str) -> RunOrImage:
        """Find the run or image that ``ref`` names.

        Args:
            ref: ``last``, a run's number, an image as ``RUN/POSITION``, or the path of a PNG made here.

        Raises:
            NotFound: naming what exists.
            InputError: when ``ref`` is none of these.
        """
        from promptlab.lab.history.refs import find_run_or_image

        return find_run_or_image(ref, self._context)

    def find_sweep(self, ref: str) -> int | None:
        """Return the number of the sweep that ``ref`` names, or ``None`` if it names none.

        Args:
            ref: ``sweep:3``, or the path of a page of its overview.

        Raises:
            InputError: when it is the overview of another workspace's sweep.
        """
        from promptlab.lab.history.refs import find_sweep

        return find_sweep(ref, self._context)

    def sweep(self, sweep_id: int) -> SweepRecord:
        """Return a sweep with the numbers of its runs.

        Raises:
            NotFound: naming the sweeps that exist.
        """
        return self._context.notebook.sweep(sweep_id)

    def show(self, what: str | int | RunRecord | ImageRecord) -> RunDisplay | ImageDisplay:
        """Return a run or an image that displays itself in Jupyter; see :mod:`promptlab.lab.history.display`.

        Args:
            what: a record, a run's number, or a reference that :meth:`find` takes.

        Raises:
            NotFound, InputError: see :meth:`find`.
        """
        from promptlab.lab.history.display import ImageDisplay, RunDisplay
        from promptlab.records import ImageRecord, RunRecord

        workspace = self._context.workspace
        if isinstance(what, RunRecord):
            return RunDisplay(record=what, workspace=workspace)
        source = self.find(what.ref if isinstance(what, ImageRecord) else str(what))
        if source.position is None:
            return RunDisplay(record=source.run, workspace=workspace)
        return ImageDisplay(run=source.run, record=source.run.images[source.position], workspace=workspace)

    def list(self, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
        """List the runs of this workspace, a summary each, newest first."""
        from promptlab.store import run_list

        return run_list.summaries(self._context.database, experiment=experiment, limit=limit)

    def count(self) -> tuple[int, int]:
        """Count the runs, and the images that were made for them."""
        summaries = self.list() if self._context.database.revision() == HEAD else ()
        return len(summaries), sum(summary.made for summary in summaries)

    def to_pandas(self, runs: RunRecord | Iterable[RunRecord] | None = None) -> DataFrame:
        """Return a pandas table with a row for each image: prompt, seed, settings, seconds, file, hashes.

        Args:
            runs: one record or several; all runs of the workspace by default, oldest first.
        """
        from pandas import DataFrame

        from promptlab.lab.history.display import table_columns, table_rows
        from promptlab.records import RunRecord

        if isinstance(runs, RunRecord):
            runs = [runs]
        elif runs is None:
            runs = (self._context.notebook.run(one.id) for one in reversed(self.list()))
        return DataFrame(table_rows(runs), columns=list(table_columns()))

    def search(self, query: SearchQuery) -> tuple[SearchHit, ...]:
        """Search images by the words of their prompts, best match first.

        See :mod:`promptlab.store.text_search`.
        """
        from promptlab.store.text_search import search

        return search(self._context.database, query)

    def tree(self, ref: str | None = None, *, limit: int | None = None, every: bool = False) -> Lineage:
        """Return the lineage of runs: of all, of an experiment, or of the tree that a run is in.

        The arguments are those of :func:`promptlab.lab.history.lineage.lineage`.

        Raises:
            NotFound: naming what exists.
        """
        from promptlab.lab.history.lineage import lineage

        return lineage(self._context.database, ref, find=self.find, limit=limit, every=every)

    def diff(self, before: str, after: str) -> RunComparison:
        """Compare two runs or images; :func:`promptlab.lab.history.compare.draw` shows them side by side.

        Raises:
            NotFound, InputError: see :meth:`find`.
        """
        from promptlab.lab.history.compare import compare

        return compare(self.find(before), self.find(after), self._context.workspace)
