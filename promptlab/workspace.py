"""Names the files of a workspace: one folder that holds all state and can be moved.

::

    <workspace>/
      mlflow.db          SQLite: MLflow's tables and, beside them, ours (``promptlab_…``)
      images/<run>/      one PNG an image, and the run's grid and report
      images/diff-<…>    two runs side by side
      images/sweep-<n>/  the overviews of a sweep, a page each, and its report
      mlartifacts/       what MLflow shows: hard links to the above, in MLflow's own layout

Our rows may also be on a server; then ``mlflow.db`` is MLflow's alone, and all else stays where it is.

Paths are made from numbers and hashes only, never from a prompt or a name: no text that a user types can lead a file
out of the folder. Rows hold paths relative to the workspace, with forward slashes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from promptlab.errors import WorkspaceError, ref_value

__all__ = ["Workspace"]


@dataclass(frozen=True, slots=True)
class Workspace:
    """Names the files below the folder ``root`` (absolute). Creating one touches no file.

    Args:
        database_url: where our rows are when they are not in the folder's ``mlflow.db``. A password may stand in it:
            ``repr`` does not show it, and nothing but :mod:`promptlab.store` reads it.
    """

    root: Path
    database_url: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, folder: str | os.PathLike[str] | None = None, database_url: str | None = None) -> Workspace:
        """Return the workspace in ``folder``, or in the current folder."""
        return cls(Path(folder or ".").expanduser().resolve(), database_url)

    @property
    def database(self) -> Path:
        """Return the SQLite file of MLflow's tables, and of ours where no :attr:`database_url` is set."""
        return self.root / "mlflow.db"

    @property
    def lock(self) -> Path:
        """Return the file that is locked while tables are created.

        MLflow's own set-up is not safe to run twice at once.
        """
        return self.root / ".promptlab.lock"

    def tracking_lock(self, url: str) -> Path:
        """Return the file that is locked while the MLflow server at ``url`` is told of a run."""
        from hashlib import sha256

        return self.root / f".tracking-{sha256(url.encode()).hexdigest()[:8]}.lock"

    @property
    def ratings_lock(self) -> Path:
        """Return the file that is locked while MLflow is told of ratings.

        One process at a time tells it of all of them.
        """
        return self.root / ".promptlab-ratings.lock"

    @property
    def artifacts(self) -> Path:
        """Return the folder that ``mlflow server --artifacts-destination`` serves."""
        return self.root / "mlartifacts"

    def run_folder(self, run_id: int) -> Path:
        """Return the folder of the images and the grid of run ``run_id``."""
        return self.root / "images" / f"{run_id:05d}"

    def image_name(self, variant: int, seed: int) -> str:
        """Return the file name of the image of variant number ``variant`` (from 0) at ``seed``."""
        return f"v{variant:02d}-seed{seed}.png"

    def grid(self, run_id: int) -> Path:
        """Return the labelled grid of run ``run_id``."""
        return self.run_folder(run_id) / "grid.png"

    def report(self, run_id: int) -> Path:
        """Return the HTML report of run ``run_id``."""
        return self.run_folder(run_id) / "report.html"

    def effect(self, run_id: int) -> Path:
        """Return the plot of the prompt effect of run ``run_id``; the figures are beside it: ``effect.json``."""
        return self.run_folder(run_id) / "effect.png"

    def artifact_name(self, seed: int, greatest: int) -> str:
        """Return the path of the image at ``seed`` among a variant's artifacts in MLflow.

        Args:
            greatest: the greatest of the run's seeds: padded to one width, names sort as the seeds do.
        """
        return f"pictures/seed-{seed:0{len(str(greatest))}}.png"

    def comparison(self, before: tuple[int, int | None], after: tuple[int, int | None]) -> Path:
        """Return the image that shows two runs or images side by side, each given by run and position."""
        names = [f"{run:05d}" + ("" if position is None else f".{position}") for run, position in (before, after)]
        return self.root / "images" / f"diff-{names[0]}-{names[1]}.png"

    def sweep_folder(self, sweep_id: int) -> Path:
        """Return the folder of the overview of sweep ``sweep_id``."""
        return self.root / "images" / f"sweep-{sweep_id:05d}"

    def sweep_grid(self, sweep_id: int, page: int) -> Path:
        """Return page ``page`` (from 1) of the overview of sweep ``sweep_id``."""
        return self.sweep_folder(sweep_id) / f"grid-{page}.png"

    def sweep_report(self, sweep_id: int) -> Path:
        """Return the HTML report of sweep ``sweep_id``."""
        return self.sweep_folder(sweep_id) / "report.html"

    def sweep_effect(self, sweep_id: int, setting: str) -> Path:
        """Return the plot of the effect of ``setting`` in sweep ``sweep_id``."""
        return self.sweep_folder(sweep_id) / f"effect-{re.sub(r'[^A-Za-z0-9_]+', '-', setting)}.png"

    def relative(self, path: Path) -> str:
        """Return ``path`` as rows hold it: relative to the workspace, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def artifact_folder(self, experiment: str) -> str:
        """Return the folder name of an experiment under :attr:`artifacts`: readable and unique."""
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", experiment).strip("-.")[:60]
        if slug == experiment:
            return slug
        from hashlib import sha256

        return f"{slug or 'experiment'}-{sha256(experiment.encode()).hexdigest()[:8]}"

    def check_writable(self) -> None:
        """Check, without writing anything, that this folder can hold a workspace.

        Raises:
            WorkspaceError: when the path is a file, may not be written, or has a character that MLflow's address of the
                database would misread: with ``?`` it silently writes to another folder.
        """
        if self.root.exists() and not self.root.is_dir():
            raise WorkspaceError(
                "workspace",
                str(self.root),
                problem="is a file",
                allowed="a folder",
                hint=ref_value("workspace", "FOLDER"),
            )
        odd = next((character for character in "?%" if character in str(self.root)), None)
        if odd is not None:
            raise WorkspaceError(
                "workspace", str(self.root), problem=f"has a {odd} in its path, which database addresses cannot hold",
                allowed="a folder without ? and % in its path", hint=ref_value("workspace", "FOLDER"),
            )  # fmt: skip
        nearest = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise WorkspaceError(
                "workspace", str(self.root), problem="is read-only", allowed="a folder you may write to",
                hint=ref_value("workspace", "FOLDER"),
            )  # fmt: skip
