"""What goes into ``pipeline(...)``, the words and seeds apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from promptlab.errors import InputError, ref, ref_value
from promptlab.specs.values import Options

__all__ = ["FORMER_ARGUMENTS", "MAX_SEED", "CallSpec"]

MAX_SEED: Final = 2**32 - 1
"""CPU generators use 32 bits of a seed: 2**32 would give the noise of 0 under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """What goes into ``pipeline(...)``.

    Args:
        num_inference_steps: 1 or more. Some schedulers evaluate the model more often than this.
        guidance_scale: 0 or more; at 1 and below most pipelines guide not at all.
        height, width: pixels, divisible by the VAE's factor.
        arguments: further keyword arguments of the pipeline's call, by their diffusers names.
        weighting: whether prompts are read with compel's weights, ``(hard rim light)1.3``, and beyond 77 tokens.
        clip_skip: layers of the CLIP encoders left out at the end, 0 or more (diffusers' ``clip_skip``; AUTOMATIC1111
            counts from 1). ``None`` is 0.
        guidance_rescale: 0 … 1, how far guided predictions are scaled back to the spread of the unguided ones.
        variation_seed: of a second noise that the seed's own is mixed with.
        variation_strength: 0 … 1, from the seed's noise to that of ``variation_seed``, along the great circle.
        guidance_until: 0 … 1, the share of the steps after which guidance is dropped. ``None`` guides all.
    """

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    height: int | None = None
    width: int | None = None
    arguments: Options = ()
    weighting: bool = False
    clip_skip: int | None = None
    guidance_rescale: float | None = None
    variation_seed: int | None = None
    variation_strength: float | None = None
    guidance_until: float | None = None

    def __post_init__(self) -> None:
        self._adopt_arguments()
        _check_share("guidance_rescale", self.guidance_rescale, "0.7")
        _check_share("variation_strength", self.variation_strength, "0.2")
        _check_share("guidance_until", self.guidance_until, "0.4")
        if self.variation_seed is not None and not 0 <= self.variation_seed <= MAX_SEED:
            raise InputError(
                "variation_seed", self.variation_seed, problem="is out of range", allowed=f"0 to {MAX_SEED}",
                hint=ref_value("variation_seed", "7"),
            )  # fmt: skip
        if self.clip_skip is not None and (isinstance(self.clip_skip, float | str) or self.clip_skip < 0):
            raise InputError(
                "clip_skip", self.clip_skip, problem="is no number of layers", allowed="0 or more, whole",
                hint=ref_value("clip_skip", "1"),
            )  # fmt: skip
        if self.num_inference_steps is not None and self.num_inference_steps < 1:
            raise InputError(
                "num_inference_steps",
                self.num_inference_steps,
                problem="is too few",
                allowed="1 or more",
                hint=ref_value("num_inference_steps", "20"),
            )
        if self.guidance_scale is not None and not 0 <= self.guidance_scale < float("inf"):
            raise InputError(
                "guidance_scale",
                self.guidance_scale,
                problem="is out of range",
                allowed="0 or more",
                hint=ref_value("guidance_scale", "7.5"),
            )
        for side in (self.height, self.width):
            if side is not None and side < 1:
                raise InputError(
                    "size", f"{self.width}x{self.height}", problem="is too small", allowed="whole pixels, 1 or more",
                    hint=ref_value("size", "512x512"),
                )  # fmt: skip

    def _adopt_arguments(self) -> None:
        """Arguments that became fields, where a record or ``--set`` names them the old way: one thing, one place."""
        if not self.arguments or not any(name in FORMER_ARGUMENTS for name, _ in self.arguments):
            return
        for name, value in self.arguments:
            if name in FORMER_ARGUMENTS and getattr(self, name) is None:
                object.__setattr__(self, name, value)
        rest = tuple(pair for pair in self.arguments if pair[0] not in FORMER_ARGUMENTS)
        object.__setattr__(self, "arguments", rest)

    def check_whole(self) -> None:
        """A variation has a seed and a strength: each may come from another place, so the whole is looked at last.

        Raises:
            InputError: when one is there without the other.
        """
        if (self.variation_seed is None) != (self.variation_strength is None):
            there, missing = "variation_seed", "variation_strength"
            value: float | None = self.variation_seed
            if value is None:
                there, missing, value = missing, there, self.variation_strength
            example = "7" if missing == "variation_seed" else "0.2"
            raise InputError(
                there,
                value,
                problem=f"means nothing without {ref(missing)}",
                hint=f"{ref_value(there, value)} {ref_value(missing, example)}",
            )

    @property
    def varied(self) -> bool:
        """Whether the noise is another than the seed's own."""
        return self.variation_seed is not None and bool(self.variation_strength)


FORMER_ARGUMENTS: Final = ("clip_skip", "guidance_rescale")
"""Fields of a call that used to be ``arguments``, and still are in the text that a setting's key is made of."""


def _check_share(what: str, value: object, example: str) -> None:
    if value is not None and (isinstance(value, bool | str) or not 0 <= value <= 1):  # type: ignore[operator]
        raise InputError(what, value, problem="is out of range", allowed="0 to 1", hint=ref_value(what, example))
