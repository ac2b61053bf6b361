"""Checks, fixes, imports, exports, synchronizes and backs up a workspace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from promptlab.errors import InputError, NotFound
from promptlab.lab.context import LabContext
from promptlab.lab.execution.watch import unwatched
from promptlab.lab.history.refs import find_run_or_image, find_sweep, find_sweep_runs
from promptlab.store.migrate import HEAD

if TYPE_CHECKING:
    from promptlab.images.foreign import ForeignMetadata
    from promptlab.lab.execution.events import Watch
    from promptlab.lab.history.rerun import RunOrImage
    from promptlab.lab.maintenance.doctor.findings import Finding
    from promptlab.lab.maintenance.doctor.sync import SyncResult
    from promptlab.lab.maintenance.export import ExportResult, ImageFormat
    from promptlab.lab.maintenance.scan import ImportResult
    from promptlab.records import SweepRecord
    from promptlab.tracking import MlflowServer
    from promptlab.tracking.beside_page import PageBeside

__all__ = ["Maintenance"]


class Maintenance:
    """Looks after the database, the image files and the MLflow rows of one workspace; ``Lab.maintenance``."""

    def __init__(self, context: LabContext) -> None:
        self._context = context

    def doctor(self, *, deep: bool = False, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """Check that database, image files and MLflow agree. Changes nothing.

        Args:
            deep: read every image, also those that agreed once and whose size and time have not changed since.

        Raises:
            WorkspaceError: when a newer PromptLab wrote the database.
            StoreError: when it fails while it is read.
        """
        from promptlab.lab.maintenance.doctor import Doctor

        return tuple(Doctor(self._context, watch, deep=deep).findings())

    def check_weights(self, *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """Read weights anew whose hashes are remembered on this machine.

        They are gigabytes, so that this is no part of :meth:`doctor`.

        Returns:
            Files that are not what was remembered of them; they are remembered rightly from now on.
        """
        from promptlab.lab.maintenance.doctor.remembered_hashes import check_weights

        return tuple(check_weights(watch))

    def fix(self, findings: Sequence[Finding], *, watch: Watch = unwatched) -> tuple[Finding, ...]:
        """Fix those of ``findings`` that can be fixed without losing anything, then check again.

        Upgrades the schema after a backup, removes files that were left half written, restores a lost image from
        MLflow's copy or marks it as owed, draws grids again, records runs in MLflow. Deletes no image and no row.

        Returns:
            The findings that are left.
        """
        from promptlab.lab.maintenance.doctor.findings import FindingKind
        from promptlab.lab.maintenance.doctor.fix import fix_findings

        if any(finding.kind is FindingKind.SCHEMA for finding in findings):
            self.upgrade()
            findings = self.doctor(watch=watch)
        if any(finding.fixable for finding in findings):
            fix_findings(findings, self._context, watch)
            findings = self.doctor(watch=watch)
        return tuple(findings)

    def import_images(
        self, paths: Sequence[str], *, experiment: str = "imported", watch: Watch = unwatched
    ) -> tuple[ImportResult, ...]:
        """Import image files, or folders of them; see :mod:`promptlab.lab.maintenance.import_images`.

        Args:
            experiment: for images of other programs; PromptLab's own name theirs.

        Raises:
            NotFound: for a path that does not exist.
            InputError: when no file says how it was made.
        """
        from promptlab.lab.maintenance.import_images import Importer
        from promptlab.lab.maintenance.scan import image_files

        context = self._context
        files = list(image_files(paths))
        context.check()
        importer = Importer(lambda: context.notebook, context.workspace)
        imported = tuple(importer.import_files(files, experiment=experiment))
        if not any(one.run is not None for one in imported):
            what = files[0] if len(files) == 1 else f"{len(files)} files"
            problem = next((one.problem for one in imported if one.problem), None) or "holds no picture"
            raise InputError("picture", str(what), problem=problem, allowed="pictures that say how they were made")
        fresh = [context.notebook.run(one.run.id) for one in imported if one.run is not None and (one.files or one.new)]
        for run in fresh:
            context.publisher.publish_run(run, watch)
        for sweep_id in dict.fromkeys(run.sweep_id for run in fresh if run.sweep_id is not None):
            context.publisher.publish_sweep(context.notebook.sweep(sweep_id), watch)
        return tuple(dataclasses.replace(one, run=one.run and context.notebook.run(one.run.id)) for one in imported)

    def read_file(self, path: Path) -> RunOrImage | SweepRecord | ForeignMetadata | None:
        """Read what an image file says whose run is not in this workspace; None where it is.

        Raises:
            InputError: when it is no image, or a damaged one.
        """
        from promptlab.lab.maintenance.file_record import read_file

        return read_file(path, self._context)

    def export(
        self, ref: str, to: Path | None = None, *, image_format: ImageFormat | None = None, raw_csv: bool = False
    ) -> ExportResult:
        """Write a run, a sweep or an image to files that need no workspace.

        See :mod:`promptlab.lab.maintenance.export`.

        Args:
            ref: a run, image or sweep, as :attr:`promptlab.lab.Lab.history` finds them.
            to: a folder, a ``.zip``, or an image file, that does not exist yet.
            image_format: the format of the images; PNG by default, copied as they are.
            raw_csv: whether texts in ``images.csv`` that a spreadsheet would compute stay as they are.

        Raises:
            NotFound, InputError: for what does not exist, and for a target that does.
            StoreError: when it cannot be written.
        """
        from promptlab.lab.maintenance.export import ImageFormat, export_image, export_runs

        context = self._context
        image_format = image_format or ImageFormat()
        if (sweep_id := find_sweep(ref, context)) is not None:
            sweep = find_sweep_runs(sweep_id, context)
            runs = context.notebook.runs([one.run_id for one in sweep.runs])
            return export_runs(runs, sweep, context.workspace, to, image_format, raw_csv=raw_csv)
        source = find_run_or_image(ref, context)
        if source.position is not None:
            return export_image(source.run.images[source.position], context.workspace, to, image_format)
        return export_runs([source.run], None, context.workspace, to, image_format, raw_csv=raw_csv)

    def sync(self, watch: Watch = unwatched, *, everything: bool = False) -> SyncResult:
        """Record in MLflow every ended run and sweep that it lacks, or shows otherwise than the database.

        A second call changes nothing. Runs that another process is making are left to it.

        Args:
            everything: record all of them again.

        Raises:
            TrackerError: when MLflow cannot be read, or some could not be recorded; the others are.
        """
        from promptlab.lab.maintenance.doctor.sync import SyncResult, sync

        if not self._context.database.is_begun:
            return SyncResult()
        return sync(self._context, watch, everything=everything)

    def schema(self) -> tuple[str | None, str]:
        """Return the database's schema revision (``None``: no tables of ours yet), and the one written here."""
        return self._context.database.revision(), HEAD

    def upgrade(self) -> tuple[str | None, str]:
        """Create the tables, or upgrade older ones after a backup; return what :meth:`schema` said before."""
        self._context.check()
        return self._context.database.upgrade(), HEAD

    def upgrade_mlflow(self) -> tuple[str, str] | None:
        """Upgrade the tables of an older MLflow in the workspace's file by its own migrations, after a backup.

        Returns:
            The schema that they had and the one that they have; None where there are none, or none that are older.

        Raises:
            TrackerError: when they could not be upgraded; the sentence names the copy.
        """
        from promptlab.store.sqlite import SqliteDatabase
        from promptlab.tracking.schema import upgrade_schema

        workspace = self._context.workspace
        return upgrade_schema(workspace, lambda: SqliteDatabase(workspace.database).backup(None))

    def backup(self, file: Path | None = None) -> Path:
        """Copy the database, also while others write to it; return the copy.

        Named ``mlflow.db`` and in a folder of its own, the copy is a workspace's database.

        Args:
            file: the copy; beside the database by default.

        Raises:
            NotFound: when there is no database yet.
            InputError: when ``file`` exists, or its folder does not; and for a server, which copies itself.
        """
        database = self._context.database
        if not database.is_begun:
            raise NotFound("database", database.name, hint='promptlab run "…"')
        database.revision()
        if file is not None and file.exists():
            raise InputError(
                "backup_file", str(file), problem="exists already", allowed="a new file", hint="promptlab db backup"
            )
        if file is not None and not file.absolute().parent.is_dir():
            problem = "is in a folder that does not exist"
            raise InputError("backup_file", str(file), problem=problem, allowed="a new file")
        return database.backup(file)

    def serve(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        page: PageBeside | None = None,
        going: Callable[[], bool] = lambda: True,
    ) -> AbstractContextManager[MlflowServer]:
        """Serve MLflow's UI of this workspace while the context lasts; see :func:`promptlab.tracking.serve`."""
        from promptlab.tracking import serve

        return serve(self._context.workspace, host=host, port=port, page=page, going=going)

    def remote_ui_url(self, experiment: str | None = None) -> str | None:
        """Return the URL of an experiment on the MLflow server elsewhere that this lab records on, if it does.

        Raises:
            TrackerError: when that server does not answer.
        """
        address = self._context.tracking_address
        if address is None:
            return None
        from promptlab.tracking import MlflowTracker

        address.hand_over()
        return MlflowTracker(self._context.workspace, address.url).address(experiment)
