"""Offers the verbs of a :class:`promptlab.lab.Lab` that a server carries out: its thin twin.

A method here has the name, the arguments and the errors of the lab's own; it sends the arguments, follows the events
and reads the record. What is derived without looking anything up, such as the spec of a rerun, is derived here.

Invariant: nothing here imports torch, SQLAlchemy, MLflow, numpy or Pillow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from promptlab import records
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.line_of_work import DEFAULT_EXPERIMENT
from promptlab.serving.absolute_paths import absolute_ref, absolute_source, absolute_spec, absolute_sweep
from promptlab.serving.job_stream import FindServer
from promptlab.serving.messages import JobRequest, KeepAlive
from promptlab.serving.remote_services import Asker, RemoteHistory, RemoteMaintenance, RemoteRatings
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.history.prompt_edit import PromptEdit
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.maintenance.verify import Verdict
    from promptlab.lab.preferences.prompt_effect import PromptEffect, SweepEffect
    from promptlab.lab.preferences.scores import ScoredImages
    from promptlab.plan import Plan
    from promptlab.records import ProbeRecord, RunRecord, SweepRecord
    from promptlab.specs import RunSpec

__all__ = ["RemoteLab"]

_LAST: Final = "last"
"""Begins the names of runs that are told by what is newest: ``last``, ``last/3``, ``last@seed:1``."""


class RemoteLab:
    """Makes images in one workspace as :class:`promptlab.lab.Lab` does, in a server's process.

    Args:
        find: finds the server, or starts it.
        workspace, database, tracking_uri, allow_pickle: see :class:`promptlab.lab.Lab`. The folder is one that the
            server sees under the same path.
        keep_alive: minutes that the server is to stay afterwards; as it was started by default.
        early: whether a run is returned once it is saved, before MLflow is told: what goes wrong with that is told to
            the next job there.

    Raises:
        InputError: when ``tracking_uri`` is no address.
    """

    def __init__(
        self,
        find: FindServer,
        workspace: Workspace | str | os.PathLike[str] | None = None,
        *,
        database: str | None = None,
        tracking_uri: str | None = None,
        allow_pickle: bool = False,
        keep_alive: KeepAlive | None = None,
        early: bool = False,
    ) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace.at(workspace, database)
        self._tracking_uri = tracking_uri
        asker = Asker(
            find,
            JobRequest(
                verb="", workspace=self.workspace.root, database=self.workspace.database_url, tracking_uri=tracking_uri,
                allow_pickle=allow_pickle, keep_alive=keep_alive, early=early,
            ),
        )  # fmt: skip
        self._ask = asker.ask
        self.history = RemoteHistory(asker)
        self.ratings = RemoteRatings(asker)
        self.maintenance = RemoteMaintenance(asker)

    @property
    def tracking_uri(self) -> str | None:
        """Return the URL of the MLflow server elsewhere, without credentials; ``None`` without one."""
        if self._tracking_uri is None:
            return None
        from promptlab.tracking.address import TrackingAddress

        return TrackingAddress.read(self._tracking_uri).url

    def run(
        self,
        spec: RunSpec,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """See :meth:`promptlab.lab.Lab.run`.

        Raises:
            ServerError: when the server is gone; what was made stays.
        """
        record: RunRecord = self._ask(
            "run", lambda: records.RunRecord, watch,
            spec=absolute_spec(spec), experiment=experiment, name=name, note=note, parent=parent, again=again,
        )  # fmt: skip
        return record

    def run_sweep(
        self,
        sweep: Sweep,
        *,
        experiment: str = DEFAULT_EXPERIMENT,
        name: str | None = None,
        note: str | None = None,
        parent: RunRecord | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> SweepRecord:
        """See :meth:`promptlab.lab.Lab.run_sweep`."""
        record: SweepRecord = self._ask(
            "run_sweep", lambda: records.SweepRecord, watch,
            sweep=absolute_sweep(sweep), experiment=experiment, name=name, note=note, parent=parent, again=again,
        )  # fmt: skip
        return record

    def resume(self, ref: str | None = None, *, watch: Watch = unwatched) -> tuple[RunRecord, ...]:
        """See :meth:`promptlab.lab.Lab.resume`."""
        ref = None if ref is None else absolute_ref(ref)
        runs: tuple[RunRecord, ...] = self._ask("resume", lambda: tuple[records.RunRecord, ...], watch, ref=ref)
        return runs

    def plan(self, specs: Sequence[RunSpec], *, again: bool = False) -> Plan:
        """See :meth:`promptlab.lab.Lab.plan`."""
        from promptlab.plan import Plan

        plan: Plan = self._ask("plan", lambda: Plan, specs=[absolute_spec(spec) for spec in specs], again=again)
        return plan

    def probe(
        self,
        spec: RunSpec,
        *,
        sizes: Sequence[int] = (1, 2, 4, 8),
        slicing: Sequence[bool] = (False, True),
        experiment: str = "probes",
        watch: Watch = unwatched,
    ) -> ProbeRecord:
        """See :meth:`promptlab.lab.Lab.probe`."""
        record: ProbeRecord = self._ask(
            "probe", lambda: records.ProbeRecord, watch,
            spec=absolute_spec(spec), sizes=tuple(sizes), slicing=tuple(slicing), experiment=experiment,
        )  # fmt: skip
        return record

    def rerun(
        self,
        source: RunOrImage | str,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch = unwatched,
    ) -> RunRecord:
        """See :meth:`promptlab.lab.Lab.rerun`.

        Of a source that is named, other words and seeds are one question; settings, in which files of this machine may
        be named, are derived here. The last run is the one that is last now: others' may come before this one's turn.
        """
        if isinstance(source, str) and source.startswith(_LAST):
            source = self.history.find(source).ref
        if isinstance(source, str) and not changes:
            record: RunRecord = self._ask(
                "rerun", lambda: records.RunRecord, watch,
                source=absolute_ref(source), seeds=seeds, edit=edit, experiment=experiment, name=name, note=note,
                again=again,
            )  # fmt: skip
            return record
        if isinstance(source, str):
            source = self.history.find(source)
        return self.run(
            self.rerun_spec(source, seeds=seeds, edit=edit, changes=changes),
            experiment=experiment or source.run.experiment,
            name=name,
            note=note,
            parent=source.run,
            again=again,
            watch=watch,
        )

    @staticmethod
    def rerun_spec(
        source: RunOrImage,
        *,
        seeds: tuple[int, ...] = (),
        edit: PromptEdit | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> RunSpec:
        """Return the spec that :meth:`rerun` would run."""
        from promptlab.lab.history.rerun import derived_spec

        return derived_spec(source, seeds, edit, changes)

    def verify(
        self,
        refs: Sequence[str] = (),
        *,
        everything: bool = False,
        sample: int | None = None,
        watch: Watch = unwatched,
    ) -> tuple[Verdict, ...]:
        """See :meth:`promptlab.lab.Lab.verify`."""
        from promptlab.lab.maintenance.verify import Verdict

        verdicts: tuple[Verdict, ...] = self._ask(
            "verify", lambda: tuple[Verdict, ...], watch,
            refs=[absolute_ref(ref) for ref in refs], everything=everything, sample=sample,
        )  # fmt: skip
        return verdicts

    def score(
        self,
        refs: Sequence[str],
        scorers: Sequence[str],
        *,
        again: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> ScoredImages:
        """See :meth:`promptlab.lab.Lab.score`."""
        from promptlab.lab.preferences.scores import ScoredImages
        from promptlab.records.scorers import parse_scorers

        named = [f"{one.name}={absolute_source(one.model)}" for one in parse_scorers(tuple(scorers))]
        found: ScoredImages = self._ask(
            "score", lambda: ScoredImages, watch,
            refs=[absolute_ref(ref) for ref in refs], scorers=named, again=again, device=device,
        )  # fmt: skip
        return found

    def effect(
        self,
        ref: str,
        *,
        by: Sequence[str] = (),
        clip_model: str | None = None,
        score: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> PromptEffect | SweepEffect:
        """See :meth:`promptlab.lab.Lab.effect`."""
        from promptlab.lab.preferences.prompt_effect import PromptEffect, SweepEffect

        clip_model = None if clip_model is None else absolute_source(clip_model)
        effect: PromptEffect | SweepEffect = self._ask(
            "effect", lambda: PromptEffect | SweepEffect, watch,
            ref=absolute_ref(ref), by=list(by), clip_model=clip_model, score=score, device=device,
        )  # fmt: skip
        return effect
