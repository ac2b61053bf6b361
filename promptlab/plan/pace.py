"""Estimates how long an image takes and how large its file is, from history or by rule of thumb.

A denoiser's work grows with steps × pixels, and doubles with guidance, which evaluates it with and without the words.
That is exact for convolutions and too little for attention in large pictures; an estimate needs no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from promptlab.plan.resolved import ResolvedSpec
from promptlab.plan.step_scheduler import DenoisingSteps, forwards
from promptlab.specs import CallSpec

__all__ = ["Pace", "SharedForwards", "rule_of_thumb"]

_PIXEL_STEPS_PER_SECOND: Final = {"cuda": 1e7, "mps": 1e6, "cpu": 1e5}
"""Of a Stable Diffusion 1.5 with guidance: 512 × 512 pixels and 20 steps take half a second on a current accelerator,
five on a laptop's, most of a minute on a processor. Right to a factor of ten for models of other sizes."""

_LOAD_SECONDS: Final = 5.0
_BYTES_PER_PIXEL: Final = 2.0
"""Of a PNG: three bytes a pixel, of which compression leaves about two thirds of a photograph."""

_UNKNOWN_SIDE: Final = 1024
_UNKNOWN_STEPS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Holds what one image of a setting takes on one device.

    Args:
        seconds_per_image: of denoising and decoding, in a full batch.
        load_seconds: for a pipeline, or a VAE, that is not in memory.
        bytes_per_image: of its PNG.
        guess: whether this was seen under another setting, or never.
    """

    seconds_per_image: float
    load_seconds: float
    bytes_per_image: float
    guess: bool = False

    def scaled(self, seen: CallSpec, wanted: CallSpec) -> Pace:
        """Return this pace, seen under ``seen``, for ``wanted``: a guess where work or size differ."""
        work, room = _work(wanted) / _work(seen), _pixels(wanted) / _pixels(seen)
        return replace(
            self,
            seconds_per_image=self.seconds_per_image * work,
            bytes_per_image=self.bytes_per_image * room,
            guess=self.guess or work != 1 or room != 1,
        )


@dataclass(slots=True)
class SharedForwards:
    """Estimates images of one batch key, of one run or several, that share forwards.

    Args:
        rows: images of a forward.
    """

    rows: int
    _steps: list[DenoisingSteps] = field(default_factory=list)
    _known: bool = True
    _seconds: float = 0.0

    def add(self, images: int, steps: DenoisingSteps | None, call: CallSpec, seconds_per_image: float) -> None:
        """Count ``images`` images more, each of so many steps: those of the call where none are known."""
        self._known = self._known and steps is not None
        self._steps += [steps or (0, call.num_inference_steps or 1)] * images
        self._seconds += images * seconds_per_image

    @property
    def batches(self) -> int:
        """Return how many batches of images are decoded."""
        return -(-len(self._steps) // self.rows)

    @property
    def forwards(self) -> int:
        """Return how many forwards of the denoiser there are; 0 where that is not known."""
        return forwards(self.rows, self._steps) if self._known else 0

    @property
    def seconds(self) -> float:
        """Return what its images take, those that only fill a forward included."""
        steps = sum(guided + plain for guided, plain in self._steps)
        return self._seconds * forwards(self.rows, self._steps) * self.rows / steps if steps else self._seconds


def rule_of_thumb(resolved: ResolvedSpec) -> Pace:
    """Guess the pace of a setting that was never seen: from its steps, pixels and kind of device."""
    call, kind = resolved.spec.call, resolved.device.partition(":")[0]
    rate = _PIXEL_STEPS_PER_SECOND.get(kind, _PIXEL_STEPS_PER_SECOND["cpu"])
    return Pace(
        seconds_per_image=_work(call) / 2 / rate,
        load_seconds=_LOAD_SECONDS,
        bytes_per_image=_pixels(call) * _BYTES_PER_PIXEL,
        guess=True,
    )


def _work(call: CallSpec) -> float:
    """Return pixels × evaluations of the denoiser; what only the pipeline knows is taken as usual."""
    guided = call.guidance_scale is None or call.guidance_scale > 1
    return float(_pixels(call) * (call.num_inference_steps or _UNKNOWN_STEPS) * (2 if guided else 1))


def _pixels(call: CallSpec) -> int:
    return (call.height or _UNKNOWN_SIDE) * (call.width or _UNKNOWN_SIDE)
