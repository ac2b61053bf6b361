"""Builds a spec from what a reader finds, and records what the spec cannot say.

Every value goes through one gate here. What passes ends up in the spec, what does not ends up among the lost, with the
reason. That is the invariant: a field that was read is in one of the two places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from promptlab.images.foreign.record import ForeignMetadata, as_float, as_int, brief, cleaned
from promptlab.images.samplers import automatic_schedule, scheduler_of, with_schedule
from promptlab.records import ImportGap
from promptlab.specs import (
    MAX_SEED,
    CallSpec,
    Lora,
    PipelineSpec,
    RunSpec,
    Scalar,
    SchedulerSpec,
    Variant,
    options,
)
from promptlab.specs.settings import SETTINGS, Part, settings_of

__all__ = ["SpecBuilder"]

_MAX_GAPS: Final = 100
_MAX_LORAS: Final = 32
_MAX_STEPS: Final = 10_000
_MAX_PIXELS: Final = 65_536
"""A side: what a JPEG can have; the rest is a slip or a trap."""

_NETWORK: Final = re.compile(r"<([A-Za-z]\w{0,30}):([^<>]{0,300})>")
_NO_COUNTERPART: Final = "has no counterpart here"
_FLOW: Final = {"Euler": "FlowMatchEulerDiscrete", "Heun": "FlowMatchHeunDiscrete", "LCM": "FlowMatchLCM"}
_OF_FLOW: Final = ("simple", "normal", "uniform", "automatic")
"""Schedules that are a flow-matching model's own, as near as makes no difference."""

