"""Holds what goes into ``pipeline(...)``, words and seeds apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from promptlab.errors import InputError, ref, ref_value
from promptlab.specs.settings import check_ranges, fits, settings_of
from promptlab.specs.values import Options

__all__ = ["FORMER_ARGUMENTS", "MAX_SEED", "CallSpec"]

MAX_SEED: Final = 2**32 - 1
"""CPU generators use 32 bits of a seed: 2**32 would give the noise of 0 under another name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSpec:
    """Sets the arguments of ``pipeline(...)``; the table of settings says what each may be.

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
        true_cfg_scale: 0 or more; above 1 a second forward a step steers away from the negative prompt, in pipelines
            whose ``guidance_scale`` is told to a distilled model or not taken: FLUX, Qwen-Image (diffusers' name).
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
    true_cfg_scale: float | None = None

    def __post_init__(self) -> None:
        self._adopt_arguments()
        check_ranges("call", self, but=("height", "width"))
        for side in (self.height, self.width):
            if side is not None and side < 1:  # named as what they are together: that is what people type
                raise InputError(
                    "size", f"{self.width}x{self.height}", problem="is too small", allowed="whole pixels, 1 or more",
                    hint=ref_value("size", "512x512"),
                )  # fmt: skip

    def _adopt_arguments(self) -> None:
        """Move arguments that became fields, where a record names them the old way: one thing, one place.

        A value that the field would refuse stays where it is, so that a run which was made with it can be read.
        """
        moved = {
            name: value
            for name, value in self.arguments
            if (row := _FORMER.get(name)) is not None and (value is None or fits(row, value))
        }
        if not moved:
            return
        for name, value in moved.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        object.__setattr__(self, "arguments", tuple(pair for pair in self.arguments if pair[0] not in moved))

    def check_whole(self) -> None:
        """Refuse half a variation. Seed and strength may come from two places, so this is checked last.

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
        """Say whether the noise is another than the seed's own."""
        return self.variation_seed is not None and bool(self.variation_strength)


_FORMER: Final = {row.field: row for row in settings_of("call") if row.recipe == "arguments"}

FORMER_ARGUMENTS: Final = tuple(_FORMER)
"""Fields of a call that used to be ``arguments``, and still are in the text that a setting's key is made of."""
