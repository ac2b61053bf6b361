"""Says of images what counts for who makes them. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from promptlab.plan import ImageRequest

__all__ = ["WorkItem", "work_items"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """Says of an image what counts for who makes it.

    Args:
        id: of its request.
        batch_key: equal for images that may share a forward.
        pipeline_key: equal for images that are made by one loaded pipeline.
        rows: images of a batch, 1 or more.
        cost: what it takes, in any unit: steps times pixels.
    """

    id: str
    batch_key: str
    pipeline_key: Hashable
    rows: int
    cost: float


def work_items(requests: Iterable[ImageRequest]) -> list[WorkItem]:
    """Return what counts of each request."""
    pipelines: dict[str, Hashable] = {}
    items = []
    for request in requests:
        key = request.batch_key
        if key not in pipelines:
            pipelines[key] = _pipeline_key(request)
        items.append(
            WorkItem(
                id=request.id, batch_key=key, pipeline_key=pipelines[key], rows=request.batch_size, cost=_cost(request)
            )
        )
    return items


def _pipeline_key(request: ImageRequest) -> Hashable:
    """Return what decides which pipeline is loaded; see :mod:`promptlab.engine.loading.pipeline_cache`."""
    asked = request.pipeline
    weights = request.model_identity, request.vae_identity, asked.variant, asked.dtype
    bits = asked.quantization, asked.text_encoder_quantization
    return *weights, *bits, asked.loras, asked.embeddings, request.device, request.machine


def _cost(request: ImageRequest) -> float:
    """Estimate what an image takes: evaluations of the denoiser, two with guidance, times its pixels."""
    call = request.call
    if request.steps is not None:
        guided, plain = request.steps
        evaluations = 2 * guided + plain
    else:
        guided = 2 if call.guidance_scale is None or call.guidance_scale > 1 else 1
        evaluations = guided * (call.num_inference_steps or 1)
    return float(max(1, evaluations) * (call.height or 512) * (call.width or 512))
