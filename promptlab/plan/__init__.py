"""From resolved specs to the images they ask for and the order to make them in. Pure: nothing is loaded or looked up.

- :mod:`~promptlab.plan.tasks`: a resolved spec → its images, one task each;
- :mod:`~promptlab.plan.order`: which run comes before which, and what has to be loaded on the way;
- :mod:`~promptlab.plan.pace`: how long, and how many bytes: from history, or by rule of thumb;
- :mod:`~promptlab.plan.turns`, :mod:`~promptlab.plan.streams`: which images share a forward, and how many forwards;
- :mod:`~promptlab.plan.planning`: all of these, put together for a person to look at and for the lab to follow.
"""

from promptlab.plan.pace import Pace, rule_of_thumb
from promptlab.plan.planning import CutPrompt, Plan, PlannedRun, plan
from promptlab.plan.tasks import DEFAULT_BATCH_SIZE, ImageTask, ResolvedSpec, chosen_batch_size, keys_of, tasks_of

__all__ = [
    "DEFAULT_BATCH_SIZE",
    "CutPrompt",
    "ImageTask",
    "Pace",
    "Plan",
    "PlannedRun",
    "ResolvedSpec",
    "chosen_batch_size",
    "keys_of",
    "plan",
    "rule_of_thumb",
    "tasks_of",
]
