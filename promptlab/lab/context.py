"""Holds what the services of a Lab share: workspace, database, engine, tracker, notebook, locks.

Engine, tracker, notebook and what stands on them are created when they are first asked for, so that ``promptlab list``
imports neither torch nor MLflow.

Invariant: a context is never changed. Creating one opens no file and no connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from promptlab.store.database import Database
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.engine import Engine, Permissions
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.execution.existing_images import ExistingImages
    from promptlab.lab.execution.locks import RunLocks
    from promptlab.lab.execution.publisher import Publisher
    from promptlab.lab.execution.recorder import Recorder
    from promptlab.lab.execution.runner import Runner
    from promptlab.plan import ResolvedSpec, TruncatedPrompt
    from promptlab.specs import RunSpec
    from promptlab.store.notebook import Notebook
    from promptlab.tracking import Tracker
    from promptlab.tracking.address import TrackingAddress

__all__ = ["LabContext"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LabContext:
    """Creates the parts of a Lab when they are first asked for, and keeps them.

    Args:
        workspace: the folder that holds all state.
        database: where the rows are.
        tracking_address: of the MLflow server elsewhere that runs are recorded on; ``None`` for the workspace's own.
        allow_pickle: what the engine may do, for each of its calls; see :attr:`permissions`.
        record_apart: whether MLflow is imported in a process of its own.
        make_engine: creates the engine; called once, when an image or a model is needed.
        make_tracker: creates the tracker; called once, when something is recorded.
    """

    workspace: Workspace
    database: Database
    tracking_address: TrackingAddress | None = None
    allow_pickle: bool = False
    record_apart: bool = False
    make_engine: Callable[[], Engine] = field(repr=False)
    make_tracker: Callable[[], Tracker] = field(repr=False)

    @classmethod
    def create(
        cls,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        database: str | None = None,
        engine: Engine | None = None,
        tracker: Tracker | None = None,
        tracking_uri: str | None = None,
        allow_pickle: bool = False,
        make_engine: Callable[[], Engine] | None = None,
        record_apart: bool = False,
    ) -> LabContext:
        """Create a context; the arguments are those of :class:`promptlab.lab.Lab`.

        Raises:
            InputError: when ``database`` or ``tracking_uri`` is no address.
        """
        place = workspace if isinstance(workspace, Workspace) else Workspace.at(workspace, database)
        address = None if tracking_uri is None else _tracking_address(tracking_uri)
        return cls(
            workspace=place,
            database=database_of(place),
            tracking_address=address,
            allow_pickle=allow_pickle,
            record_apart=record_apart and tracker is None,
            make_engine=make_engine or _create_engine if engine is None else lambda: engine,
            make_tracker=lambda: _mlflow_tracker(place, address) if tracker is None else tracker,
        )

    @cached_property
    def permissions(self) -> Permissions:
        """Return what the engine may do, for each of its calls."""
        from promptlab.engine import Permissions

        return Permissions(allow_pickle=self.allow_pickle)

    @cached_property
    def engine(self) -> Engine:
        """Return the engine. Imports torch when first called."""
        return self.make_engine()

    @cached_property
    def tracker(self) -> Tracker:
        """Return the tracker. Imports MLflow when first called."""
        return self.make_tracker()

    @cached_property
    def notebook(self) -> Notebook:
        """Return the workspace's notebook. Its tables are created or upgraded when first called."""
        from promptlab.store.notebook import Notebook

        return Notebook.of(self.database)

    @cached_property
    def locks(self) -> RunLocks:
        """Return the locks on the runs and sweeps of the workspace. Opens the notebook when first called."""
        from promptlab.lab.execution.locks import RunLocks

        return RunLocks(self.workspace, self.notebook.sweep_of, self.database.locks())

    @cached_property
    def existing_images(self) -> ExistingImages:
        """Return where images are looked up that need not be made. Opens the notebook when first called."""
        from promptlab.lab.execution.existing_images import ExistingImages

        return ExistingImages(self.notebook, self.workspace)

    @cached_property
    def recorder(self) -> Recorder | None:
        """Return what records in MLflow in a process of its own; ``None`` where that happens in this one."""
        if not self.record_apart:
            return None
        from promptlab.lab.execution.recorder import Recorder

        return Recorder(self.workspace, self.tracking_uri)

    @cached_property
    def publisher(self) -> Publisher:
        """Return what draws grids, writes reports and records in MLflow. Opens the notebook when first called."""
        from promptlab.lab.execution.publisher import Publisher

        return Publisher(self.notebook, self.workspace, self.tracker, self.recorder)

    def runner(self, watch: Watch) -> Runner:
        """Return what makes the images of runs, once."""
        from promptlab.lab.execution.runner import Runner

        return Runner(
            self.engine, self.notebook, self.workspace, permissions=self.permissions, existing=self.existing_images,
            locks=self.locks, publisher=self.publisher, watch=watch,
        )  # fmt: skip

    def resolve(self, specs: Sequence[RunSpec]) -> tuple[ResolvedSpec, ...]:
        """Resolve specs with the engine: check them, and fill in the defaults of their models.

        Raises:
            InputError: for the first that is wrong.
        """
        return self.engine.resolve(specs, permissions=self.permissions)

    def truncated_prompts(self, resolved: Sequence[ResolvedSpec]) -> tuple[TruncatedPrompt, ...]:
        """Return the prompts that the text encoders would truncate.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        return self.engine.truncated_prompts(resolved, permissions=self.permissions)

    def cut_short_sweeps(self, sweep_id: int | None = None) -> dict[int, int]:
        """Return the sweeps that were left with fewer runs than they were to have: how many, by their numbers.

        One that another process begins at this moment is waited for.

        Args:
            sweep_id: the only one to look at.
        """
        if not self.notebook.cut_short_sweeps(sweep_id):
            return {}
        with self.locks.beginning():
            return self.notebook.cut_short_sweeps(sweep_id)

    @property
    def tracking_uri(self) -> str | None:
        """Return the URL of the MLflow server elsewhere, without credentials; ``None`` without one."""
        return None if self.tracking_address is None else self.tracking_address.url

    def start_recorder(self) -> None:
        """Start the process that records in MLflow, where there is to be one: it imports while this one does."""
        if self.recorder is not None:
            _ = self.engine  # which looks whether the cores are its own before this process has another beside it
            if self.tracking_address is not None:
                self.tracking_address.hand_over()
            self.recorder.start()

    def close(self) -> None:
        """Close what recording has opened, before the process ends."""
        if "recorder" in self.__dict__ and self.recorder is not None:
            self.recorder.close()
        if "tracker" in self.__dict__:
            self.tracker.close()

    def check(self) -> str | None:
        """Check, without writing anything, that this PromptLab can write here; return the schema's revision.

        Raises:
            WorkspaceError: when the folder or the database is read-only, missing, not reachable, or newer than this
                PromptLab.
        """
        self.workspace.check_writable()
        return self.database.check()


def _tracking_address(uri: str) -> TrackingAddress:
    from promptlab.tracking.address import TrackingAddress

    return TrackingAddress.read(uri)


def _create_engine() -> Engine:
    from promptlab.engine import create_engine

    return create_engine()


def _mlflow_tracker(workspace: Workspace, address: TrackingAddress | None) -> Tracker:
    from promptlab.tracking import MlflowTracker

    if address is None:
        return MlflowTracker(workspace, None)
    address.hand_over()
    return MlflowTracker(workspace, address.url)
