"""Records which batch sizes were tried out, what they took, and whether they fitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from promptlab.records.environment import Environment
from promptlab.specs import RunSpec

__all__ = ["ProbeRecord", "ProbeTrial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTrial:
    """Records one batch size, tried out in a few steps.

    Args:
        batch_size: images of the forward.
        attention_slicing: how it was computed.
        fits: whether there was memory enough, and enough left over.
        seconds: of everything but the steps (words, decoding); ``None`` when it did not fit.
        step_seconds: of one step.
        peak_memory: bytes, the most that were in use; see :mod:`promptlab.engine.machine.memory`.
    """

    batch_size: int
    attention_slicing: bool = False
    fits: bool
    seconds: float | None = None
    step_seconds: float | None = None
    peak_memory: int | None = None

    def seconds_per_image(self, steps: int) -> float | None:
        """Return an image's share of a batch of ``steps`` steps, in seconds."""
        if self.seconds is None or self.step_seconds is None:
            return None
        return (self.seconds + steps * self.step_seconds) / self.batch_size


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRecord:
    """Records the batch sizes that were tried out with one setting.

    Args:
        spec: resolved.
        device: the device used.
        model_identity, vae_identity: see :class:`RunRecord`.
        environment: in which it was tried out.
        probed_at: UTC.
        measured_steps: how many steps each forward was given.
        available: bytes that there were on the device.
        limit: bytes that a forward may take at most to be said to fit.
        tried: with and without attention slicing, smallest first.
        unsliced_only: why attention slicing was not tried.
    """

    spec: RunSpec
    device: str
    model_identity: str
    vae_identity: str | None
    environment: Environment
    probed_at: datetime
    measured_steps: int
    available: int
    limit: int
    tried: tuple[ProbeTrial, ...]
    unsliced_only: str | None = None

    def largest(self, *, attention_slicing: bool) -> int | None:
        """Return the greatest batch size that fitted, or None."""
        sizes = [one.batch_size for one in self.tried if one.fits and one.attention_slicing == attention_slicing]
        return max(sizes, default=None)
