"""Keeps apart the attention processors that calls put into a denoiser which they share.

Perturbed-attention guidance (PAG) puts processors of its own into some layers at the beginning of a call, and puts back
at its end what it found. Among calls that take turns, each must find its own, and leave nothing to the others.

Invariant: between turns a denoiser has the processors that it had before any of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["AttentionState"]

_CHANGES_THEM = "_set_pag_attn_processor"


class AttentionState:
    """Exchanges the processors of a pipeline's denoiser, where calls of that pipeline change them.

    Args:
        pipeline: any; of all but PAG's nothing is touched.
    """

    def __init__(self, pipeline: Any) -> None:
        denoisers = (getattr(pipeline, name, None) for name in ("unet", "transformer"))
        changed = hasattr(pipeline, _CHANGES_THEM)
        self._denoiser = next((each for each in denoisers if each is not None), None) if changed else None
        self._of: dict[int, dict[str, Any]] = {}

    def kind(self, module: Any) -> Hashable:
        """Return what must be equal of the processors in place for two calls of ``module`` to share a forward."""
        if self._denoiser is None or module is not self._denoiser:
            return ()
        return tuple(sorted((name, type(each).__name__) for name, each in module.attn_processors.items()))

    @contextmanager
    def turn_of(self, place: int) -> Iterator[None]:
        """Run the block with the processors of the call at ``place``, as it left them."""
        if self._denoiser is None:
            yield
            return
        before = dict(self._denoiser.attn_processors)
        if place in self._of:
            self._denoiser.set_attn_processor(dict(self._of[place]))
        try:
            yield
        finally:
            self._of[place] = dict(self._denoiser.attn_processors)
            self._denoiser.set_attn_processor(before)

    def forget(self, place: int) -> None:
        """Forget a call that is over."""
        self._of.pop(place, None)
