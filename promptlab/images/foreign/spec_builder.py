"""A spec in the making: each reader says what it found, by the program's name for it; nothing gets lost in silence.

Every value goes through one gate here. What passes ends up in the spec, what does not ends up among the lost, with the
reason. That is the invariant: a field that was read is in one of the two places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from promptlab.images.foreign.record import ForeignMetadata, brief, cleaned, real, whole
from promptlab.images.samplers import automatic_schedule, scheduler_of, with_schedule
from promptlab.records import ImportGap
from promptlab.specs import (
    MAX_SEED,
    CallSpec,
    Dtype,
    Lora,
    PipelineSpec,
    RunSpec,
    Scalar,
    SchedulerSpec,
    Variant,
    options,
)

__all__ = ["SpecBuilder"]

_MOST_LOST: Final = 100
_MOST_LORAS: Final = 32
_MOST_STEPS: Final = 10_000
_MOST_PIXELS: Final = 65_536
"""A side: what a JPEG can have; the rest is a slip or a trap."""

_NETWORK: Final = re.compile(r"<([A-Za-z]\w{0,30}):([^<>]{0,300})>")
_NO_COUNTERPART: Final = "has no counterpart here"
_FLOW: Final = {"Euler": "FlowMatchEulerDiscrete", "Heun": "FlowMatchHeunDiscrete", "LCM": "FlowMatchLCM"}
_NOISY: Final = frozenset(
    {
        "DDPMScheduler", "DPMSolverSDEScheduler", "EulerAncestralDiscreteScheduler", "FlowMatchLCMScheduler",
        "KDPM2AncestralDiscreteScheduler", "LCMScheduler", "SASolverScheduler", "TCDScheduler",
    }
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class SpecBuilder:
    """What a reader has found so far.

    Args:
        program: whose picture it is.
        prompt, negative_prompt: through :meth:`words`.
        flow: whether the model is one of flow matching (Flux, SD3), whose schedulers are others.
    """

    program: str
    prompt: str = ""
    negative_prompt: str = ""
    model: str = ""
    vae: str | None = None
    revision: str | None = None
    weights: str | None = None
    dtype: Dtype | None = None
    scheduler: SchedulerSpec | None = None
    flow: bool = False
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    chosen_seed: int | None = None
    variation_seed: int | None = None
    variation_strength: float | None = None
    weighting: bool = False
    loras: dict[str, float] = field(default_factory=dict)
    arguments: dict[str, Scalar] = field(default_factory=dict)
    losses: list[ImportGap] = field(default_factory=list)

    def lose(self, name: str, value: object = "", why: str = _NO_COUNTERPART) -> None:
        """Say that ``name`` is not carried over. Each loss is told once, and no more of them than one can read."""
        if len(self.losses) >= _MOST_LOST:
            return
        loss = ImportGap(name=brief(name), value=brief(value), why=why)
        if loss not in self.losses:
            self.losses.append(loss)

    def words(
        self,
        prompt: object,
        negative_prompt: object = "",
        *,
        weighted: re.Pattern[str] | None = None,
        compel: bool = False,
    ) -> None:
        """Take the prompts.

        Args:
            weighted: finds what the program reads as weights or other instructions. Here they are plain words, which
                is said, and the words stay as they were typed. Networks, ``<lora:name:1>``, are taken out, as every
                program that knows them does before it encodes the rest.
            compel: whether it reads weights as the setting ``weighting`` reads them here, which is then set.
        """
        self.prompt, self.negative_prompt = cleaned(prompt), cleaned(negative_prompt)
        if weighted is None:
            return
        self.prompt, self.negative_prompt = self.bare(self.prompt), self.bare(self.negative_prompt)
        found = weighted.search(self.prompt) or weighted.search(self.negative_prompt)
        if found and compel and ".swap(" not in self.prompt + self.negative_prompt:
            self.weighting = True
        elif found:
            self.lose("weights in the prompt", found.group(), "are plain words here")

    def named_model(self, name: str, value: object) -> None:
        """Take the model's name."""
        self.model = cleaned(value).strip() or self.model
        if not self.model and value:
            self.lose(name, value, "is not a name")

    def steps(self, name: str, value: object) -> None:
        """Take the number of steps."""
        steps = whole(value)
        if steps is not None and 1 <= steps <= _MOST_STEPS:
            self.num_inference_steps = steps
        elif value is not None:
            self.lose(name, value, f"is not a whole number from 1 to {_MOST_STEPS}")

    def guidance(self, name: str, value: object) -> None:
        """Take the guidance scale."""
        scale = real(value)
        if scale is not None and scale >= 0:
            self.guidance_scale = scale
        elif value is not None:
            self.lose(name, value, "is not a number, 0 or more")

    def size(self, name: str, width: object, height: object) -> None:
        """Take width and height, both or none."""
        sides = whole(width), whole(height)
        if sides[0] and sides[1] and 1 <= sides[0] <= _MOST_PIXELS and 1 <= sides[1] <= _MOST_PIXELS:
            self.width, self.height = sides
        elif width is not None or height is not None:
            self.lose(name, f"{brief(width)}x{brief(height)}", "is not a size in pixels")

    def seed(self, name: str, value: object) -> None:
        """Take the seed. Generators on a CPU use its lower 32 bits, so that is what is kept of a longer one."""
        seed = whole(value)
        if seed is None or seed < 0:
            self.lose(name, value, "is not a whole number, 0 or more; 0 is used")
            return
        self.chosen_seed = seed % (MAX_SEED + 1)
        if seed > MAX_SEED:
            self.lose(name, seed, f"has more than 32 bits; its lower 32, {self.chosen_seed}, are used")

    def variation(self, seed: tuple[str, object], strength: tuple[str, object]) -> None:
        """Take a second seed and how much of its noise, each as the program's name for it and its value."""
        number, share = whole(seed[1]), real(strength[1])
        if number is None or number < 0 or share is None or not 0 <= share <= 1:
            self.others([seed, strength], why="is no seed with a strength from 0 to 1")
        else:
            self.variation_seed, self.variation_strength = number % (MAX_SEED + 1), share

    def lora(self, name: str, value: object, weight: object) -> None:
        """Take a LoRA, by the name that the program has for it and its weight; 1 where it says none.

        Args:
            name: what the program calls it, where it cannot be taken.
        """
        file, number = cleaned(value).strip(), 1.0 if weight in (None, "") else real(weight)
        if not file or number is None or file in self.loras or len(self.loras) >= _MOST_LORAS:
            self.lose(
                name, f"{brief(value)} {brief(weight or '')}".strip(), "is no LoRA with a weight, or one too many"
            )
        else:
            self.loras[file] = number

    def noise(self, name: str, device: object) -> None:
        """Say that noise was drawn elsewhere than on the CPU, where PromptLab draws it."""
        self.lose(name, device, "noise was drawn on the GPU: the same seed gives another picture here")

    def sampler(self, name: str, value: str, schedule_type: str | None, *, schedule: str = "Schedule type") -> None:
        """Take a sampler and its schedule type by the names of AUTOMATIC1111's web UI.

        Args:
            name, schedule: what the program calls the two.
            schedule_type: ``None`` means uniform; ``Automatic`` what the web UI chooses for this sampler.
        """
        known = f"{_FLOW.get(value, '')}" if self.flow else value
        found = scheduler_of(known) if known else None
        if found is None:
            self.lose(name, value, "no scheduler here computes the same; the model's own is used")
            return
        self.scheduler = found
        if found.name in _NOISY or "sde" in str(dict(found.options).get("algorithm_type")):
            self.lose(name, value, "adds noise in every step, which is drawn in another order here")
        kind = automatic_schedule(value) if (schedule_type or "").lower() == "automatic" else schedule_type
        if kind is None or self.flow:
            return
        scheduled = with_schedule(found, kind)
        if scheduled is None:
            self.lose(schedule, kind, f"is no schedule of {found.name}")
        else:
            self.scheduler = scheduled

    def others(self, fields: Iterable[tuple[str, object]], *, why: str = _NO_COUNTERPART) -> None:
        """Lose each of ``fields`` that says anything."""
        for name, value in fields:
            if value not in (None, "", "None", False) and value != [] and value != {}:
                self.lose(name, value, why)

    def foreign(self) -> ForeignMetadata:
        """The finished description; what a spec must have and was not found is said to be missing."""
        if not self.model:
            self.lose("model", "", "is not named")
        if self.chosen_seed is None:
            self.lose("seed", "", "is not known; 0 is used")
        spec = RunSpec(
            pipeline=PipelineSpec(
                model=self.model,
                revision=self.revision,
                variant=self.weights,
                vae=self.vae,
                dtype=self.dtype,
                scheduler=self.scheduler,
                loras=tuple(Lora(name=name, weight=weight) for name, weight in self.loras.items()),
            ),
            call=CallSpec(
                num_inference_steps=self.num_inference_steps,
                guidance_scale=self.guidance_scale,
                width=self.width,
                height=self.height,
                arguments=options(self.arguments),
                weighting=self.weighting,
                variation_seed=self.variation_seed,
                variation_strength=self.variation_strength,
            ),
            variants=(Variant(prompt=self.prompt, negative_prompt=self.negative_prompt),),
            seeds=(self.chosen_seed or 0,),
        )
        return ForeignMetadata(program=self.program, spec=spec, lost=tuple(self.losses))

    def bare(self, prompt: str) -> str:
        """``prompt`` without the networks in it: LoRAs are taken, others are lost."""
        for network in _NETWORK.finditer(prompt):
            kind, value = network.group(1), network.group(2)
            name, _, weights = value.partition(":")
            weight, _, of_words = weights.partition(":")
            if kind.lower() != "lora":
                self.lose(f"<{kind}>", value, "is not loaded here")
                continue
            self.lora(f"<{kind}>", name, weight)
            if of_words:
                self.lose(f"<{kind}>", value, "has one weight here, for the text encoder, too")
        return _NETWORK.sub("", prompt).strip()
