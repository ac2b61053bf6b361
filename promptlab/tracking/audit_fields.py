"""Where MLflow says something else than the records. What it ought to say comes from the pages that tell it.

One :class:`MlflowDifference` a run or sweep, however much of it differs: what mends it is to tell it anew, and that
mends
all of it. MLflow's parameters alone cannot be changed. Names and descriptions are the reader's to edit and are not
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptlab.errors import one_line
from promptlab.records import RunStatus
from promptlab.tracking.pictures import PlacedImage
from promptlab.tracking.sweep_run import SweepParentRun
from promptlab.tracking.variant_run import UID_TAG, VARIANT_TAG, VariantRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

__all__ = ["ArtifactFile", "MlflowDifference", "differing", "shown_runs", "stale_tags", "variant_of"]

_NAMED: Final = 3
"""Disagreements of one run that are named; the others are counted."""

_MISSING: Final = "is missing in MLflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowDifference:
    """MLflow and the records disagree.

    Args:
        problem: how, in a line: ``not in MLflow``.
        run_id, sweep_id: whose; neither, for an MLflow run of ours that no record knows.
        mlflow_run_id: MLflow's own; ``None`` where it has none.
        mendable: whether telling it anew would mend it.
        folder: where its files lie, relative to the workspace; ``None`` where they lie elsewhere.
    """

    problem: str
    run_id: int | None = None
    sweep_id: int | None = None
    mlflow_run_id: str | None = None
    mendable: bool = True
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """A file that MLflow shows: where it lies, when on this machine, and its size in bytes."""

    size: int
    path: Path | None = None

    def holds(self, source: Path) -> bool:
        """Whether it is what ``source`` is; of files elsewhere only the size is known."""
        if self.path is None:
            return self.size == source.stat().st_size
        if self.path.samefile(source):
            return True
        return self.size == source.stat().st_size and self.path.read_bytes() == source.read_bytes()


def shown_runs(client: MlflowClient) -> dict[str, list[Run]]:
    """Every MLflow run of ours, deleted ones too, by the uid of the run or sweep that it shows."""
    from mlflow.entities import ViewType

    experiments = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
    found: dict[str, list[Run]] = {}
    token: str | None = ""
    while experiments and token is not None:
        part = client.search_runs(
            experiments,
            filter_string=f"tags.`{UID_TAG}` LIKE '%'",
            run_view_type=ViewType.ALL,
            max_results=1000,
            page_token=token or None,
        )
        for one in part:
            found.setdefault(one.data.tags[UID_TAG], []).append(one)
        token = part.token or None
    return found


def differing(
    page: VariantRun | SweepParentRun,
    shown: Run | None,
    *,
    files: Callable[[Run], Mapping[str, ArtifactFile]],
    expected: Iterable[PlacedImage],
) -> tuple[str, bool]:
    """How ``shown`` differs from ``page``, empty when it does not; and whether telling it anew would mend it.

    Args:
        files: what lies in an MLflow run's folder, by name.
        expected: what ought to.
    """
    if shown is None:
        return "not in MLflow", True
    if shown.info.lifecycle_stage == "deleted":
        return "deleted in MLflow", True
    for_good = list(_values("parameter", page.params(), shown.data.params))
    said = [*_standing(page, shown), *_words(page, shown), *_lost_files(files(shown), expected)]
    missing = [text for text in for_good if text.endswith(_MISSING)]
    problems = [*for_good, *said]
    more = f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    return "; ".join(islice(problems, _NAMED)) + more, bool(said or missing)


def stale_tags(tags: Mapping[str, str], had: Mapping[str, str]) -> list[str]:
    """The tags of ours that MLflow ``had`` and that no longer hold: an error that a resume has mended."""
    return [name for name in had if name.startswith("promptlab.") and name not in tags]


def _standing(page: VariantRun | SweepParentRun, shown: Run) -> Iterator[str]:
    status = page.run.status if isinstance(page, VariantRun) else page.status
    if shown.info.status != status:
        yield f"{shown.info.status} in MLflow and {status} here"
    if status is not RunStatus.RUNNING and shown.info.end_time != page.end_ms:
        yield "ended at another time in MLflow"


def _words(page: VariantRun | SweepParentRun, shown: Run) -> Iterator[str]:
    tags = page.tags()
    yield from _values("tag", tags, shown.data.tags)
    for name in stale_tags(tags, shown.data.tags):
        yield f"tag {name} no longer holds"
    yield from _values("metric", page.metrics(), shown.data.metrics)


def _values(kind: str, here: Mapping[str, object], there: Mapping[str, object]) -> Iterator[str]:
    for name, value in here.items():
        if name not in there:
            yield f"{kind} {name} {_MISSING}"
        elif there[name] != value:
            told, known = (one_line(each, limit=60) for each in (there[name], value))
            yield f"{kind} {name} is '{told}' in MLflow and '{known}' here"


def _lost_files(there: Mapping[str, ArtifactFile], expected: Iterable[PlacedImage]) -> Iterator[str]:
    try:
        for one in expected:
            if one.name not in there:
                yield f"file {one.name} {_MISSING}"
            elif isinstance(one.source, Path) and not there[one.name].holds(one.source):
                yield f"file {one.name} is another in MLflow"
    except FileNotFoundError:
        return  # a picture of ours is gone: MLflow cannot be blamed for that


def variant_of(shown: Run) -> int | None:
    """Which variant an MLflow run of ours shows; ``None`` for a sweep."""
    place = shown.data.tags.get(VARIANT_TAG, "")
    return int(place) if place.isdigit() else None
