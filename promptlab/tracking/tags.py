"""Names the tags, parameters and metrics of MLflow runs by which PromptLab finds its own again.

Invariant: none of these changes between releases. What an older PromptLab recorded is found and updated by a newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "NOTE_TAG",
    "PARAM_LIMIT",
    "PARENT_TAG",
    "RUN_METRIC",
    "SEEDS_PARAM",
    "SWEEP_TAG",
    "TAG_LIMIT",
    "UID_TAG",
    "VARIANT_TAG",
    "stale_tags",
]

UID_TAG: Final = "promptlab.uid"
VARIANT_TAG: Final = "promptlab.variant"
SWEEP_TAG: Final = "promptlab.sweep"
NOTE_TAG: Final = "mlflow.note.content"
"""MLflow's own: the description of a run, in Markdown."""

PARENT_TAG: Final = "mlflow.parentRunId"
"""MLflow's own: the id of the run that this one is nested under."""

SEEDS_PARAM: Final = "seeds"
RUN_METRIC: Final = "run"

PARAM_LIMIT: Final = 6000
"""Characters of a parameter that MLflow keeps."""

TAG_LIMIT: Final = 8000
"""Characters of a tag that MLflow keeps."""


def stale_tags(tags: Mapping[str, str], logged: Mapping[str, str]) -> list[str]:
    """Return our tags that MLflow has and that no longer hold: an error that a resume has put right.

    Args:
        tags: those of the record as it stands.
        logged: those that MLflow has.
    """
    return [name for name in logged if name.startswith("promptlab.") and name not in tags]
