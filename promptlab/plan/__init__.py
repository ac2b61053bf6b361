"""Plans resolved specs: their images, and the order to make them in. Loads nothing, looks up nothing.

- :mod:`~promptlab.plan.resolved`: a spec as an engine completes it;
- :mod:`~promptlab.plan.requests`: a resolved spec → its images, one request each;
- :mod:`~promptlab.plan.order`: which run comes before which, and what has to be loaded on the way;
- :mod:`~promptlab.plan.pace`: how long, and how many bytes: from history, or by rule of thumb;
- :mod:`~promptlab.plan.step_scheduler`, :mod:`~promptlab.plan.batch_key`: which images share a forward, and how many
  forwards;
- :mod:`~promptlab.plan.planning`: all of these, put together for a person to look at and for the lab to follow.
"""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.plan.pace import Pace, rule_of_thumb
    from promptlab.plan.planning import Plan, PlannedRun, plan
    from promptlab.plan.requests import ImageRequest, keys_of, requests_of, requests_of_records
    from promptlab.plan.resolved import DEFAULT_BATCH_SIZE, ResolvedSpec, chosen_batch_size
    from promptlab.plan.truncated_prompt import TruncatedPrompt

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "ImageRequest",
    "Pace",
    "Plan",
    "PlannedRun",
    "ResolvedSpec",
    "TruncatedPrompt",
    "chosen_batch_size",
    "keys_of",
    "plan",
    "requests_of",
    "requests_of_records",
    "rule_of_thumb",
]

_HOMES: Final = {
    "pace": ("Pace", "rule_of_thumb"),
    "planning": ("Plan", "PlannedRun", "plan"),
    "requests": ("ImageRequest", "keys_of", "requests_of", "requests_of_records"),
    "resolved": ("DEFAULT_BATCH_SIZE", "ResolvedSpec", "chosen_batch_size"),
    "truncated_prompt": ("TruncatedPrompt",),
}
__getattr__ = imported_from(__name__, _HOMES)
