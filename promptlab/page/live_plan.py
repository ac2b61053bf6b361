"""Plans a request while it is typed: what words alone tell at once, the rest when the engine is free.

Wordings, seeds and the number of images need no model. How many images are there already, what is cut of the words and
how long it takes, the engine is asked, by a job like any other, but only while none waits: a plan makes no picture
late. The engine that is asked imports what it needs meanwhile, so that the first picture need not wait for it.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypeVar

from promptlab import __version__
from promptlab.errors import PromptLabError
from promptlab.page.job_view import failure_of
from promptlab.page.page_request import PageRequest
from promptlab.page.shapes import error_shape
from promptlab.page.typed_command import Carried
from promptlab.page.typed_settings import form_settings
from promptlab.plan import Plan
from promptlab.serving.jobs import Job
from promptlab.serving.lab_server import LabServer
from promptlab.specs import RunSpec, Variant
from promptlab.wire import decode, encode

__all__ = ["LivePlanner", "plan_shape"]

_PATIENCE: Final = 0.4
"""Seconds to wait for the engine before what is known by then is answered."""

_MOST_IMAGES: Final = 20_000
"""Images above which the engine is not asked while one types."""

_Asked = tuple[tuple[RunSpec, ...], bool]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_REMEMBERED: Final = 20
_SHOWN_VARIANTS: Final = 60
_SHOWN_SEEDS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Holds what the engine says of a request: its plan, or why it cannot be."""

    plan: Plan | None = None
    error: PromptLabError | None = None


class LivePlanner:
    """Asks the engine of one server what requests take, one at a time.

    Args:
        make_job: makes a job of a verb and its arguments.
        pace: seconds an image took lately, for as long as the engine has not been asked.
        told: told when the engine has answered.
    """

    def __init__(
        self,
        server: LabServer,
        make_job: Callable[[str, Mapping[str, Any]], Job],
        *,
        pace: Callable[[], float | None],
        told: Callable[[], None],
    ) -> None:
        self._server, self._make_job, self._pace, self._told = server, make_job, pace, told
        self._lock = threading.Lock()
        self._settled: OrderedDict[_Asked, Settled] = OrderedDict()
        self._drawn: OrderedDict[str, Carried] = OrderedDict()
        self._asked: Job | None = None
        self._ids: set[str] = set()

    def is_own(self, job: Job) -> bool:
        """Say whether a job is one of the planner's."""
        return job.id in self._ids

    def forget(self) -> None:
        """Forget what is there already: images were made."""
        with self._lock:
            self._settled.clear()

    def drawn(self, request: PageRequest, carry: Callable[[], Carried]) -> Carried:
        """Return what a request asks for, with the seeds that were drawn when it was planned first.

        With others each time, no answer of the engine's would be to what is asked next.
        """
        if not any("random" in text.lower() for text in chain([request.seeds], *request.settings.values())):
            return carry()
        key = json.dumps(request.to_json())
        with self._lock:
            found = self._drawn.get(key)
        if found is None:
            found = carry()
            with self._lock:
                _remember(self._drawn, key, found)
        return found

    def settled(self, specs: Sequence[RunSpec], *, again: bool = False) -> Settled | None:
        """Return what the engine says of ``specs``; None where it has no time, or not said it yet.

        Args:
            again: as if nothing were there already.
        """
        key, is_busy = (tuple(specs), again), bool(self._server.jobs)
        with self._lock:
            found = self._settled.get(key)
            if found is not None or sum(spec.image_count for spec in specs) > _MOST_IMAGES:
                return found
            if self._asked is not None or is_busy:
                return None
            answered = threading.Event()
            self._asked = job = self._make_job("plan", {"specs": encode(list(specs)), "again": again})
            self._ids.add(job.id)
        job.listen(lambda _job, line: self._hear(key, line, answered))
        try:
            self._server.submit(job)
        except PromptLabError:
            self._asked = None
            return None
        answered.wait(_PATIENCE)
        with self._lock:
            return self._settled.get(key)

    def seconds(self, images: int) -> float | None:
        """Return a guess of what so many images take."""
        pace = self._pace()
        return None if pace is None else images * pace

    def _hear(self, key: _Asked, line: Mapping[str, Any], answered: threading.Event) -> None:
        if "event" in line:
            return
        failure = failure_of(line)
        settled = None if failure is None else Settled(error=failure)
        if "result" in line:
            plan: Plan = decode(Plan, line["result"], theirs=__version__)
            settled = Settled(plan=plan)
        with self._lock:
            self._asked = None
            if settled is not None:
                _remember(self._settled, key, settled)
        answered.set()
        if settled is not None:
            self._told()


def _remember(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept[key] = value
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def plan_shape(carried: Carried, planner: LivePlanner, *, again: bool = False) -> dict[str, Any]:
    """Return what a page shows of a request that was understood."""
    specs = carried.specs
    variants: dict[tuple[str, str], Variant] = {}
    for spec in specs:
        for variant in spec.variants:
            variants.setdefault((variant.prompt, variant.negative_prompt), variant)
    seeds = list(dict.fromkeys(seed for spec in specs for seed in spec.seeds))
    images = sum(spec.image_count for spec in specs)
    settled = planner.settled(specs, again=again)
    plan = None if settled is None else settled.plan
    cut: dict[str, list[str]] = {}
    for each in () if plan is None else plan.cut:
        cut.setdefault(each.prompt, []).append(each.words)
    return {
        "variants": [
            {
                "prompt": each.prompt,
                "negative": each.negative_prompt,
                "label": each.label,
                "cut": cut.get(each.prompt, []) + cut.get(each.negative_prompt, []),
            }
            for each in [*variants.values()][:_SHOWN_VARIANTS]
        ],
        "variants_count": len(variants),
        "seeds": seeds[:_SHOWN_SEEDS],
        "seeds_count": len(seeds),
        "runs": len(specs),
        "images": images,
        "known": None if plan is None else plan.there + plan.repeated,
        "seconds": planner.seconds(images) if plan is None else plan.seconds,
        "guess": plan is None or plan.guess,
        "settled": settled is not None,
        "defaults": {} if plan is None or not plan.runs else dict(form_settings(plan.runs[0].resolved.spec)),
        "error": None if settled is None or settled.error is None else error_shape(settled.error),
    }
