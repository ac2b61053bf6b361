"""What tests ask of an engine: one spec resolved, and images beside the requests that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from promptlab.engine import NO_PERMISSIONS, Engine, EngineEvent, ImageDone, Permissions, finished_images
from promptlab.plan import ImageRequest, ResolvedSpec
from promptlab.specs import RunSpec


@dataclass(frozen=True)
class Drawn:
    """An image, and what it was made from."""

    request: ImageRequest
    done: ImageDone

    def __getattr__(self, name):
        return getattr(self.done, name)


def resolve(engine: Engine, spec: RunSpec, permissions: Permissions = NO_PERMISSIONS) -> ResolvedSpec:
    (resolved,) = engine.resolve([spec], permissions=permissions)
    return resolved


def draw(
    engine: Engine,
    requests: Sequence[ImageRequest],
    watch: Callable[[EngineEvent], None] = lambda event: None,
    permissions: Permissions = NO_PERMISSIONS,
) -> Iterator[Drawn]:
    """The images as they come out, or the first failure, raised. Requests may be of several runs."""
    generation = engine.generate(numbered(requests), permissions=permissions)
    return (Drawn(requests[int(done.request_id)], done) for done in finished_images(generation, watch))


def numbered(requests: Sequence[ImageRequest]) -> list[ImageRequest]:
    """The same, their ids their places."""
    return [replace(request, id=str(number)) for number, request in enumerate(requests)]


def loaded_pipeline(engine, request: ImageRequest):
    """The pipeline that the engine makes ``request`` with."""
    from promptlab.engine.diffusers_engine import _setting

    return engine._pipelines.ready(_setting(request, engine._finder(NO_PERMISSIONS)), lambda event: None)


def draw_with(pipeline, requests: Sequence[ImageRequest]) -> list[ImageDone]:
    """The images that a pipeline of one's own makes, all of one batch key."""
    from promptlab.engine.sampling.call_hub import Known
    from promptlab.engine.sampling.image_stream import ImageStream
    from promptlab.engine.sampling.progress import BatchProgress
    from promptlab.records import Environment

    progress = BatchProgress(batches=1, going=lambda: True, environment=Environment(facts={}))
    return list(finished_images(ImageStream(pipeline, requests, progress, Known(), ()).events()))


class Trusting:
    """An engine, asked with ``--allow-pickle`` whatever it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._allowed = engine, Permissions(allow_pickle=True)

    def resolve(self, specs, *, permissions=NO_PERMISSIONS):
        return self._engine.resolve(specs, permissions=self._allowed)

    def generate(self, requests, *, permissions=NO_PERMISSIONS):
        return self._engine.generate(requests, permissions=self._allowed)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Have torch compute with so many of them in the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