_NOISY: Final = frozenset(
    {
        "DDPMScheduler", "DPMSolverSDEScheduler", "EulerAncestralDiscreteScheduler", "FlowMatchLCMScheduler",
        "KDPM2AncestralDiscreteScheduler", "LCMScheduler", "SASolverScheduler", "TCDScheduler",
    }
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class SpecBuilder:
    """Builds a spec from what a reader finds in an image of another program.

    Args:
        program: that made the image.
        flow: whether the model is one of flow matching (Flux, SD3), whose schedulers are others.
        prompt, negative_prompt: set by :meth:`set_prompts`.
        settings: values of settings by the names of their fields, for the spec as they are.
        loras: weights by the names of files or Hub ids.
        arguments: further arguments of the call.
        gaps: what was read and is not in the spec.
        cut: whether there were more gaps than are listed.
    """

    program: str
    flow: bool = False
    prompt: str = ""
    negative_prompt: str = ""
    model: str = ""
    chosen_seed: int | None = None
    scheduler: SchedulerSpec | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    loras: dict[str, float] = field(default_factory=dict)
    arguments: dict[str, Scalar] = field(default_factory=dict)
    gaps: list[ImportGap] = field(default_factory=list)
    cut: bool = False

    @property
    def is_full(self) -> bool:
        """Tell whether there are as many gaps as one can read."""
        return len(self.gaps) >= _MAX_GAPS

    def record_gap(self, name: str, value: object = "", why: str = _NO_COUNTERPART) -> None:
        """Record that ``name`` is not carried over, once, and no more of them than one can read."""
        if self.is_full:
            self.cut = True
            return
        gap = ImportGap(name=brief(name), value=brief(value), why=why)
        if gap not in self.gaps:
            self.gaps.append(gap)

    def set_prompts(
        self,
        prompt: object,
        negative_prompt: object = "",
        *,
        weighted: re.Pattern[str] | None = None,
        compel: bool = False,
        networks: bool = True,
    ) -> None:
        """Take the prompts.

        Args:
            weighted: finds what the program reads as weights or other instructions. Here they are plain words, which
                is said, and the words stay as they were typed. Networks, ``<lora:name:1>``, are taken out, as every
                program that knows them does before it encodes the rest.
            compel: whether it reads weights as the setting ``weighting`` reads them here, which is then set.
            networks: whether it loads those; to what encodes the words as they are, they are words.
        """
        self.prompt, self.negative_prompt = cleaned(prompt), cleaned(negative_prompt)
        if weighted is None:
            return
        if networks:
            self.prompt = self.without_networks(self.prompt)
            self.negative_prompt = self.without_networks(self.negative_prompt)
        elif tag := _NETWORK.search(self.prompt) or _NETWORK.search(self.negative_prompt):
            self.record_gap(f"<{tag.group(1)}>", tag.group(2), "was not loaded there: its encoder takes it for words")
        found = weighted.search(self.prompt) or weighted.search(self.negative_prompt)
        if found and compel and ".swap(" not in self.prompt + self.negative_prompt:
            self.settings["weighting"] = True
        elif found:
            self.record_gap("weights in the prompt", found.group(), "are plain words here")

    def set_model(self, name: str, value: object) -> None:
        """Take the model's name."""
        self.model = cleaned(value).strip() or self.model
        if not self.model and value:
            self.record_gap(name, value, "is not a name")

    def set_steps(self, name: str, value: object) -> None:
        """Take the number of steps."""
        steps = as_int(value)
        if steps is not None and 1 <= steps <= _MAX_STEPS:
            self.settings["num_inference_steps"] = steps
        elif value is not None:
            self.record_gap(name, value, f"is not a whole number from 1 to {_MAX_STEPS}")

    def set_guidance(self, name: str, value: object) -> None:
        """Take the guidance scale."""
        scale = as_float(value)
        if scale is not None and scale >= 0:
            self.settings["guidance_scale"] = scale
        elif value is not None:
            self.record_gap(name, value, "is not a number, 0 or more")

    def set_number(self, setting: str, name: str, value: object) -> None:
        """Set a setting that is a number, within the range that it has in the table of settings.

        Args:
            setting: its name in :data:`~promptlab.specs.settings.SETTINGS`.
            name: what the program calls it.
        """
        row, number = SETTINGS[setting], as_float(value)
        if number is not None and row.kind != "number":
            number = as_int(value)
        above = number is not None and (row.minimum is None or number >= row.minimum)
        if above and (row.maximum is None or (number or 0) <= row.maximum):
            self.settings[row.sets[0]] = number
        elif value is not None:
            self.record_gap(name, value, "is out of range")

    def set_size(self, name: str, width: object, height: object) -> None:
        """Take width and height, both or none."""
        sides = as_int(width), as_int(height)
        if sides[0] and sides[1] and 1 <= sides[0] <= _MAX_PIXELS and 1 <= sides[1] <= _MAX_PIXELS:
            self.settings["width"], self.settings["height"] = sides
        elif width is not None or height is not None:
            self.record_gap(name, f"{brief(width)}x{brief(height)}", "is not a size in pixels")

    def set_seed(self, name: str, value: object) -> None:
        """Take the seed. Generators on a CPU use its lower 32 bits, so that is what is kept of a longer one."""
        seed = as_int(value)
        if seed is None or seed < 0:
            self.record_gap(name, value, "is not a whole number, 0 or more; 0 is used")
            return
        self.chosen_seed = seed % (MAX_SEED + 1)
        if seed > MAX_SEED:
            self.record_gap(name, seed, f"has more than 32 bits; its lower 32, {self.chosen_seed}, are used")

    def set_variation(self, seed: tuple[str, object], strength: tuple[str, object]) -> None:
        """Take a second seed and how much of its noise, each as the program's name for it and its value."""
        number, share = as_int(seed[1]), as_float(strength[1])
        if number is None or number < 0 or share is None or not 0 <= share <= 1:
            self.record_gaps([seed, strength], why="is no seed with a strength from 0 to 1")
        else:
            self.settings["variation_seed"], self.settings["variation_strength"] = number % (MAX_SEED + 1), share

    def add_lora(self, name: str, value: object, weight: object) -> None:
        """Take a LoRA, by the name that the program has for it and its weight; 1 where it says none.

        Args:
            name: what the program calls it, where it cannot be taken.
        """
        file, number = cleaned(value).strip(), 1.0 if weight in (None, "") else as_float(weight)
        if not file or number is None or file in self.loras or len(self.loras) >= _MAX_LORAS:
            self.record_gap(
                name, f"{brief(value)} {brief(weight or '')}".strip(), "is no LoRA with a weight, or one too many"
            )
        else:
            self.loras[file] = number

    def record_noise_device(self, name: str, device: object) -> None:
        """Say that noise was drawn elsewhere than on the CPU, where PromptLab draws it."""
        self.record_gap(name, device, "noise was drawn on the GPU: the same seed gives another picture here")

    def set_sampler(self, name: str, value: str, schedule_type: str | None, *, schedule: str = "Schedule type") -> None:
        """Take a sampler and its schedule type by the names of AUTOMATIC1111's web UI.

        Args:
            name, schedule: what the program calls the two.
            schedule_type: ``None`` means uniform; ``Automatic`` what the web UI chooses for this sampler.
        """
        known = f"{_FLOW.get(value, '')}" if self.flow else value
        found = scheduler_of(known) if known else None
        if found is None:
            self.record_gap(name, value, "no scheduler here computes the same; the model's own is used")
            self.record_gaps([(schedule, schedule_type)], why="belongs to that sampler")
            return
        self.scheduler = found
        if found.name in _NOISY or "sde" in str(dict(found.options).get("algorithm_type")):
            self.record_gap(name, value, "adds noise in every step, which is drawn in another order here")
        kind = automatic_schedule(value) if (schedule_type or "").lower() == "automatic" else schedule_type
        if kind is None:
            return
        if self.flow:
            if kind.strip().lower() not in _OF_FLOW:
                self.record_gap(schedule, kind, f"is no schedule of {found.name}")
            return
        scheduled = with_schedule(found, kind)
        if scheduled is None:
            self.record_gap(schedule, kind, f"is no schedule of {found.name}")
        else:
            self.scheduler = scheduled

    def record_gaps(self, fields: Iterable[tuple[str, object]], *, why: str = _NO_COUNTERPART) -> None:
        """Record a gap for each of ``fields`` that says anything."""
        for name, value in fields:
            if value is not False and value not in (None, "", "None") and value != [] and value != {}:  # 0 says much
                self.record_gap(name, value, why)

    def build(self) -> ForeignMetadata:
        """Return the description; what a spec must have and was not found is recorded as missing."""
        if not self.model:
            self.record_gap("model", "", "is not named")
        if self.chosen_seed is None:
            self.record_gap("seed", "", "is not known; 0 is used")
        if self.cut:
            self.gaps.append(ImportGap(name="further ones", value="", why=f"more than {_MAX_GAPS} are not listed"))
        settings: dict[Part, dict[str, Any]] = {"pipeline": {}, "call": {}}
        for row in settings_of("pipeline", "call"):
            settings[row.part] |= {name: self.settings[name] for name in row.sets if name in self.settings}
        loras = tuple(Lora(name=name, weight=weight) for name, weight in self.loras.items())
        spec = RunSpec(
            pipeline=PipelineSpec(model=self.model, scheduler=self.scheduler, loras=loras, **settings["pipeline"]),
            call=CallSpec(arguments=options(self.arguments), **settings["call"]),
            variants=(Variant(prompt=self.prompt, negative_prompt=self.negative_prompt),),
            seeds=(self.chosen_seed or 0,),
        )
        return ForeignMetadata(program=self.program, spec=spec, lost=tuple(self.gaps))

    def without_networks(self, prompt: str) -> str:
        """Return ``prompt`` without the networks in it: LoRAs are added, others are gaps."""
        for network in _NETWORK.finditer(prompt):
            kind, value = network.group(1), network.group(2)
            name, _, weights = value.partition(":")
            weight, _, of_words = weights.partition(":")
            if kind.lower() != "lora":
                self.record_gap(f"<{kind}>", value, "is not loaded here")
                continue
            self.add_lora(f"<{kind}>", name, weight)
            if of_words:
                self.record_gap(f"<{kind}>", value, "has one weight here, for the text encoder, too")
        return _NETWORK.sub("", prompt).strip()
