"""What keeps a workspace whole: looking at all three faces, mending, telling MLflow what it missed, backing up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError, NotFound
from promptlab.lab.execution.events import Watch, unwatched
from promptlab.lab.preferences.ratings import Judging
from promptlab.store.migrate import HEAD

if TYPE_CHECKING:
    from promptlab.lab.maintenance.doctor.findings import Finding
    from promptlab.lab.maintenance.doctor.sync import Synced
    from promptlab.lab.maintenance.export import Exported, ImageFormat
    from promptlab.lab.maintenance.scan import ImportedFile
    from promptlab.lab.preferences.prompt_effect import PromptEffect
    from promptlab.tracking import MlflowServer

__all__ = ["Upkeep"]


class Upkeep(Judging):
    """The part of :class:`promptlab.lab.Lab` that makes no pictures but looks after those that are there."""

    def checkup(self, *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """Hold rows, pictures and MLflow against each other. Changes nothing.

        Raises:
            WorkspaceError: when a newer PromptLab wrote the database.
            StoreError: when it fails while it is read.
        """
        from promptlab.lab.maintenance.doctor import Doctor, ailing

        found = ailing(self.workspace, self.database)
        if found or not self.database.is_begun or self.schema()[0] is None:
            return found
        return tuple(Doctor(self.workspace, self.notebook, self._workshop, self.tracker, watch).findings())

    def take_in(
        self, paths: Sequence[str], *, experiment: str = "imported", watch: Watch = unwatched
    ) -> tuple[ImportedFile, ...]:
        """Take pictures, or folders of them, into this workspace; see :mod:`promptlab.lab.maintenance.import_images`.

        Args:
            experiment: of other programs' pictures; PromptLab's own say theirs.

        Raises:
            NotFound: for a path that is not there.
            InputError: when no file says how it was made.
        """
        from promptlab.lab.maintenance.import_images import Importer
        from promptlab.lab.maintenance.scan import pictures_in

        files = list(pictures_in(paths))
        self.check()
        importer = Importer(lambda: self.notebook, self.workspace)
        taken = tuple(importer.take(files, experiment=experiment))
        if not any(one.run is not None for one in taken):
            what = files[0] if len(files) == 1 else f"{len(files)} files"
            problem = next((one.problem for one in taken if one.problem), None) or "holds no picture"
            raise InputError("picture", str(what), problem=problem, allowed="pictures that say how they were made")
        fresh = [self.notebook.run(one.run.id) for one in taken if one.run is not None and (one.files or one.new)]
        for run in fresh:
            self._workshop.show(run, watch)
        for sweep_id in dict.fromkeys(run.sweep_id for run in fresh if run.sweep_id is not None):
            self._workshop.show_sweep(self.notebook.sweep(sweep_id), watch)
        return tuple(dataclasses.replace(one, run=one.run and self.notebook.run(one.run.id)) for one in taken)

    def export(self, ref: str, to: Path | None = None, *, picture: ImageFormat | None = None) -> Exported:
        """Write a run, a sweep or an image to files that need no workspace; see
        :mod:`promptlab.lab.maintenance.export`.

        Args:
            ref: as :meth:`source` and :meth:`sweep_named` know it.
            to: a folder, a ``.zip``, or a picture's file, not there yet.
            picture: the format of the pictures; PNG by default, as they are.

        Raises:
            NotFound, InputError: for what is not there, and what is there already.
            StoreError: when it cannot be written.
        """
        from promptlab.lab.maintenance.export import ImageFormat, export_image, export_runs

        picture = picture or ImageFormat()
        if (sweep_id := self.sweep_named(ref)) is not None:
            sweep = self.notebook.sweep(sweep_id)
            runs = [self.notebook.run(one.run_id) for one in sweep.runs]
            return export_runs(runs, sweep, self.workspace, to, picture)
        source = self.source(ref)
        if source.position is not None:
            return export_image(source.run.images[source.position], self.workspace, to, picture)
        return export_runs([source.run], None, self.workspace, to, picture)

    def effect(
        self,
        ref: str,
        *,
        clip_model: str | None = None,
        score: bool = False,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> PromptEffect:
        """How much each wording of a run changes the picture, against how much the seed does; MLflow is told.

        The plot is put at ``workspace.effect(run)``. See :mod:`promptlab.lab.preferences.prompt_effect`.

        Args:
            ref: as :meth:`source` knows it; of an image, its run is meant.
            clip_model: folder or Hub id; with it, CLIP's distance is measured as well.
            score: whether CLIP's score against the prompt is, too.
            device: where CLIP runs.

        Raises:
            NotFound, InputError: when there is no such run, or not two wordings at two seeds.
            EngineError: when the CLIP model would not load.
            StoreError: when the plot cannot be written.
        """
        from promptlab.lab.preferences.effect_report import save, weigh

        run = self.source(ref).run
        found = weigh(run, self.workspace, clip_model=clip_model, score=score, device=device)
        save(found, run, self.workspace)
        self._workshop.tell_again(run, watch)
        return found

    def extent(self) -> tuple[int, int]:
        """How many runs there are, and how many pictures were made for them."""
        summaries = self.summaries() if self.schema()[0] == HEAD else ()
        return len(summaries), sum(summary.made for summary in summaries)

    def mend(self, findings: Sequence[Finding], *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """Do what loses nothing about ``findings``, and look again.

        A schema is upgraded after a backup, what was left half written is removed, a lost picture is put back from
        MLflow's copy or marked as owed, grids are drawn again, MLflow is told. No picture and no row is deleted.

        Returns:
            What is still to be done.
        """
        from promptlab.lab.maintenance.doctor.findings import Kind
        from promptlab.lab.maintenance.doctor.fix import mend

        if any(finding.kind is Kind.SCHEMA for finding in findings):
            self.upgrade()
            findings = self.checkup(watch=watch)
        if any(finding.fixable for finding in findings):
            mend(findings, self.workspace, self.notebook, self._workshop, watch)
            findings = self.checkup(watch=watch)
        return tuple(findings)

    def sync(self, watch: Watch = unwatched, *, everything: bool = False) -> Synced:
        """Tell MLflow of every ended run and sweep that it does not show, or shows otherwise than the rows have it.

        Told twice it changes nothing the second time. Runs that a process is making are left to it.

        Args:
            everything: tell it of all of them anew.

        Raises:
            TrackerError: when it cannot be asked, or some could not be told; the others are.
        """
        from promptlab.lab.maintenance.doctor.sync import Synced, sync

        if not self.database.is_begun:
            return Synced()
        return sync(self.notebook, self._workshop, self.tracker, watch, everything=everything)

    def upgrade(self) -> tuple[str | None, str]:
        """Make the tables, or bring older ones up to date after a backup; what :meth:`schema` said before."""
        self.check()
        return self.database.upgrade(), HEAD

    def backup(self, file: Path | None = None) -> Path:
        """Copy the database, also while others write to it. The copy, as ``mlflow.db`` in a folder, is a workspace's.

        Args:
            file: where to; beside the database by default.

        Raises:
            NotFound: when there is no database yet.
            InputError: when ``file`` exists, or its folder does not; and for a server, which copies itself.
        """
        if not self.database.is_begun:
            raise NotFound("database", self.database.name, hint='promptlab run "…"')
        self.database.revision()
        if file is not None and file.exists():
            raise InputError(
                "FILE", str(file), problem="exists already", allowed="a new file", hint="promptlab db backup"
            )
        if file is not None and not file.absolute().parent.is_dir():
            raise InputError("FILE", str(file), problem="is in a folder that does not exist", allowed="a new file")
        return self.database.backup(file)

    def serve(self, *, host: str = "127.0.0.1", port: int | None = None) -> AbstractContextManager[MlflowServer]:
        """MLflow's pages of this workspace, for as long as the context lasts: see :func:`promptlab.tracking.serve`."""
        from promptlab.tracking import serve

        allowed = () if host in ("127.0.0.1", "localhost", "::1") else (host, "localhost", "127.0.0.1")
        return serve(self.workspace, host=host, port=port, allowed_hosts=allowed)

    def pages_elsewhere(self, experiment: str | None = None) -> str | None:
        """The address of an experiment's pictures on the MLflow server elsewhere that this lab tells, if it does.

        Raises:
            TrackerError: when that server does not answer.
        """
        if self._address is None:
            return None
        from promptlab.tracking import MlflowTracker

        self._address.hand_over()
        return MlflowTracker(self.workspace, self.tracking_uri).address(experiment)
