"""Composes reading runs, writing them, and writing what is said of them later.

The verbs are functions of a session in four modules: :mod:`~promptlab.store.queries` read,
:mod:`~promptlab.store.run_writer` writes runs, :mod:`~promptlab.store.sweeps` begins sweeps with all their runs,
:mod:`~promptlab.store.annotation_writer` writes ratings, votes, verifications and what MLflow recorded.
:class:`Notebook` is their table of contents. Each call is one short transaction: nothing is held open while images are
generated, so several commands can write to one workspace while MLflow's server reads it.

Invariant: a run's images are rows before the first pixel is generated, and a row says ``MADE`` only once its PNG is
whole on disk; whoever calls ``add_images`` has written the files first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from sqlalchemy.orm import Session

from promptlab.store import annotation_writer, queries, restore, run_writer, sweeps
from promptlab.store.database import Database, store_errors
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace

__all__ = ["Notebook"]

P = ParamSpec("P")
R = TypeVar("R")


class _Verb(Generic[P, R]):
    """Makes a function of a session a method of the notebook, which opens the session.

    Args:
        doing: what a failure interrupted, within the sentence "the database failed while …".
    """

    def __init__(self, doing: str, function: Callable[Concatenate[Session, P], R], *, writes: bool) -> None:
        self._doing, self._function, self._writes = doing, function, writes
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, notebook: None, owner: type[Notebook]) -> Self: ...

    @overload
    def __get__(self, notebook: Notebook, owner: type[Notebook]) -> Callable[P, R]: ...

    def __get__(self, notebook: Notebook | None, owner: type[Notebook]) -> Self | Callable[P, R]:
        if notebook is None:
            return self

        def carry_out(*args: P.args, **given: P.kwargs) -> R:
            with notebook.session(self._doing, writes=self._writes) as session:
                return self._function(session, *args, **given)

        return update_wrapper(carry_out, self._function)


def _reads(doing: str, function: Callable[Concatenate[Session, P], R]) -> _Verb[P, R]:
    return _Verb(doing, function, writes=False)


def _writes(doing: str, function: Callable[Concatenate[Session, P], R]) -> _Verb[P, R]:
    return _Verb(doing, function, writes=True)


class Notebook:
    """Reads and writes the runs of a workspace, and what is said of them.

    Open one with :meth:`at`. SQL that fails is a :class:`StoreError`.

    Args:
        database: where the rows are; of this PromptLab's schema.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._reader, self._writer = database.engine(), database.engine(writes=True)

    @classmethod
    def at(cls, workspace: Workspace) -> Self:
        """Open the notebook of ``workspace``: see :meth:`of`."""
        return cls.of(database_of(workspace))

    @classmethod
    def of(cls, database: Database) -> Self:
        """Open the notebook in ``database``: created if there is none, upgraded if older.

        Raises:
            WorkspaceError: see :meth:`promptlab.store.database.Database.prepare`.
        """
        database.prepare()
        return cls(database)

    @contextmanager
    def session(self, doing: str, *, writes: bool = False) -> Iterator[Session]:
        """Open a session for one transaction, committed at the end where it writes.

        Raises:
            StoreError: for every database error inside, a sentence about what it was ``doing``.
        """
        engine = self._writer if writes else self._reader
        with store_errors(doing), Session(engine) as session:
            if writes:
                with session.begin():
                    yield session
            else:
                yield session

    run = _reads("reading a run", queries.run)
    runs = _reads("reading runs", queries.runs)
    run_by_uid = _reads("reading a run", queries.run_by_uid)
    environment = _reads("reading an environment", queries.environment)
    made_images = _reads("reading what was made", queries.made_images)
    uids = _reads("reading which runs these are", queries.uids)
    all_uids = _reads("reading the runs", queries.all_uids)
    sweep = _reads("reading a sweep", queries.sweep)
    sweep_by_uid = _reads("reading a sweep", queries.sweep_by_uid)
    sweep_of = _reads("reading a run", queries.sweep_of)
    same_run = _reads("looking for a run that exists", queries.same_run)
    sweeps_of_key = _reads("looking for a sweep that exists", sweeps.sweeps_of_key)
    cut_short_sweeps = _reads("looking for sweeps that were cut short", sweeps.cut_short)
    images_by_recipe_key = _reads("looking for pictures that exist", queries.images_by_recipe_key)
    images_by_requested_key = _reads("looking for pictures that exist", queries.images_by_requested_key)
    unfinished = _reads("looking for what is owed", queries.unfinished)
    untracked = _reads("looking for runs that MLflow does not know", queries.untracked)
    last_run_id = _reads("reading the newest run", queries.last_run_id)
    unpublished = _reads("looking for runs that are under way", queries.unpublished)
    run_statuses = _reads("reading the runs", queries.run_statuses)
    probe_trials = _reads("reading what batches took", queries.probe_trials)
    pace = _reads("looking at what runs took", queries.pace)

    begin_run = _writes("beginning a run", run_writer.begin_run)
    begin_sweep = _writes("beginning a sweep", sweeps.begin_sweep)
    complete_sweep = _writes("completing a sweep", sweeps.complete_sweep)
    start_run = _writes("taking up a run", run_writer.start_run)
    mark_requested = _writes("noting what was asked", run_writer.mark_requested)
    add_images = _writes("adding images", run_writer.add_images)
    link_images = _writes("linking images", run_writer.link_images)
    reduce_batch_size = _writes("noting smaller batches", run_writer.reduce_batch_size)
    owe_images = _writes("noting lost pictures", run_writer.owe_images)
    add_truncated_texts = _writes("keeping the words that were cut", run_writer.add_truncated_texts)
    add_remarks = _writes("keeping what was said of weights", run_writer.add_remarks)
    end_run = _writes("ending a run", run_writer.end_run)
    restore_run = _writes("writing a run anew", restore.restore_run)
    restore_sweep = _writes("writing a sweep anew", restore.restore_sweep)
    restore_words = _writes("putting back what a picture says", restore.restore_words)

    add_vote = _writes("noting a vote", annotation_writer.add_vote)
    remove_vote = _writes("taking back a vote", annotation_writer.remove_vote)
    add_votes = _writes("noting votes", annotation_writer.add_votes)
    add_verifications = _writes("noting what was verified", annotation_writer.add_verifications)
    mark_tracked = _writes("noting what MLflow knows", annotation_writer.mark_tracked)
    mark_sweep_tracked = _writes("noting what MLflow knows", annotation_writer.mark_sweep_tracked)
    add_probe_trial = _writes("noting what a batch took", annotation_writer.add_probe_trial)
