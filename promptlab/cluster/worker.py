"""Is what runs in an actor of Ray: one warm engine, and the events of its generations in bundles.

Invariant: what crosses is what crosses the engine's own door: requests, specs and events, plain data all.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from promptlab.cluster.shipped_cache import ShippedCache
from promptlab.cluster.shipping import ShippedSource, names_of, with_places
from promptlab.cluster.versions import versions_here
from promptlab.engine import ClipEmbeddings, Engine, EngineEvent, Generation, ImageDone, Permissions
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.specs import RunSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Worker", "WorkerFacts"]

_BUNDLED: Final = 0.2
"""Seconds for which events without a picture wait for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """Says where a worker is, and of what it is made.

    Args:
        host: the machine's name.
        node: Ray's name of it.
        pid: of its process.
        versions: of PromptLab, Python and the libraries that decide bytes.
    """

    host: str
    node: str
    pid: int
    versions: Mapping[str, str | None]


class Worker:
    """Holds one engine, which is made when it is first asked for something.

    Shares are numbered, so that one can be taken back before it is begun.

    Args:
        make_engine: creates the engine.
    """

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._places: dict[str, str] = {}
        """Maps the names that specs have for shipped sources to where these lie here."""
        self._cache: ShippedCache | None = None
        self._generation: Generation | None = None
        self._share = -1
        self._taken_back = -1

    def hello(self) -> WorkerFacts:
        """Say where this is; computing is set up as it would be without Ray."""
        import ray

        if ray.get_gpu_ids():
            _restore_threads()
        node = ray.get_runtime_context().get_node_id()
        return WorkerFacts(host=platform.node(), node=node, pid=os.getpid(), versions=versions_here())

    def receive(self, sources: Sequence[ShippedSource]) -> None:
        """Unpack what was shipped, and load it from there when it is named.

        Raises:
            EngineError: when other bytes came than were sent.
        """
        self._cache = self._cache or ShippedCache()
        self._places.update((source.name, self._cache.place(source)) for source in sources)

    def resolve(self, specs: Sequence[RunSpec], permissions: Permissions) -> tuple[ResolvedSpec, ...]:
        """See :meth:`promptlab.engine.Engine.resolve`."""
        resolved = self._warm().resolve([with_places(spec, self._places) for spec in specs], permissions=permissions)
        return tuple(
            replace(each, spec=with_places(each.spec, self._names(spec)))
            for spec, each in zip(specs, resolved, strict=True)
        )

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], permissions: Permissions
    ) -> tuple[TruncatedPrompt, ...]:
        """See :meth:`promptlab.engine.Engine.truncated_prompts`."""
        here = [replace(each, spec=with_places(each.spec, self._places)) for each in resolved]
        return self._warm().truncated_prompts(here, permissions=permissions)

    def available_memory(self, device: str) -> int:
        """See :meth:`promptlab.engine.Engine.available_memory`."""
        return self._warm().available_memory(device)

    def clip(
        self, model: str, images: Sequence[NDArray[np.uint8]], prompts: Sequence[str], device: str | None
    ) -> ClipEmbeddings:
        """See :meth:`promptlab.engine.Engine.clip`."""
        return self._warm().clip(model, images=images, prompts=prompts, device=device)

    def generate(
        self, share: int, requests: Sequence[ImageRequest], permissions: Permissions
    ) -> Iterator[list[EngineEvent]]:
        """Yield the events of a share as they happen: those without a picture wait a moment for the next."""
        here = [with_places(request, self._places) for request in requests]
        generation = self._warm().generate(here, permissions=permissions)
        self._generation, self._share = generation, share
        if self._taken_back >= share:
            return
        told: list[EngineEvent] = []
        last = time.monotonic()
        for event in generation:
            told.append(event)
            if isinstance(event, ImageDone) or time.monotonic() - last > _BUNDLED:
                yield told
                told, last = [], time.monotonic()
        if told:
            yield told

    def take_back(self, share: int) -> None:
        """Begin no more images of this share, nor of any before; called beside :meth:`generate`."""
        self._taken_back = max(self._taken_back, share)
        if self._share <= share and self._generation is not None:
            self._generation.cancel()

    def _names(self, spec: RunSpec) -> Mapping[str, str]:
        """Return what ``spec`` calls the places of its weights: two sources of the same bytes lie at one."""
        return {self._places[name]: name for name in names_of(spec) if name in self._places}

    def _warm(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine


def _restore_threads() -> None:
    """Undo that Ray sets one thread beside a GPU: environments are those of that GPU without Ray."""
    import psutil

    os.environ.pop("OMP_NUM_THREADS", None)
    parent = psutil.Process().parent()
    with suppress(psutil.Error):
        if parent is not None and "OMP_NUM_THREADS" in (environ := parent.environ()):
            os.environ["OMP_NUM_THREADS"] = environ["OMP_NUM_THREADS"]
