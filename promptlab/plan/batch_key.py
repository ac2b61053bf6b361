"""What runs together through one pool of slots, and how often the denoiser is asked for it. Pure.

Whatever decides the shape of a forward is shared by a stream: weights, dtype, device, batch size, picture size. All
else may differ from image to image: scheduler, steps, guidance, words, seed. So the runs of a sweep over these are one
stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from promptlab.plan.step_scheduler import DenoisingSteps, forwards
from promptlab.specs import CallSpec, MachineSpec, PipelineSpec

__all__ = ["StreamEstimate", "stream_key"]


def stream_key(pipeline: PipelineSpec, call: CallSpec, machine: MachineSpec, *, batch_size: int, device: str) -> object:
    """Equal for images that may share a forward."""
    parts = replace(pipeline, scheduler=None)
    return parts, call.height, call.width, replace(machine, exact=False), batch_size, device


@dataclass(slots=True)
class StreamEstimate:
    """A stream, as far as a plan counts it.

    Args:
        rows: images of a forward.
    """

    rows: int
    _work: list[DenoisingSteps] = field(default_factory=list)
    _seconds: float = 0.0

    def add(self, images: int, work: DenoisingSteps, seconds_per_image: float) -> None:
        """So many images, each of so much work."""
        self._work += [work] * images
        self._seconds += images * seconds_per_image

    @property
    def batches(self) -> int:
        """Batches of pictures that come out of it."""
        return -(-len(self._work) // self.rows)

    @property
    def forwards(self) -> int:
        """Forwards of the denoiser."""
        return forwards(self.rows, self._work)

    @property
    def seconds(self) -> float:
        """What its images take, those that only fill a forward included."""
        work = sum(guided + plain for guided, plain in self._work)
        return self._seconds * self.forwards * self.rows / work if work else self._seconds
