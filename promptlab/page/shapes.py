"""Writes records as a page reads them: runs and images as JSON, with the words that changed marked.

Invariant: what is listed is bounded: of a run with many images a part is written, and how many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptlab.errors import PromptLabError, one_line
from promptlab.expand.settings_text import change_parts
from promptlab.expand.word_diff import word_diff
from promptlab.page.page_request import field_of
from promptlab.page.typed_settings import typed_settings
from promptlab.plan import DEFAULT_BATCH_SIZE
from promptlab.records import ImageRecord, ImageStatus, RunRecord, VariantRecord
from promptlab.specs import Change
from promptlab.specs.settings import Setting
from promptlab.workspace import Workspace

__all__ = ["RunShape", "error_shape", "image_shape", "image_urls", "rating_shape", "setting_shape"]

_WORDS: Final = ("prompts", "negative_prompts")
_MOST: Final = 1000
_MOST_CUT: Final = 20
_PLACE: Final = Workspace(Path("/"))
"""Names the folders of runs and sweeps, which are called alike in every workspace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShape:
    """Writes runs.

    Args:
        is_in_mlflow: whether MLflow's pages are served, and lead to those that they know.
        reports: begins the addresses of reports, which lie there as they lie in the folder of images.
        children: the numbers of the runs that were varied from each, by its own.
    """

    is_in_mlflow: bool = False
    reports: str
    children: Mapping[int, Sequence[int]]

    def of(self, run: RunRecord, *, first: int = 0, most: int) -> dict[str, Any]:
        """Return ``run`` with at most ``most`` of its images, from position ``first`` on."""
        image = run.parent_image
        parent = None
        if run.parent_run_id is not None:
            parent = {"run": run.parent_run_id, "position": None if image is None else image[1]}
        images = run.images[first : first + most]
        shown = {each.variant for each in images} | {each.position for each in run.variants[:most]}
        return {
            "id": run.id,
            "uid": run.uid,
            "name": run.name,
            "note": run.note,
            "experiment": run.experiment,
            "status": run.status.value,
            "error": run.error and one_line(run.error),
            "created_at": run.created_at.isoformat(timespec="seconds"),
            "ended_at": run.ended_at and run.ended_at.isoformat(timespec="seconds"),
            "sweep": None if run.sweep_id is None else self._sweep(run, run.sweep_id),
            "parent": parent,
            "children": list(self.children.get(run.id, ())[:_MOST]),
            "change": [_change(change) for change in run.changes if _is_asked(change, run)],
            "variants": [_variant(run, each) for each in run.variants if each.position in shown],
            "seeds": list(run.spec.seeds[:_MOST]),
            "settings": _asked_settings(run),
            "batch_size": run.spec.batch_size,
            "images": [image_shape(each) for each in images],
            "images_count": len(run.images),
            "made": len(run.made),
            "seconds": run.seconds_per_image,
            "grid": f"/grids/{run.id}.png" if run.ended_at is not None else None,
            "report": self._report(_PLACE.run_folder(run.id)) if run.ended_at is not None else None,
            "mlflow_url": self._mlflow(run),
            "origin": None if run.origin is None else _origin(run),
            "cut": [{"prompt": each.prompt, "words": each.words} for each in run.cut[:_MOST_CUT]],
        }

    def _sweep(self, run: RunRecord, sweep_id: int) -> dict[str, Any]:
        return {
            "id": sweep_id,
            "values": [*map(list, run.sweep_values)],
            "report": self._report(_PLACE.sweep_folder(sweep_id)),
        }

    def _report(self, folder: Path) -> str:
        return f"{self.reports}/{folder.name}/{_PLACE.report(0).name}"

    def _mlflow(self, run: RunRecord) -> str | None:
        known = any(each.mlflow_run_id is not None for each in run.variants)
        return f"/mlflow/{run.id}" if known and self.is_in_mlflow else None


def image_shape(image: ImageRecord) -> dict[str, Any]:
    """Return one image; its files are named once it is made."""
    thumb, full = image_urls(image)
    return {
        "position": image.position,
        "variant": image.variant,
        "seed": image.seed,
        "status": image.status.value,
        "thumb": thumb,
        "full": full,
        "width": image.width,
        "height": image.height,
        "pixels": image.pixel_sha256,
        **rating_shape(image),
        "seconds": image.seconds,
        "verified": None if image.verified is None else image.verified.outcome.value,
        "linked": None if image.linked is None else f"{image.linked[0]}/{image.linked[1]}",
        "parent": None if image.parent is None else {"run": image.parent[0], "position": image.parent[1]},
        "flag": image.flag,
        "error": image.error and one_line(image.error),
        "recipe_key": image.recipe_key,
    }


def image_urls(image: ImageRecord) -> tuple[str | None, str | None]:
    """Return where thumbnail and picture are, with the pixels' hash: both may be kept for ever."""
    if image.status is not ImageStatus.MADE or image.pixel_sha256 is None:
        return None, None
    place, version = f"{image.run_id}/{image.position}", image.pixel_sha256[:16]
    return f"/thumbs/{place}?v={version}", f"/images/{place}.png?v={version}"


def rating_shape(image: Any) -> dict[str, Any]:
    """Return how an image is rated: of a record of it, or of its rating alone."""
    return {
        "stars": image.stars,
        "favourite": bool(image.favourite),
        "votes_won": image.votes_won,
        "votes_lost": image.votes_lost,
    }


def error_shape(error: PromptLabError) -> dict[str, Any]:
    """Return an error: its sentence, and the part of a request that it is about."""
    return {"message": one_line(error, limit=1500), "field": field_of(error)}


def setting_shape(row: Setting, option: str, choices: Collection[str]) -> dict[str, Any]:
    """Return a row of the table of settings."""
    return {
        "name": row.name,
        "option": option,
        "kind": row.kind,
        "help": row.option_help or row.help,
        "minimum": row.minimum,
        "maximum": row.maximum,
        "choices": list(choices),
        "example": row.example,
        "group": row.part,
    }


def _variant(run: RunRecord, record: VariantRecord) -> dict[str, Any]:
    variant = record.variant
    before = run.prompt_before(record)
    return {
        "index": record.position,
        "prompt": variant.prompt,
        "negative": variant.negative_prompt,
        "label": variant.label,
        "template": variant.template,
        "marks": None if before is None else [[each.kind, each.text] for each in word_diff(before, variant.prompt)],
    }


def _is_asked(change: Change, run: RunRecord) -> bool:
    """Tell whether a change is one that somebody made, and is not shown as words are."""
    return change.field not in _WORDS and (change.field != "batch_size" or _names_batch_size(run))


def _asked_settings(run: RunRecord) -> dict[str, str]:
    """Return the settings of a run that tell it from others that were asked for."""
    settings = dict(typed_settings(run.spec))
    if not _names_batch_size(run):
        settings.pop("batch_size", None)
    return settings


def _names_batch_size(run: RunRecord) -> bool:
    """Tell whether a run has another batch size than where nobody names one."""
    return run.sweep_id is None and run.spec.batch_size != min(DEFAULT_BATCH_SIZE, run.spec.image_count)


def _change(change: Change) -> dict[str, str]:
    name, before, after = change_parts(change)
    return {"what": name, "from": before, "to": after}


def _origin(run: RunRecord) -> dict[str, Any]:
    origin = run.origin
    assert origin is not None  # noqa: S101 - asked before
    return {
        "program": origin.program,
        "file": origin.file,
        "losses": [{"name": each.name, "value": each.value, "why": each.why} for each in origin.lost],
    }
