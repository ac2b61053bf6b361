"""Keeps what was measured of a run's images after it ended: a file beside them, not a record.

MLflow shows it.

It can be measured again at any time, so it is no part of the truth. It holds the hashes of the images it was measured
on; when they are others, it says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256

from promptlab.records import RunRecord
from promptlab.workspace import Workspace

__all__ = ["measures_json", "measures_of"]


def measures_json(run: RunRecord, measures: Mapping[int, Mapping[str, float]], details: object = None) -> str:
    """Return the file's text.

    Args:
        measures: names and values of MLflow's metrics, by the variant's position.
        details: anything more that is worth keeping, as JSON holds it.
    """
    variants = {str(position): dict(values) for position, values in measures.items()}
    plain = {"pictures": _pixels_hash(run), "metrics": variants, "told": details}
    return json.dumps(plain, indent=1, ensure_ascii=False)


def measures_of(run: RunRecord, workspace: Workspace) -> dict[int, dict[str, float]]:
    """Return what was measured of the very images that ``run`` has now; empty where nothing was."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        held = json.loads(workspace.effect(run.id).with_suffix(".json").read_text(encoding="utf-8"))
        if held["pictures"] == _pixels_hash(run):
            return {
                int(position): {str(name): float(value) for name, value in values.items()}
                for position, values in held["metrics"].items()
            }
    return {}


def _pixels_hash(run: RunRecord) -> str:
    return sha256("".join(image.pixel_sha256 or "-" for image in run.images).encode()).hexdigest()
