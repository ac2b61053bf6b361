"""Holds what was made with the lab that made it: runs and images show themselves, and are varied.

A record is a value and knows no folder. A handle is a record and its lab: it opens files, and begins the next run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from promptlab.api.keywords import RerunWords, takes_keywords
from promptlab.api.launching import rerun_words
from promptlab.errors import NotFound
from promptlab.lab.history.display import ImageDisplay, RunDisplay, img_tag, sheet_png, table_columns, table_rows
from promptlab.lab.history.rerun import RunOrImage
from promptlab.records import ImageRecord, RunRecord, RunStatus, RunSummary, SweepRecord

if TYPE_CHECKING:
    import PIL.Image
    from pandas import DataFrame

    from promptlab.lab import Lab
    from promptlab.lab.execution.events import Watch
    from promptlab.serving.remote_lab import RemoteLab
    from promptlab.specs import RunSpec

__all__ = ["Image", "Run", "Runs", "SweepRuns"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Image:
    """Holds one image of a run, made or still owed.

    Args:
        record: everything recorded about it.
        of: everything recorded about its run.
        lab: what made it.
    """

    record: ImageRecord
    of: RunRecord = field(compare=False)
    lab: Lab | RemoteLab = field(compare=False)

    @property
    def ref(self) -> str:
        """Return its name, ``3/12``, by which every command and method finds it."""
        return self.record.ref

    @property
    def seed(self) -> int:
        """Return its seed, 0 … 2³²−1."""
        return self.record.seed

    @property
    def prompt(self) -> str:
        """Return the prompt that it was made from, in full."""
        return self._display.prompt

    @property
    def negative_prompt(self) -> str:
        """Return what was steered away from; empty where nothing was."""
        return self.of.variants[self.record.variant].variant.negative_prompt

    @property
    def run(self) -> Run:
        """Return the run that it is an image of."""
        return Run(record=self.of, lab=self.lab)

    @property
    def path(self) -> Path:
        """Return the absolute path of its PNG.

        Raises:
            InputError: when it is not made yet.
        """
        return self._display.path

    def open(self) -> PIL.Image.Image:
        """Open it with Pillow, as RGB, width × height pixels.

        Raises:
            InputError: when it is not made yet, or its file is gone or damaged.
        """
        return self._display.open()

    @takes_keywords(RerunWords)
    def rerun(
        self,
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> Run:
        """Make it again with other words, seeds or settings, as :meth:`PythonLab.rerun` does."""
        found = RunOrImage(run=self.of, position=self.record.position)
        remembered = {"experiment": experiment, "name": name, "note": note}
        record = rerun_words(self.lab, found, keywords, again=again, watch=watch, remembered=remembered)
        return Run(record=record, lab=self.lab)

    @property
    def _display(self) -> ImageDisplay:
        return ImageDisplay(run=self.of, record=self.record, workspace=self.lab.workspace)

    def __repr__(self) -> str:
        return repr(self._display)

    def _repr_png_(self) -> bytes | None:
        return self._display._repr_png_()

    def _repr_html_(self) -> str:
        return self._display._repr_html_()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run:
    """Holds a run as it was when it was asked for. At the end of a notebook's cell it shows its grid.

    Args:
        record: everything recorded about it.
        lab: what made it.
    """

    record: RunRecord
    lab: Lab | RemoteLab = field(compare=False)

    @property
    def id(self) -> int:
        """Return its number in the workspace, from 1."""
        return self.record.id

    @property
    def status(self) -> RunStatus:
        """Return its status, in MLflow's words."""
        return self.record.status

    @property
    def spec(self) -> RunSpec:
        """Return what it was made from, with every default filled in."""
        return self.record.spec

    @property
    def prompts(self) -> tuple[str, ...]:
        """Return its prompts in full: the rows of the grid."""
        return tuple(variant.prompt for variant in self.record.spec.variants)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return its seeds: the columns of the grid."""
        return self.record.spec.seeds

    @property
    def images(self) -> tuple[Image, ...]:
        """Return its images, prompt by prompt, seed by seed: ``images[3]`` of run 7 is ``7/3``."""
        return tuple(Image(record=image, of=self.record, lab=self.lab) for image in self.record.images)

    @property
    def grid(self) -> PIL.Image.Image:
        """Open the labelled grid with Pillow, as RGB.

        Raises:
            NotFound: when it is not drawn, or lies on another machine.
            InputError: when the file is damaged.
        """
        return _picture(self.grid_path)

    @property
    def grid_path(self) -> Path:
        """Return the absolute path of the grid's PNG."""
        return self.lab.workspace.grid(self.record.id)

    @property
    def report_path(self) -> Path:
        """Return the absolute path of the HTML report."""
        return self.lab.workspace.report(self.record.id)

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each image: words, seed, settings, seconds, file. Imports pandas."""
        return _table([self.record])

    @takes_keywords(RerunWords)
    def rerun(
        self,
        *,
        experiment: str | None = None,
        name: str | None = None,
        note: str | None = None,
        again: bool = False,
        watch: Watch | None = None,
        **keywords: Any,
    ) -> Run:
        """Make it again with other words, seeds or settings, as :meth:`PythonLab.rerun` does."""
        remembered = {"experiment": experiment, "name": name, "note": note}
        found = RunOrImage(run=self.record)
        record = rerun_words(self.lab, found, keywords, again=again, watch=watch, remembered=remembered)
        return Run(record=record, lab=self.lab)

    @property
    def _display(self) -> RunDisplay:
        return RunDisplay(record=self.record, workspace=self.lab.workspace)

    def __repr__(self) -> str:
        return repr(self._display)

    def _repr_png_(self) -> bytes | None:
        return self._display._repr_png_()

    def _repr_html_(self) -> str:
        return self._display._repr_html_()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SweepRuns:
    """Holds a sweep: a run for each combination of its axes, and one overview.

    Args:
        record: everything recorded about it.
        lab: what made it.
    """

    record: SweepRecord
    lab: Lab | RemoteLab = field(compare=False)

    @property
    def id(self) -> int:
        """Return its number in the workspace, from 1; ``sweep:<id>`` names it on the command line."""
        return self.record.id

    @property
    def runs(self) -> tuple[Run, ...]:
        """Look its runs up, in the order in which they were begun."""
        return tuple(_find_run(self.lab, one.run_id) for one in self.record.runs)

    @property
    def grid(self) -> PIL.Image.Image:
        """Open the first page of the overview with Pillow, as RGB.

        Raises:
            NotFound: when it is not drawn, or lies on another machine.
            InputError: when the file is damaged.
        """
        return _picture(self.grid_path)

    @property
    def grid_path(self) -> Path:
        """Return the absolute path of the overview's first page."""
        return self.lab.workspace.sweep_grid(self.record.id, 1)

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each image of all its runs. Imports pandas."""
        return _table(run.record for run in self.runs)

    def __repr__(self) -> str:
        return f"<sweep {self.record.id}: {len(self.record.runs)} runs>"

    def _repr_png_(self) -> bytes | None:
        return sheet_png(self.grid_path)

    def _repr_html_(self) -> str:
        shown = img_tag(self._repr_png_(), alt=f"overview of sweep {self.record.id}")
        return shown or f"<p>{escape(repr(self))}</p>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Runs(Sequence[Run]):
    """Holds the list of a workspace's runs, newest first. A run is looked up when it is asked for.

    Args:
        summaries: a line for each.
        lab: what made them.
    """

    summaries: tuple[RunSummary, ...]
    lab: Lab | RemoteLab = field(compare=False)

    def __len__(self) -> int:
        return len(self.summaries)

    @overload
    def __getitem__(self, place: int) -> Run: ...
    @overload
    def __getitem__(self, place: slice) -> Runs: ...
    def __getitem__(self, place: int | slice) -> Run | Runs:
        if isinstance(place, slice):
            return Runs(summaries=self.summaries[place], lab=self.lab)
        return _find_run(self.lab, self.summaries[place].id)

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each image of all of them, oldest first. Imports pandas."""
        return _table(run.record for run in reversed(self))

    def __repr__(self) -> str:
        return "\n".join(f"{' '.join(line)}" for line in self._lines()) or "<no runs>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>" for line in self._lines())
        return f"<table>{rows}</table>" if rows else "<p>no runs yet</p>"

    def _lines(self) -> Iterator[tuple[str, ...]]:
        for run in self.summaries:
            more = f" (+{run.variants - 1})" if run.variants > 1 else ""
            yield (
                str(run.id), f"{run.created_at:%Y-%m-%d %H:%M}", run.experiment, run.status.lower(),
                f"{run.made}/{run.images}", (run.name or run.prompt) + more,
            )  # fmt: skip


def _find_run(lab: Lab | RemoteLab, run_id: int) -> Run:
    return Run(record=lab.history.find(str(run_id)).run, lab=lab)


def _table(runs: Iterable[RunRecord]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(table_rows(runs), columns=list(table_columns()))


def _picture(path: Path) -> PIL.Image.Image:
    from PIL import Image as Pillow

    from promptlab.images.png import read_pixels

    if not path.is_file():
        raise NotFound("grid", str(path), allowed="what was drawn on this machine")
    return Pillow.fromarray(read_pixels(path))
