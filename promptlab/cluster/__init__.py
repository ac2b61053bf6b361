"""Makes images on many devices and machines: an engine whose workers are actors of Ray.

Images are independent, so data parallelism is all there is. :class:`~promptlab.cluster.ray_engine.RayEngine` stands
behind the engine's protocol: each worker holds one warm engine on a GPU, or on a core, requests are dealt out, and
pictures stream back as they are made. The recorder here stays the only writer. ::

    RayEngine ─▶ RayGeneration ─▶ Dealer (who makes what; pure)
                      │
                      ▼
                 WorkerPool ══ Ray ══▶ Worker ─▶ Engine (of diffusers, or the painter)

Invariant: nothing here decides what an image is. A request says all that its image needs, a worker holds the weights
that it finds against the request's identities, and an image carries the environment that it was made in.

No other room imports Ray, and this one only inside functions, once workers are asked for.
"""

from typing import TYPE_CHECKING, Final

from promptlab._lazy import imported_from

if TYPE_CHECKING:
    from promptlab.cluster.ray_engine import RayEngine

__all__ = ["RayEngine"]

_HOMES: Final = {"ray_engine": ("RayEngine",)}
__getattr__ = imported_from(__name__, _HOMES)
