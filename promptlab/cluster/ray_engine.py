"""Stands for all workers of a cluster behind the engine's protocol.

What is asked of one place (resolving, tokenizers, memory, CLIP) is asked of the first worker; whether the weights are
the same everywhere is asked of one worker of each machine, before anything is written.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from promptlab.cluster.pool import WorkerPool
from promptlab.cluster.ray_generation import RayGeneration
from promptlab.cluster.shipping import fingerprint, local_sources, names_of, read_source, with_places
from promptlab.engine import NO_PERMISSIONS, ClipEmbeddings, Engine, Permissions, create_engine
from promptlab.errors import EngineError, InputError, ref
from promptlab.plan import ImageRequest, ResolvedSpec, TruncatedPrompt
from promptlab.specs import PipelineSpec, RunSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["RayEngine"]

_ASKED: Final = 3
"""Workers that are asked to resolve before it is the specs that are at fault."""


class RayEngine:
    """Implements :class:`promptlab.engine.Engine` by workers: on each GPU or, without any, each core.

    ::

        lab = Lab(folder, engine=RayEngine(workers=2))

    Nothing is connected to or started before it is asked for something; then it stays warm until :meth:`close`.

    Args:
        workers: how many; by default as many as there are GPUs or, without any, cores.
        cluster: the address of a Ray cluster, ``HOST:PORT`` of its head or ``auto``; that of ``RAY_ADDRESS`` by
            default, and else one is started on this machine, for this process alone.
        ship_models: whether weights in folders and files of this machine are sent to machines that may lack them.
        make_engine: creates the engine of each worker, there: what can be imported there. That of diffusers by default.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        cluster: str | None = None,
        ship_models: bool = False,
        make_engine: Callable[[], Engine] = create_engine,
    ) -> None:
        self._make_engine, self._workers, self._cluster = make_engine, workers, cluster
        self._ship_models = ship_models
        self._opened: WorkerPool | None = None
        self._places: dict[str, str] = {}
        """Absolute paths of weights that are named by others: a worker is in another folder."""
        self._sent: dict[str, object] = {}

    def resolve(
        self, specs: Sequence[RunSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[ResolvedSpec, ...]:
        """Resolve on the first worker; see that every machine finds the same weights.

        Raises:
            InputError: for the first spec that is wrong, and weights that a machine has not, or has others of.
            EngineError: when there is no worker, or a configuration is damaged.
        """
        if not specs:
            return ()
        pool = self._pool()
        there = local_sources(specs)
        self._places.update(there)
        if self._ship_models and not pool.is_own:
            self._ship(pool, there.values())
        typed, specs = specs, [with_places(spec, self._places) for spec in specs]
        first, resolved = self._resolved(pool, specs, permissions)
        others = [worker for worker in pool.one_of_each_machine(first) if worker != first]
        if others:
            of_pipeline: dict[PipelineSpec, int] = {}
            for place, spec in enumerate(specs):
                of_pipeline.setdefault(spec.pipeline, place)
            wanted = [resolved[place] for place in of_pipeline.values()]
            asked = [specs[place] for place in of_pipeline.values()]
            answers = [(worker, pool.begin(worker, "resolve", asked, permissions)) for worker in others]
            for worker, answer in answers:  # all machines download at once
                self._check_machine(pool, worker, answer, wanted)
        return tuple(
            replace(one, spec=with_places(one.spec, {there[name]: name for name in there if name in names_of(spec)}))
            for spec, one in zip(typed, resolved, strict=True)
        )

    def truncated_prompts(
        self, resolved: Sequence[ResolvedSpec], *, permissions: Permissions = NO_PERMISSIONS
    ) -> tuple[TruncatedPrompt, ...]:
        """Ask the tokenizers of the first worker.

        Raises:
            EngineError: when a tokenizer will not load.
        """
        if not resolved:
            return ()
        pool = self._pool()
        here = [replace(each, spec=with_places(each.spec, self._places)) for each in resolved]
        found: tuple[TruncatedPrompt, ...] = pool.ask(_first(pool), "truncated_prompts", here, permissions)
        return found

    def generate(self, requests: Sequence[ImageRequest], *, permissions: Permissions = NO_PERMISSIONS) -> RayGeneration:
        """Make the images, on all workers.

        Raises:
            ValueError: when two requests have one id.
        """
        if len({request.id for request in requests}) < len(requests):
            raise ValueError("two requests have one id")
        return RayGeneration(self._pool(), [with_places(request, self._places) for request in requests], permissions)

    def available_memory(self, device: str) -> int:
        """Ask the first worker."""
        pool = self._pool()
        return int(pool.ask(_first(pool), "available_memory", device))

    def clip(
        self,
        model: str,
        *,
        images: Sequence[NDArray[np.uint8]],
        prompts: Sequence[str] = (),
        device: str | None = None,
    ) -> ClipEmbeddings:
        """Embed images and prompts on the first worker.

        Raises:
            NotFound, InputError: when there is no CLIP model of that name there, or none without pickles.
            EngineError: when it would not load.
        """
        pool = self._pool()
        found: ClipEmbeddings = pool.ask(_first(pool), "clip", model, images, prompts, device)
        return found

    def worker_pids(self) -> tuple[int, ...]:
        """Return the processes of the workers that are ready, on whatever machine each is."""
        return () if self._opened is None else tuple(facts.pid for facts in self._opened.ready.values())

    def close(self) -> None:
        """End the workers, and the Ray that was started for them."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
            self._sent.clear()

    def _ship(self, pool: WorkerPool, paths: Iterable[str]) -> None:
        """Send what was not sent yet, or has changed since.

        Raises:
            EngineError: when it cannot be read here, or unpacked there.
        """
        changed = {path: now for path in paths if self._sent.get(path) != (now := fingerprint(path))}
        if changed:
            pool.ship([read_source(path) for path in changed])
            self._sent |= changed

    def _pool(self) -> WorkerPool:
        if self._opened is None:
            self._opened = WorkerPool(self._make_engine, workers=self._workers, cluster=self._cluster)
        self._opened.open()
        return self._opened

    def _resolved(
        self, pool: WorkerPool, specs: Sequence[RunSpec], permissions: Permissions
    ) -> tuple[str, tuple[ResolvedSpec, ...]]:
        """Resolve on the first worker that can, and return which that was: one may be broken, or lost.

        Raises:
            InputError: see :meth:`resolve`.
            EngineError: when none of a few can.
        """
        firsts = pool.one_of_each_machine()
        workers = [*firsts, *(worker for worker in pool.ready if worker not in firsts)][:_ASKED]
        for worker in workers:
            try:
                return worker, self._resolved_at(pool, worker, specs, permissions)
            except EngineError:
                if worker == workers[-1]:
                    raise
        raise EngineError("no worker is ready")

    def _resolved_at(
        self, pool: WorkerPool, worker: str, specs: Sequence[RunSpec], permissions: Permissions
    ) -> tuple[ResolvedSpec, ...]:
        """Resolve on a worker.

        Raises:
            InputError: as the engine there has it; naming the machine, where it lacks what lies here.
        """
        try:
            found: tuple[ResolvedSpec, ...] = pool.ask(worker, "resolve", specs, permissions)
        except InputError as error:
            host = pool.host(worker)
            if host == platform.node() or error.value not in self._places.values():
                raise
            raise self._lacking(host, error) from error
        return found

    def _lacking(self, host: str, error: InputError) -> InputError:
        """Return ``error`` of the machine ``host``, whose name its user knows."""
        return InputError(
            error.field, error.value, problem=f"{error.problem} on the machine {host}", allowed=error.allowed,
            hint=ref("ship_model") if error.value in self._places.values() else error.hint,
        )  # fmt: skip

    def _check_machine(
        self,
        pool: WorkerPool,
        worker: str,
        answer: Callable[[], tuple[ResolvedSpec, ...]],
        wanted: Sequence[ResolvedSpec],
    ) -> None:
        """See that the machine of ``worker`` has the weights.

        Raises:
            InputError: naming the machine.
        """
        host = pool.host(worker)
        try:
            found = answer()
        except InputError as error:
            raise self._lacking(host, error) from error
        except EngineError:  # a worker that is broken is taken out once it is given something
            return
        for here, there in zip(wanted, found, strict=True):
            for (field, name, one), (_, _, other) in zip(_identities(here), _identities(there), strict=True):
                if one != other:
                    raise InputError(
                        field, name, problem=f"is not the same on all machines: other weights are on {host}",
                        allowed="the same files under the same name",
                    )  # fmt: skip


def _identities(resolved: ResolvedSpec) -> Iterator[tuple[str, str | None, str | None]]:
    pipeline = resolved.spec.pipeline
    yield "model", pipeline.model, resolved.model_identity
    yield "vae", pipeline.vae, resolved.vae_identity
    yield from (("loras", each.name, each.identity) for each in pipeline.loras)
    yield from (("embeddings", each.name, each.identity) for each in pipeline.embeddings)


def _first(pool: WorkerPool) -> str:
    return pool.one_of_each_machine()[0]
