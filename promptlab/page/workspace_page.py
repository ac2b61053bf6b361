"""Looks up what the page of one workspace shows, and puts what it asks for into the server's queue.

What the routes answer is found here, as plain values; HTTP is theirs alone.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, Final, NoReturn

from promptlab import __version__
from promptlab.errors import EngineError, InputError, PromptLabError
from promptlab.lab import DEFAULT_EXPERIMENT, Lab
from promptlab.lab.history.rerun import RunOrImage
from promptlab.page.event_log import EventLog
from promptlab.page.feed import Feed
from promptlab.page.gate import PageKeys
from promptlab.page.live_plan import LivePlanner, plan_shape
from promptlab.page.mlflow_links import MlflowLinks
from promptlab.page.page_ratings import PageRatings
from promptlab.page.page_request import PageRequest, read_request, request_of, request_of_sweep
from promptlab.page.picture_files import PictureFiles
from promptlab.page.shapes import RunShape, error_shape
from promptlab.page.tried_words import tried_instead
from promptlab.page.typed_command import Carried, SpellCommand, TypedCommand, carried_out, typed_command
from promptlab.page.workspace_changes import WorkspaceChanges
from promptlab.records import RunRecord
from promptlab.serving.absolute_paths import absolute_spec, absolute_sweep
from promptlab.serving.jobs import Job
from promptlab.serving.lab_server import LabServer
from promptlab.serving.messages import JobRequest, PageOrder
from promptlab.store.rewordings import rewordings
from promptlab.store.run_marks import children_of, runs_before
from promptlab.wire import encode
from promptlab.workspace import Workspace

__all__ = ["WorkspacePage"]

_IMAGES_LISTED: Final = 64
_IMAGES_OF_ONE: Final = 1000
_LONGEST_NAME: Final = 200
"""Bytes of the name of a file that was dropped: file systems have room for 255."""

_PICTURES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})


class WorkspacePage:
    """Answers for one workspace.

    Args:
        order: what was asked for.
        server: whose queue carries out what pages ask for.
        spell: spells a command as one types it.
        keys: what opens it.
    """

    def __init__(self, order: PageOrder, server: LabServer, spell: SpellCommand, *, keys: PageKeys) -> None:
        self._order, self._server, self._spell, self._keys = order, server, spell, keys
        self.workspace = Workspace.at(order.workspace, order.database)
        self.mlflow = MlflowLinks(order.mlflow_url, keys.header if order.tracking_uri is None else None)
        self._lab = self._open_lab()
        self._database = self._lab.database
        if self._database.is_begun:
            self._database.prepare()
        self._importing = threading.Lock()
        self.log = EventLog()
        self.files = PictureFiles(self._database, self.workspace)
        self._planner = LivePlanner(server, self._job, pace=self._pace, told=lambda: self.log.tell("planned", {}))
        self._feed = Feed(
            server, self.log, WorkspaceChanges(self._database), is_mine=self._is_mine, shape=self._begun_or_stored,
            hidden=self._planner.is_own, changed=self._planner.forget,
        )  # fmt: skip
        self.ratings = PageRatings(self._open_lab, self.log, told=self._feed.know, submit=self._sync_later)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Follow what happens while the context lasts; then tell MLflow what it has not been told yet."""
        self._feed.start()
        try:
            with self._server.observed(self._feed.observe):
                yield
        finally:
            self._feed.stop()
            self.ratings.close()

    def state(self) -> dict[str, Any]:
        """Return what is true of the workspace as a whole."""
        summaries = self._lab.history.list() if self._database.is_begun else ()
        return {
            "version": __version__,
            "workspace": str(self.workspace.root),
            "there": self._order.there,
            "mlflow_url": self.mlflow.url,
            "experiments": [*dict.fromkeys(each.experiment for each in summaries)],
            "jobs": self._feed.jobs(),
            "runs": len(summaries),
            "images": sum(each.made for each in summaries),
        }

    def runs(self, *, before: int, limit: int, experiment: str | None) -> dict[str, Any]:
        """Return the newest runs below ``before``, and whether there are more."""
        ids = runs_before(self._database, before, limit=limit + 1, experiment=experiment)
        shape = self._shape(ids[:limit])
        records = self._lab.notebook.runs(ids[:limit]) if ids else ()
        return {"runs": [shape.of(run, most=_IMAGES_LISTED) for run in records], "more": len(ids) > limit}

    def run(self, run_id: int, *, first: int = 0) -> dict[str, Any]:
        """Return one run with its images from position ``first`` on, and how it is varied.

        Raises:
            NotFound: when there is none.
        """
        source = self._find((run_id, None))
        found = self._shape([run_id]).of(source.run, first=first, most=_IMAGES_OF_ONE)
        return found | self._request(source)

    def request(self, run_id: int, position: int | None) -> dict[str, Any]:
        """Return the request and the command that make a run, or an image of it, once more.

        Raises:
            NotFound: when there is none.
        """
        return self._request(self._find((run_id, position)))

    def whole_request(self, run_id: int) -> dict[str, Any]:
        """Return the request and the command that make a run once more with the other runs of its sweep.

        Raises:
            NotFound: when there is none.
            InputError: when no form can ask for that sweep.
        """
        source = self._find((run_id, None))
        if source.run.sweep_id is None:
            return self._request(source)
        sweep = self._lab.history.sweep(source.run.sweep_id)
        runs = self._lab.notebook.runs([each.run_id for each in sweep.runs])
        request = request_of_sweep(runs)
        command = typed_command(request, RunOrImage(run=runs[0]))
        return {"request": request.to_json(), "command": self._spelled(command)}

    def plan(self, plain: object) -> dict[str, Any]:
        """Return what a request stands for, as far as it is known; what is wrong with it is said, not raised."""
        try:
            request = read_request(plain)
            source = self._source(request)
            command = typed_command(request, source)
            carried = self._planner.drawn(request, lambda: carried_out(command, source, self.workspace.root))
            return plan_shape(carried, self._planner, again=request.again) | {"command": self._spelled(command)}
        except PromptLabError as error:
            return {
                "variants": [], "variants_count": 0, "seeds": [], "seeds_count": 0, "runs": 0, "images": 0,
                "known": None, "seconds": None, "guess": True, "settled": True, "defaults": {}, "command": "",
                "error": error_shape(error),
            }  # fmt: skip

    def begin(self, plain: object) -> dict[str, Any]:
        """Put a request into the queue.

        Raises:
            PromptLabError: for what is wrong with it, as the command line's.
        """
        request = read_request(plain)
        source = self._source(request)
        command = typed_command(request, source)
        job = self._begun(carried_out(command, source, self.workspace.root), source, again=request.again)
        self._server.submit(job)
        return {"job": job.id, "command": self._spelled(command)}

    def greeting(self) -> tuple[str, Mapping[str, Any]]:
        """Return the event that every page hears first: the queue as it is."""
        return "queue", {"jobs": self._feed.jobs()}

    def show_mlflow(self, url: str) -> None:
        """Take note of where MLflow's own pages are, and tell whoever looks on."""
        self.mlflow.url = url
        self.log.tell("mlflow", {"mlflow_url": url})

    def mlflow_address(self, run_id: int) -> str:
        """Return where MLflow's pages show a run; see :meth:`promptlab.page.mlflow_links.MlflowLinks.run`."""
        return self.mlflow.run(self._find((run_id, None)).run)

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stop a job: once after the images under way, twice at once."""
        self._server.cancel(job_id)
        return {}

    def resume(self, run_id: int) -> dict[str, Any]:
        """Make what a run still owes."""
        return self._submitted(self._job("resume", {"ref": str(run_id)}))

    def verify(self, run_id: int, position: int) -> dict[str, Any]:
        """Make an image again, and compare it."""
        return self._submitted(self._job("verify", {"refs": [f"{run_id}/{position}"]}))

    def words(self, text: str) -> dict[str, Any]:
        """Return what stood in the place of some words, and what else may."""
        found = tried_instead(text, rewordings(self._database)) if text.strip() else {}
        return {"words": [{"text": other, "tried": count} for other, count in found.items()]}

    def take_in(self, content: bytes, name: str) -> dict[str, Any]:
        """Import the picture that was dropped onto the page; return what it was read as, ready to be varied.

        Raises:
            InputError: when it does not say how it was made.
        """
        with tempfile.TemporaryDirectory(prefix="promptlab-import-") as folder:
            file = Path(folder, _file_name(name))
            file.write_bytes(content)
            try:
                with self._importing:
                    results = self._lab.maintenance.import_images([str(file)])
            except InputError as error:
                raise InputError("picture", file.name, problem=error.problem, allowed=error.allowed) from error
            result = next(each for each in results if each.run is not None)
            assert result.run is not None  # noqa: S101 - asked for in the line above
            source, run = self._source_of(file, result.run), result.run
        self.log.tell("changed", {"runs": [run.id]})
        losses = () if run.origin is None else run.origin.lost
        return {
            "run": run.id,
            "position": source.position,
            "new": result.new,
            "program": "PromptLab" if run.origin is None else run.origin.program,
            "losses": [{"name": each.name, "value": each.value, "why": each.why} for each in losses],
        } | self._request(source)

    def _open_lab(self) -> Lab:
        """Return a lab of the workspace that makes no pictures: these are the queue's to make."""
        order = self._order
        return Lab(order.workspace, database=order.database, tracking_uri=order.tracking_uri, make_engine=_no_engine)

    def _find(self, place: tuple[int, int | None]) -> RunOrImage:
        run_id, position = place
        return self._lab.history.find(str(run_id) if position is None else f"{run_id}/{position}")

    def _source(self, request: PageRequest) -> RunOrImage | None:
        return None if request.parent is None else self._find(request.parent)

    def _request(self, source: RunOrImage) -> dict[str, Any]:
        request = request_of(source)
        return {"request": request.to_json(), "command": self._spelled(typed_command(request, source))}

    def _spelled(self, command: TypedCommand) -> str:
        return self._spell(command, self._order.there + self._order.recorded_at)

    def _shape(self, ids: Sequence[int]) -> RunShape:
        return RunShape(
            is_in_mlflow=self.mlflow.url is not None, reports=f"/reports/{self._keys.files}",
            children=children_of(self._database, ids) if ids else {},
        )  # fmt: skip

    def _begun_or_stored(self, run: RunRecord | int) -> Mapping[str, Any] | None:
        found: RunRecord | None = run if isinstance(run, RunRecord) else None
        if isinstance(run, int):
            found = next(iter(self._lab.notebook.runs([run])), None)
            self._planner.forget()  # images were made
        return None if found is None else self._shape([found.id]).of(found, most=_IMAGES_OF_ONE)

    def _job(self, verb: str, arguments: Mapping[str, Any]) -> Job:
        order = self._order
        request = JobRequest(
            verb=verb, workspace=order.workspace, database=order.database, tracking_uri=order.tracking_uri
        )
        return Job(request, arguments, theirs=__version__)

    def _is_mine(self, job: Job) -> bool:
        return job.request.workspace.resolve() == self.workspace.root and job.request.database == self._order.database

    def _submitted(self, job: Job) -> dict[str, Any]:
        self._server.submit(job)
        return {"job": job.id}

    def _begun(self, carried: Carried, source: RunOrImage | None, *, again: bool) -> Job:
        parent = None if source is None else encode(source.run)
        given = {"experiment": carried.experiment or DEFAULT_EXPERIMENT, "again": again, "parent": parent}
        if carried.sweep is not None:
            return self._job("run_sweep", {"sweep": encode(absolute_sweep(carried.sweep)), **given})
        assert carried.spec is not None  # noqa: S101 - one of the two
        return self._job("run", {"spec": encode(absolute_spec(carried.spec)), **given})

    def _sync_later(self) -> None:
        """Put telling MLflow into the queue: passwords of its address pass through that alone."""
        self._server.submit(self._job("maintenance.sync", {}))

    def _pace(self) -> float | None:
        """Return the seconds of an image in the newest runs that made any."""
        paces = [each.seconds_per_image for each in self._lab.history.list(limit=5)]
        return next((each for each in paces if each is not None), None)

    def _source_of(self, file: Path, run: RunRecord) -> RunOrImage:
        """Return the image that an imported file is of; the whole run, where it is a grid."""
        with suppress(PromptLabError):
            return self._lab.history.find(str(file))
        return RunOrImage(run=run, position=0 if len(run.images) == 1 else None)


def _no_engine() -> NoReturn:
    raise EngineError("a page makes no pictures itself")


def _file_name(name: str) -> str:
    """Return a name for a file that was dropped: no folder, and an ending that pictures have."""
    shown = "".join(filter(str.isprintable, PurePath(name.replace("\\", "/")).name)).encode("utf-8", "replace")
    plain = shown[-_LONGEST_NAME:].decode("utf-8", "ignore").strip().lstrip(".")
    return plain if PurePath(plain).suffix.lower() in _PICTURES else f"{plain or 'picture'}.png"
