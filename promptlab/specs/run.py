"""Holds everything one run asks for; its two verbs, ``vary`` and ``diff``, carry the whole product."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from promptlab.errors import InputError, ref_value
from promptlab.specs.call import MAX_SEED, CallSpec
from promptlab.specs.machine import AUTO, MachineSpec
from promptlab.specs.pipeline import Embedding, Lora, PipelineSpec, SchedulerSpec
from promptlab.specs.settings import setting_named, settings_of
from promptlab.specs.values import options

__all__ = ["Change", "RunSpec", "Variant"]

_LATER: Final = {part: frozenset(row.field for row in settings_of(part) if row.later) for part in ("pipeline", "call")}
"""Fields that the first version did not know, by the part they lie in."""

_SEEDS: Final = ref_value("seeds", "0-7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Holds one wording of a run: a row of its grid.

    Args:
        prompt: in full, as the text encoder gets it.
        negative_prompt: what to steer away from; empty means none.
        label: a few words that tell this variant from its neighbours; empty until :mod:`promptlab.expand` names it.
        template: the text with its ``{a|b}`` still in it, where the prompt came from one.
        replacement: ``old=>new`` as applied, a line for each in order, where the prompt was varied from another;
            :func:`promptlab.expand.prompt_edits.replacements` reads it.
        source: the place, in the parent's run, of the variant it was varied from.
    """

    prompt: str
    negative_prompt: str = ""
    label: str = ""
    template: str | None = None
    replacement: str | None = None
    source: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Names a field that differs between two specs, and holds its plain values before and after."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field}: {_plainly(self.before)} → {_plainly(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Asks for variants × seeds images under one setting: everything that one run is.

    Args:
        pipeline: see :class:`PipelineSpec`.
        call: see :class:`CallSpec`.
        variants: one or more wordings, the rows of the grid.
        seeds: 0 … 2³²−1, each once, the columns of the grid.
        batch_size: images per forward; short batches are padded to it, because another size gives other bytes.
            :data:`AUTO` is for the lab to replace by a number.
        device: ``cuda``, ``cuda:1``, ``mps``, ``cpu``; ``None`` takes the first of these that is there.
        generator_device: where the noise is drawn; on the CPU it is the same for every device.
        machine: see :class:`MachineSpec`.
    """

    pipeline: PipelineSpec
    call: CallSpec = field(default_factory=CallSpec)
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    batch_size: int | Literal["auto"] | None = None
    device: str | None = None
    generator_device: str = "cpu"
    machine: MachineSpec = field(default_factory=MachineSpec)

    def __post_init__(self) -> None:
        if not self.variants:
            raise InputError("prompts", problem="is missing", allowed="one or more prompts", hint='promptlab run "…"')
        if not self.seeds:
            raise InputError("seeds", problem="names no seed", allowed="one or more seeds", hint=_SEEDS)
        for seed in self.seeds:
            if not 0 <= seed <= MAX_SEED:
                raise InputError("seeds", seed, problem="is out of range", allowed=f"0 to {MAX_SEED}", hint=_SEEDS)
        if len(set(self.seeds)) < len(self.seeds):
            seen: set[int] = set()
            twice = next(seed for seed in self.seeds if seed in seen or seen.add(seed))  # type: ignore[func-returns-value]
            raise InputError("seeds", twice, problem="is named twice", allowed="each seed once", hint=_SEEDS)
        if self.batch_size is not None and self.batch_size != AUTO and self.batch_size < 1:
            raise InputError(
                "batch_size", self.batch_size, problem="is too small", allowed=f"1 or more, or {AUTO}",
                hint=ref_value("batch_size", "4"),
            )  # fmt: skip

    @property
    def image_count(self) -> int:
        """Count the images of the run: variants × seeds."""
        return len(self.variants) * len(self.seeds)

    def vary(self, **changes: Any) -> Self:
        """Return a copy with ``changes`` applied, each by its own name wherever it lives.

        ``spec.vary(seeds=(1,), num_inference_steps=25, scheduler=None)``: fields of the pipeline, the call and the
        machine are named as if they were the run's own.

        Raises:
            TypeError: for a name that no part of a spec has.
        """
        parts: dict[str, Any] = {}
        for part_name in ("pipeline", "call", "machine"):
            part = getattr(self, part_name)
            names = {field.name for field in dataclasses.fields(part)} & changes.keys()
            if names:
                parts[part_name] = dataclasses.replace(part, **{name: changes.pop(name) for name in names})
        return dataclasses.replace(self, **parts, **changes)

    def diff(self, other: RunSpec) -> tuple[Change, ...]:
        """Return what changed from this spec to ``other``, field by field, prompts and seeds as whole lists."""
        mine, theirs = dict(_flat(self)), dict(_flat(other))
        return tuple(
            Change(field=name, before=mine.get(name), after=theirs.get(name))
            for name in dict.fromkeys((*mine, *theirs))
            if mine.get(name) != theirs.get(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON, of which :meth:`from_dict` makes an equal spec.

        Fields that the first version did not know are left out when they say nothing, so that it reads what it can.
        """
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        plain["call"]["arguments"] = dict(self.call.arguments)
        plain["machine"] = self.machine.said
        if self.pipeline.scheduler is not None:
            plain["pipeline"]["scheduler"]["options"] = dict(self.pipeline.scheduler.options)
        for part, names in _LATER.items():
            said = plain[part]
            plain[part] = {
                name: value
                for name, value in said.items()
                if name not in names or not (value is None or value is False or value == [])
            }
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return the spec that :meth:`to_dict` wrote.

        Raises:
            InputError: when a key is missing or unknown, or a value is out of range.
        """
        try:
            pipeline, call = dict(plain["pipeline"]), dict(plain["call"])
            scheduler = pipeline.pop("scheduler", None)
            loras, embeddings = pipeline.pop("loras", ()), pipeline.pop("embeddings", ())
            return cls(
                **{
                    **plain,
                    "pipeline": PipelineSpec(
                        **pipeline,
                        scheduler=scheduler
                        and SchedulerSpec(name=scheduler["name"], options=options(scheduler.get("options"))),
                        loras=tuple(Lora(**each) for each in loras),
                        embeddings=tuple(Embedding(**each) for each in embeddings),
                    ),
                    "call": CallSpec(**{**call, "arguments": options(call.get("arguments"))}),
                    "machine": MachineSpec(**plain.get("machine", {})),
                    "variants": tuple(Variant(**variant) for variant in plain["variants"]),
                    "seeds": tuple(int(seed) for seed in plain["seeds"]),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError("spec", problem=f"is not one of PromptLab's: {error}") from error


def _flat(spec: RunSpec) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a spec with their values; a scheduler's options apart, LoRAs as they are typed."""
    for part in (spec.pipeline, spec.call):
        for each in dataclasses.fields(part):
            value, row = getattr(part, each.name), setting_named(each.name)
            if isinstance(value, SchedulerSpec):
                yield "scheduler", value.name
                yield from ((f"scheduler.{key}", inner) for key, inner in value.options)
            elif each.name == "arguments":
                yield from value
            elif row is not None and row.kind == "parts":
                yield row.name, " + ".join(map(str, value)) or "none"
            else:
                yield each.name, value
    yield "prompts", [variant.prompt for variant in spec.variants]
    yield "negative_prompts", list(dict.fromkeys(variant.negative_prompt for variant in spec.variants))
    yield "seeds", list(spec.seeds)
    yield from (("batch_size", spec.batch_size), ("device", spec.device), ("generator_device", spec.generator_device))
    yield from ((each.name, getattr(spec.machine, each.name)) for each in dataclasses.fields(spec.machine))


def _plainly(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_plainly(item) for item in value) or "none"
    if isinstance(value, str):
        return f"“{value}”" if value else "none"
    return "default" if value is None else str(value)
