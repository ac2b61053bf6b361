"""Offers the verbs of a :class:`promptlab.lab.Lab` that a server carries out: its thin twin.

A method here has the name, the arguments and the errors of the lab's own; it sends the arguments, follows the events
and reads the record. What is derived without looking anything up, such as the spec of a rerun, is derived here.

Invariant: nothing here imports torch, SQLAlchemy, MLflow, numpy or Pillow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptlab.lab import DEFAULT_EXPERIMENT
from promptlab.lab.execution.events import Watch
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.history.rerun import PromptEdit, RunOrImage, rerun_spec
from promptlab.records import ImageRating, ProbeRecord, RunRecord, RunSummary, SweepRecord
from promptlab.serving.absolute_paths import absolute_ref, absolute_source, absolute_spec, absolute_sweep
from promptlab.serving.job_stream import FindServer, carry_out
from promptlab.serving.messages import JobRequest, KeepAlive
from promptlab.specs import RunSpec
from promptlab.wire import decode
from promptlab.workspace import Workspace

if TYPE_CHECKING:
    from promptlab.expand.sweep import Sweep
    from promptlab.lab.maintenance.doctor.findings import Finding
    from promptlab.lab.maintenance.doctor.sync import SyncResult
    from promptlab.lab.maintenance.verify import Verdict
    from promptlab.lab.preferences.prompt_effect import PromptEffect
    from promptlab.plan import Plan
    from promptlab.store.text_search import SearchHit, SearchQuery

__all__ = ["RemoteHistory", "RemoteLab", "RemoteMaintenance", "RemoteRatings"]


class _Asker:
    """Sends verbs for one workspace to whatever server there is."""

    def __init__(self, find: FindServer, asked: JobRequest) -> None:
        self._find, self._asked = find, asked

    def ask(self, verb: str, gives: Any, watch: Watch = unwatched, /, **arguments: Any) -> Any:
        """Return what the verb gives; ``gives`` is its type."""
        plain, theirs = carry_out(self._find, replace(self._asked, verb=verb), arguments, watch)
        return decode(gives, plain, theirs=theirs)


class RemoteLab:
    """Makes images in one workspace as :class:`promptlab.lab.Lab` does, in a server's process.

    Args:
        find: finds the server, or starts it.
        workspace, database, tracking_uri, allow_pickle: see :class:`promptlab.lab.Lab`. The folder is one that the
            server sees under the same path.
        keep_alive: minutes that the server is to stay afterwards; as it was started by default.

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
    ) -> None:
        self.workspace = workspace if isinstance(workspace, Workspace) else Workspace.at(workspace, database)
        self._tracking_uri = tracking_uri
        asker = _Asker(
            find,
            JobRequest(
                verb="", workspace=self.workspace.root, database=self.workspace.database_url, tracking_uri=tracking_uri,
                allow_pickle=allow_pickle, keep_alive=keep_alive,
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
            "run", RunRecord, watch,
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
        again: bool = False,
        watch: Watch = unwatched,
    ) -> SweepRecord:
        """See :meth:`promptlab.lab.Lab.run_sweep`."""
        record: SweepRecord = self._ask(
            "run_sweep", SweepRecord, watch,
            sweep=absolute_sweep(sweep), experiment=experiment, name=name, note=note, again=again,
        )  # fmt: skip
        return record

    def resume(self, ref: str | None = None, *, watch: Watch = unwatched) -> tuple[RunRecord, ...]:
        """See :meth:`promptlab.lab.Lab.resume`."""
        ref = None if ref is None else absolute_ref(ref)
        runs: tuple[RunRecord, ...] = self._ask("resume", tuple[RunRecord, ...], watch, ref=ref)
        return runs

    def plan(self, specs: Sequence[RunSpec], *, again: bool = False) -> Plan:
        """See :meth:`promptlab.lab.Lab.plan`."""
        from promptlab.plan import Plan

        plan: Plan = self._ask("plan", Plan, specs=[absolute_spec(spec) for spec in specs], again=again)
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
            "probe", ProbeRecord, watch,
            spec=absolute_spec(spec), sizes=tuple(sizes), slicing=tuple(slicing), experiment=experiment,
        )  # fmt: skip
        return record

    def rerun(
        self,
        source: RunOrImage,
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
        """See :meth:`promptlab.lab.Lab.rerun`: derived here, and run there."""
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
        return rerun_spec(source.spec(seeds), edit or PromptEdit(), changes or {})

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
            "verify", tuple[Verdict, ...], watch,
            refs=[absolute_ref(ref) for ref in refs], everything=everything, sample=sample,
        )  # fmt: skip
        return verdicts

    def effect(
        self,
        ref: str,
        *,
        clip_model: str | None = None,
        score: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> PromptEffect:
        """See :meth:`promptlab.lab.Lab.effect`."""
        from promptlab.lab.preferences.prompt_effect import PromptEffect

        clip_model = None if clip_model is None else absolute_source(clip_model)
        effect: PromptEffect = self._ask(
            "effect", PromptEffect, watch, ref=absolute_ref(ref), clip_model=clip_model, score=score, device=device
        )
        return effect


class RemoteHistory:
    """Looks up what :class:`promptlab.lab.history.history.History` does; waits for no job."""

    def __init__(self, asker: _Asker) -> None:
        self._ask = asker.ask

    def find(self, ref: str) -> RunOrImage:
        """See :meth:`promptlab.lab.history.history.History.find`."""
        found: RunOrImage = self._ask("history.find", RunOrImage, ref=absolute_ref(ref))
        return found

    def find_sweep(self, ref: str) -> int | None:
        """See :meth:`promptlab.lab.history.history.History.find_sweep`."""
        found: int | None = self._ask("history.find_sweep", int | None, ref=absolute_ref(ref))
        return found

    def sweep(self, sweep_id: int) -> SweepRecord:
        """See :meth:`promptlab.lab.history.history.History.sweep`."""
        sweep: SweepRecord = self._ask("history.sweep", SweepRecord, sweep_id=sweep_id)
        return sweep

    def list(self, *, experiment: str | None = None, limit: int | None = None) -> tuple[RunSummary, ...]:
        """See :meth:`promptlab.lab.history.history.History.list`."""
        runs: tuple[RunSummary, ...] = self._ask(
            "history.list", tuple[RunSummary, ...], experiment=experiment, limit=limit
        )
        return runs

    def count(self) -> tuple[int, int]:
        """See :meth:`promptlab.lab.history.history.History.count`."""
        counts: tuple[int, int] = self._ask("history.count", tuple[int, int])
        return counts

    def search(self, query: SearchQuery) -> tuple[SearchHit, ...]:
        """See :meth:`promptlab.lab.history.history.History.search`."""
        from promptlab.store.text_search import SearchHit

        hits: tuple[SearchHit, ...] = self._ask("history.search", tuple[SearchHit, ...], query=query)
        return hits


class RemoteRatings:
    """Keeps stars and favourites as :class:`promptlab.lab.preferences.ratings.Ratings` does."""

    def __init__(self, asker: _Asker) -> None:
        self._ask = asker.ask

    def rate(
        self, refs: Sequence[str], stars: int, *, tell: bool = True, watch: Watch = unwatched
    ) -> tuple[ImageRating, ...]:
        """See :meth:`promptlab.lab.preferences.ratings.Ratings.rate`."""
        images: tuple[ImageRating, ...] = self._ask(
            "ratings.rate",
            tuple[ImageRating, ...],
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
            "ratings.favourite", tuple[ImageRating, ...], watch,
            refs=[absolute_ref(ref) for ref in refs], favourite=favourite, tell=tell,
        )  # fmt: skip
        return images


class RemoteMaintenance:
    """Looks after a workspace as :class:`promptlab.lab.maintenance.maintenance.Maintenance` does."""

    def __init__(self, asker: _Asker) -> None:
        self._ask = asker.ask

    def doctor(self, *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.doctor`."""
        from promptlab.lab.maintenance.doctor.findings import Finding

        found: tuple[Finding, ...] = self._ask("maintenance.doctor", tuple[Finding, ...], watch)
        return found

    def fix(self, findings: Sequence[Finding], *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.fix`."""
        from promptlab.lab.maintenance.doctor.findings import Finding

        left: tuple[Finding, ...] = self._ask("maintenance.fix", tuple[Finding, ...], watch, findings=tuple(findings))
        return left

    def sync(self, watch: Watch = unwatched, *, everything: bool = False) -> SyncResult:
        """See :meth:`promptlab.lab.maintenance.maintenance.Maintenance.sync`."""
        from promptlab.lab.maintenance.doctor.sync import SyncResult

        told: SyncResult = self._ask("maintenance.sync", SyncResult, watch, everything=everything)
        return told
