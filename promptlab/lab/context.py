"""What a lab has at hand, and looking things up in it: nothing here makes or changes a picture.

Engine, tracker and notebook are made when they are first needed: a list imports neither torch nor MLflow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.engine import Engine, create_engine
from promptlab.lab.history.refs import find, stranger
from promptlab.lab.history.rerun import RunOrImage
from promptlab.records import ImageRecord, RunRecord, RunSummary, SweepRecord
from promptlab.store import run_list
from promptlab.store.database import Database
from promptlab.store.home import database_of
from promptlab.store.migrate import HEAD
from promptlab.tracking.address import TrackingAddress
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

    from promptlab.lab.execution.executor import Executor
    from promptlab.lab.history.compare import RunComparison
    from promptlab.lab.history.display import ImageDisplay, RunDisplay
    from promptlab.lab.history.lineage import Lineage
    from promptlab.store.notebook import Notebook
    from promptlab.store.text_search import SearchHit, SearchQuery
    from promptlab.tracking import Tracker

__all__ = ["Desk"]


class Desk:
    """The half of :class:`promptlab.lab.Lab` that looks things up; its arguments are told there."""

    def __init__(
        self,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        database: str | None = None,
        engine: Engine | None = None,
        tracker: Tracker | None = None,
        tracking_uri: str | None = None,
        allow_pickle: bool = False,
    ) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace.at(workspace, database)
        self.database: Database = database_of(self.workspace)
        if engine is not None:
            self.engine = engine
        if tracker is not None:
            self.tracker = tracker
        self._allow_pickle = allow_pickle
        self._address = None if tracking_uri is None else TrackingAddress.read(tracking_uri)

    @cached_property
    def engine(self) -> Engine:
        """What makes the images. Imports torch when first asked for."""
        return create_engine(allow_pickle=self._allow_pickle)

    @cached_property
    def tracker(self) -> Tracker:
        """Whom to tell when a run has ended."""
        from promptlab.tracking import MlflowTracker

        if self._address is not None:
            self._address.hand_over()
        return MlflowTracker(self.workspace, self.tracking_uri)

    @property
    def tracking_uri(self) -> str | None:
        """Of the MLflow server that is told, when it is not the workspace's own; without a name or password in it."""
        return None if self._address is None else self._address.url

    @cached_property
    def notebook(self) -> Notebook:
        """The workspace's memory, made or upgraded when first asked for."""
        from promptlab.store.notebook import Notebook

        return Notebook.of(self.database)

    @cached_property
    def _workshop(self) -> Executor:
        from promptlab.lab.execution.executor import Executor

        return Executor(lambda: self.engine, self.notebook, self.workspace, self.tracker)

    def source(self, ref: str) -> RunOrImage:
        """What ``ref`` names: ``last``, a run's number, an image as ``RUN/POSITION``, or the path of a picture.

        Raises:
            NotFound: naming what is there.
            InputError: when ``ref`` is none of these.
        """
        return find(ref, self.database, lambda: self.notebook)

    def sweep_named(self, ref: str) -> int | None:
        """The number of the sweep that ``ref`` names: ``sweep:3``, or a page of its overview; ``None`` for all else.

        Raises:
            InputError: when it is the overview of another workspace's sweep.
        """
        if found := re.fullmatch(r"sweep:(\d{1,9})", ref):
            return int(found[1])
        if not (ref.lower().endswith(".png") and Path(ref).is_file()):
            return None
        from promptlab.images.grid_metadata import named_by

        what, uid = named_by(Path(ref)) or ("", "")
        if what != "sweep":
            return None
        sweep_id = self.notebook.sweep_by_uid(uid) if self.database.is_begun else None
        if sweep_id is None:
            raise stranger(ref)
        return sweep_id

    def look(self, what: str | int | RunRecord | ImageRecord) -> RunDisplay | ImageDisplay:
        """A run or an image that shows itself in a notebook; see :mod:`promptlab.lab.history.display`.

        Args:
            what: a record, a run's number, or a name that :meth:`source` knows.

        Raises:
            NotFound, InputError: see :meth:`source`.
        """
        from promptlab.lab.history.display import ImageDisplay, RunDisplay

        if isinstance(what, RunRecord):
            return RunDisplay(record=what, workspace=self.workspace)
        source = self.source(what.ref if isinstance(what, ImageRecord) else str(what))
        if source.position is None:
            return RunDisplay(record=source.run, workspace=self.workspace)
        return ImageDisplay(run=source.run, record=source.run.images[source.position], workspace=self.workspace)

    def frame(self, runs: RunRecord | Iterable[RunRecord] | None = None) -> DataFrame:
        """A pandas table with a row for each image: words, seed, settings, seconds, file, hashes.

        Args:
            runs: one record or several; all runs of the workspace by default, oldest first.
        """
        from pandas import DataFrame

        from promptlab.lab.history.display import columns, rows

        if isinstance(runs, RunRecord):
            runs = [runs]
        elif runs is None:
            runs = (self.notebook.run(one.id) for one in reversed(self.summaries()))
        return DataFrame(rows(runs), columns=list(columns()))

    def sweep_record(self, sweep_id: int) -> SweepRecord:
        """A sweep with the numbers of its runs.

        Raises:
            NotFound: naming the sweeps that are there.
        """
        return self.notebook.sweep(sweep_id)

    def summaries(self, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
        """The runs of this workspace in a line each, newest first."""
        return run_list.summaries(self.database, experiment=experiment, limit=limit)

    def search(self, query: SearchQuery) -> tuple[SearchHit, ...]:
        """The pictures made of ``query``'s words, the best match first: see :mod:`promptlab.store.text_search`."""
        from promptlab.store.text_search import search

        return search(self.database, query)

    def tree(self, ref: str | None = None, *, limit: int | None = None, every: bool = False) -> Lineage:
        """The trees of runs, those of an experiment, or the one a run is in: see
        :func:`promptlab.lab.history.lineage.lineage`.

        Raises:
            NotFound: naming what is there.
        """
        from promptlab.lab.history.lineage import lineage

        return lineage(self.database, ref, picture=self.source, limit=limit, every=every)

    def diff(self, before: str, after: str) -> RunComparison:
        """What tells two runs or images apart; :func:`promptlab.lab.history.compare.draw` shows them side by side.

        Raises:
            NotFound, InputError: see :meth:`source`.
        """
        from promptlab.lab.history.compare import compare

        return compare(self.source(before), self.source(after), self.workspace)

    def schema(self) -> tuple[str | None, str]:
        """The schema revision that the database has (``None``: no tables of ours yet), and the one written here."""
        return self.database.revision(), HEAD

    def check(self) -> str | None:
        """Make sure, without writing anything, that this PromptLab can write here; and give the schema's revision.

        Raises:
            WorkspaceError: when the folder or the database is read-only, none, away, or a newer PromptLab's.
        """
        self.workspace.check_writable()
        return self.database.check()
