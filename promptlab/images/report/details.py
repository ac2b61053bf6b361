"""Returns all that is recorded of an image, its words and its run; what is not known is left out."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

from promptlab.errors import one_line
from promptlab.records import ImageRecord, RunRecord, VariantRecord, plain
from promptlab.records.scorers import score_text
from promptlab.specs import Change

__all__ = ["UniqueTexts", "image_facts", "run_facts", "words_of"]

_WORDS = ("prompts", "negative_prompts")


class UniqueTexts:
    """Keeps a list in which nothing stands twice."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._places: dict[str, int] = {}

    def place(self, item: dict[str, Any]) -> int:
        """Return where ``item`` stands; add it when it is new."""
        key = json.dumps(item, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.items)
            self.items.append(item)
        return self._places[key]


def words_of(run: RunRecord, record: VariantRecord) -> dict[str, Any]:
    """Return a wording, with where it came from."""
    variant = record.variant
    found = {
        "prompt": variant.prompt,
        "negative": variant.negative_prompt,
        "label": variant.label,
        "template": variant.template,
        "replacement": variant.replacement,
        "before": run.prompt_before(record),
    }
    return {"prompt": variant.prompt} | {name: value for name, value in found.items() if value}


def run_facts(run: RunRecord, environments: UniqueTexts) -> dict[str, Any]:
    """Return what the images of a run share."""
    found = {
        "id": run.id,
        "uid": run.uid,
        "experiment": run.experiment,
        "name": run.name,
        "note": run.note,
        "status": run.status.value,
        "error": run.error and one_line(run.error),
        "remarks": [one_line(remark) for remark in run.remarks],
        "created": run.created_at.isoformat(timespec="seconds"),
        "ended": run.ended_at and run.ended_at.isoformat(timespec="seconds"),
        "load_seconds": _number(run.load_seconds),
        "generate_seconds": _number(run.generate_seconds),
        "seconds": _number(run.seconds_per_image),
        "model_identity": run.model_identity,
        "vae_identity": run.vae_identity,
        "parent": run.parent_run_id,
        "changes": [_change(change) for change in run.changes if change.field not in _WORDS],
        "setting": [[name, value] for name, value in _setting(run)],
        "environment": environments.place({name: _said(value) for name, value in run.environment.facts.items()}),
        "environment_hash": run.environment.hash,
        "sweep": run.sweep_id,
        "values": [list(pair) for pair in run.sweep_values],
        "origin": None if run.origin is None else f"{run.origin.program}, {run.origin.file}",
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def image_facts(image: ImageRecord, run: RunRecord) -> dict[str, Any]:
    """Return what one image has for itself."""
    elsewhere = image.environment if image.environment != run.environment.hash else None
    return {
        "position": image.position,
        "variant": image.variant,
        "seed": image.seed,
        "status": image.status.value,
        "width": image.width,
        "height": image.height,
        "seconds": _number(image.seconds),
        "flag": image.flag,
        "error": image.error and one_line(image.error),
        "recipe": image.recipe_key,
        "pixels": image.pixel_sha256,
        "batch": image.batch,
        "slot": image.slot,
        "batch_size": image.batch_size,
        "decoded_in": image.decoded_in,
        "memory": image.peak_memory,
        "made": image.made_at and image.made_at.isoformat(timespec="seconds"),
        "parent": _ref(image.parent),
        "linked": _ref(image.linked),
        "environment": elsewhere,
        "verified": None if image.verified is None else _verified(image),
        "scores": {name: float(score_text(name, value)) for name, value in image.scores.items()} or None,
    }


def _verified(image: ImageRecord) -> str:
    found = plain(image.verified)
    parts = [found["outcome"]]
    if found["differing_pixels"]:
        parts.append(f"{found['differing_pixels']} pixels differ, by at most {found['greatest_difference']} of 255")
    return ", ".join((*parts, f"at {found['verified_at'][:19]} UTC"))


def _setting(run: RunRecord) -> Iterator[tuple[str, str]]:
    """Yield every field of pipeline, call and machine that has a value, by diffusers' name."""
    spec = run.spec
    for part in (spec.pipeline, spec.call):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if field.name == "arguments":
                yield from ((name, _said(inner)) for name, inner in value)
            elif value not in (None, ()) and value is not False:
                name = "weights variant" if field.name == "variant" else field.name
                yield name, _said(value)
    yield "batch_size", _said(spec.batch_size)
    yield "device", run.device
    yield "generator_device", spec.generator_device
    yield from ((name, _said(value)) for name, value in spec.machine.said.items())


def _change(change: Change) -> list[str]:
    return [change.field, _said(change.before), _said(change.after)]


def _ref(image: tuple[int, int] | None) -> str | None:
    return None if image is None else f"{image[0]}/{image[1]}"


def _number(value: float | None) -> float | None:
    """Round to four digits, which tell all that timing can; JSON has no infinity."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _said(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    return "default" if value is None else str(value)
