"""What a picture is made from, as values: frozen, comparable, and the same in a file, a row and a PNG chunk.

A :class:`RunSpec` is everything one run asks for. Names are those of diffusers, so a spec reads like the call it
becomes: :class:`PipelineSpec` goes into ``from_pretrained``, :class:`CallSpec` into ``pipeline(...)``. ``None`` always
means "the pipeline's own default"; an engine's ``resolve`` fills these in, and from then on a spec is complete.

Rerun is ``load ∘ vary ∘ run``, so the two verbs here carry the whole product: :meth:`RunSpec.vary` and
:meth:`RunSpec.diff`. Standard library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Literal, Self, get_args

from promptlab.errors import InputError, UnknownValue

__all__ = [
    "AUTO",
    "DTYPES",
    "MAX_SEED",
    "OFFLOADS",
    "CallSpec",
    "Change",
    "Dtype",
    "Embedding",
    "Lora",
    "MachineSpec",
    "Offload",
    "Options",
    "PipelineSpec",
    "RunSpec",
    "Scalar",
    "SchedulerSpec",
    "Variant",
    "canonical_json",
    "options",
    "parse_scalar",
    "recipe_key",
    "setting_key",
    "words_key",
]

Scalar = bool | int | float | str | None
"""A value an option can have: what JSON, a command line and a diffusers config all know."""

Options = tuple[tuple[str, Scalar], ...]
"""Named options in order of name. A tuple, so that specs stay hashable; build one with :func:`options`."""

Dtype = Literal["float32", "float16", "bfloat16"]
DTYPES: Final[tuple[Dtype, ...]] = get_args(Dtype)

Offload = Literal["model", "sequential", "group"]
OFFLOADS: Final[tuple[Offload, ...]] = get_args(Offload)

AUTO: Final = "auto"
"""In place of a batch size: the largest that fits, which is found before the run begins."""

MAX_SEED: Final = 2**32 - 1
"""CPU generators use 32 bits of a seed: 2**32 would give the noise of 0 under another name."""


def options(given: Mapping[str, Scalar] | None = None) -> Options:
    """``given`` as sorted pairs, so that the order they were typed in means nothing."""
    return tuple(sorted((given or {}).items()))


def parse_scalar(text: str) -> Scalar:
    """What was typed as an option's value: ``true``, ``false``, ``none``, a whole number, a number, or the text."""
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


_quoted: Final = json.encoder.encode_basestring


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks; equal values give equal text, ``7`` and ``7.0`` included.

    Written here and not by :mod:`json`, which cannot write a float as the whole number it is: changing the values first
    takes twice the time, and a sweep has a hundred thousand settings.
    """
    kind = type(value)
    if kind is str:
        return _quoted(value)
    if value is None or kind is bool:
        return "null" if value is None else "true" if value else "false"
    if kind is int:
        return repr(value)
    if kind is float and isfinite(value):
        return repr(int(value) if value.is_integer() else value)
    if kind is list or kind is tuple:
        return f"[{','.join([canonical_json(inner) for inner in value])}]"
    if kind is dict or isinstance(value, Mapping):
        pairs = sorted(value.items())
        return f"{{{','.join([f'{_quoted(key)}:{canonical_json(inner)}' for key, inner in pairs])}}}"
    if isinstance(value, float) and isfinite(value):
        return canonical_json(float(value))
    return canonical_json(list(value)) if isinstance(value, list | tuple) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSpec:
    """A scheduler by its diffusers class name, with the config values that differ from the model's own.

    Args:
        name: diffusers class name, such as ``DPMSolverMultistepScheduler``.
        options: config values, such as ``(("use_karras_sigmas", True),)``.
    """

    name: str
    options: Options = ()

    def __str__(self) -> str:
        shown = ",".join(f"{key}={json.dumps(value).strip(chr(34))}" for key, value in self.options)
        return f"{self.name}:{shown}" if shown else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank weights added to a model's own (peft's adapters), and how strongly.

    Args:
        name: a file, a folder, or on the Hub ``organisation/repository[@revision][/file]``.
        weight: what they are multiplied by; 1 is as they were trained, 0 leaves the model as it is.
        identity: ``commit:<sha>`` or ``sha256:<hex>``, once resolved. Two are equal whatever it is: it follows from the
            name, and is here so that a recipe can be told from one with another content under the same name.
    """

    name: str
    weight: float = 1.0
    identity: str | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isfinite(self.weight):
            raise InputError("--lora", str(self), problem="has no finite weight", hint=f"--lora {self.name}:0.8")

    def __str__(self) -> str:
        return self.name if self.weight == 1 else f"{self.name}:{canonical_json(self.weight)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A textual inversion: vectors that stand for a word of their own.

    Args:
        name: a file, a folder, or on the Hub ``organisation/repository[@revision][/file]``.
        token: the word, as it is written in prompts; ``None`` takes the one that the file names.
        identity: see :class:`Lora`.
    """

    name: str
    token: str | None = None
    identity: str | None = dataclasses.field(default=None, compare=False)

    def __str__(self) -> str:
        return self.name if self.token is None else f"{self.name}:{self.token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """What goes into ``from_pretrained``.

    Args:
        model: Hub id, local folder, single ``.safetensors`` file, or the name of a bundled model.
        revision: branch, tag or commit on the Hub; once resolved, the commit.
        variant: weights variant, such as ``fp16`` (diffusers' ``variant``).
        vae: another VAE: Hub id, folder or file; ``None`` keeps the pipeline's own.
        dtype: of everything but a VAE that has its own.
        scheduler: ``None`` keeps the pipeline's own.
        loras: added to the model's weights, in this order: sums of floats depend on it.
        embeddings: textual inversions.
    """

    model: str
    revision: str | None = None
    variant: str | None = None
    vae: str | None = None
    dtype: Dtype | None = None
    scheduler: SchedulerSpec | None = None
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[Embedding, ...] = ()

    def __post_init__(self) -> None:
        for what, names in (
            ("--lora", [each.name for each in self.loras]),
            ("--textual-inversion", [each.token or each.name for each in self.embeddings]),
        ):
            for name in names:
                if names.count(name) > 1:
                    raise InputError(what, name, problem="is named twice", allowed="each once")


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
        _check_share("--guidance-rescale", self.guidance_rescale, "0.7")
        _check_share("--variation-strength", self.variation_strength, "0.2")
        _check_share("--guidance-until", self.guidance_until, "0.4")
        if self.variation_seed is not None and not 0 <= self.variation_seed <= MAX_SEED:
            raise InputError(
                "--variation-seed", self.variation_seed, problem="is out of range", allowed=f"0 to {MAX_SEED}",
                hint="--variation-seed 7",
            )  # fmt: skip
        if self.clip_skip is not None and (isinstance(self.clip_skip, float | str) or self.clip_skip < 0):
            raise InputError(
                "--clip-skip", self.clip_skip, problem="is no number of layers", allowed="0 or more, whole",
                hint="--clip-skip 1",
            )  # fmt: skip
        if self.num_inference_steps is not None and self.num_inference_steps < 1:
            raise InputError(
                "--steps", self.num_inference_steps, problem="is too few", allowed="1 or more", hint="--steps 20"
            )
        if self.guidance_scale is not None and not 0 <= self.guidance_scale < float("inf"):
            raise InputError(
                "--guidance", self.guidance_scale, problem="is out of range", allowed="0 or more", hint="--guidance 7.5"
            )
        for side in (self.height, self.width):
            if side is not None and side < 1:
                raise InputError(
                    "--size", f"{self.width}x{self.height}", problem="is too small", allowed="whole pixels, 1 or more",
                    hint="--size 512x512",
                )  # fmt: skip

    def _adopt_arguments(self) -> None:
        """Arguments that became fields, where a record or ``--set`` names them the old way: one thing, one place."""
        if not self.arguments or not any(name in _FORMER_ARGUMENTS for name, _ in self.arguments):
            return
        for name, value in self.arguments:
            if name in _FORMER_ARGUMENTS and getattr(self, name) is None:
                object.__setattr__(self, name, value)
        rest = tuple(pair for pair in self.arguments if pair[0] not in _FORMER_ARGUMENTS)
        object.__setattr__(self, "arguments", rest)

    def check_whole(self) -> None:
        """A variation has a seed and a strength: each may come from another place, so the whole is looked at last.

        Raises:
            InputError: when one is there without the other.
        """
        if (self.variation_seed is None) != (self.variation_strength is None):
            there, missing = "--variation-seed", "--variation-strength"
            value: float | None = self.variation_seed
            if value is None:
                there, missing, value = missing, there, self.variation_strength
            example = "7" if missing == "--variation-seed" else "0.2"
            raise InputError(
                there, value, problem=f"means nothing without {missing}", hint=f"{there} {value} {missing} {example}"
            )

    @property
    def varied(self) -> bool:
        """Whether the noise is another than the seed's own."""
        return self.variation_seed is not None and bool(self.variation_strength)


_FORMER_ARGUMENTS: Final = ("clip_skip", "guidance_rescale")
"""Fields of a call that used to be ``arguments``, and still are in the text that a setting's key is made of."""


_PARTS: Final = {"loras": "lora", "embeddings": "textual_inversion"}
"""Fields that hold several things, and what people call one of them."""

_LATER: Final = {
    "pipeline": frozenset({"loras", "embeddings"}),
    "call": frozenset(
        {"weighting", "clip_skip", "guidance_rescale", "variation_seed", "variation_strength", "guidance_until"}
    ),
}


def _check_share(what: str, value: object, example: str) -> None:
    if value is not None and (isinstance(value, bool | str) or not 0 <= value <= 1):  # type: ignore[operator]
        raise InputError(what, value, problem="is out of range", allowed="0 to 1", hint=f"{what} {example}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """How the machine carries a run out: what is computed when, where and by which kernels, to fit or to be quick.

    Not part of the recipe: none of it says what the picture is of. What may round otherwise is part of the environment
    instead, so that a picture made with it is never taken for one made without. That is so for the attention backend,
    too, although diffusers sets it on a loaded model: a rerun on another machine may have to do without it.

    Args:
        attention_slicing: attention one slice of the heads after the other.
        vae_slicing: pictures decoded one by one.
        vae_tiling: large pictures decoded in overlapping tiles; seams are blended, so it changes pixels.
        offload: weights wait in the CPU's memory: whole ``model`` parts, ``sequential`` single layers, or ``group`` s
            of layers (diffusers' and accelerate's offloading).
        attention_backend: a name of diffusers' ``AttentionBackendName``: ``native``, ``_native_math``, ``flash`` …
        compile: the denoiser is compiled by ``torch.compile``.
        channels_last: convolutions' weights with the channels innermost.
        exact: out of memory, the run fails instead of going on with smaller batches.
    """

    attention_slicing: bool = False
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: Offload | None = None
    attention_backend: str | None = None
    compile: bool = False
    channels_last: bool = False
    exact: bool = False

    def __post_init__(self) -> None:
        if self.offload is not None and self.offload not in OFFLOADS:
            raise UnknownValue("--offload", str(self.offload), OFFLOADS, hint="--offload model")
        if not isinstance(self.attention_backend, str | None):
            raise InputError("--attention-backend", str(self.attention_backend), problem="is no name")
        for name in ("attention_slicing", "vae_slicing", "vae_tiling", "compile", "channels_last", "exact"):
            value, option = getattr(self, name), f"--{name.replace('_', '-')}"
            if not isinstance(value, bool):
                raise InputError(
                    option, str(value), problem="is neither on nor off", allowed="true, false", hint=option
                )

    @property
    def said(self) -> dict[str, Scalar]:
        """What is other than the default, by name: what is stored, and shown."""
        plain = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {name: value for name, value in plain.items() if value not in (None, False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One wording.

    Args:
        prompt: in full, as the text encoder gets it.
        negative_prompt: what to steer away from; empty means none.
        label: a few words that tell this variant from its neighbours; empty until :mod:`promptlab.expand` names it.
        template: the text with its ``{a|b}`` still in it, where the prompt came from one.
        replacement: ``old=>new`` as applied, a line for each in order, where the prompt was varied from another;
            :func:`promptlab.expand.wording.replacements` reads it.
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
    """One field that differs between two specs: ``field`` by its path, ``before`` and ``after`` as plain values."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.field}: {_plainly(self.before)} → {_plainly(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything one run asks for: variants × seeds images under one setting.

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
    call: CallSpec = CallSpec()
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    batch_size: int | Literal["auto"] | None = None
    device: str | None = None
    generator_device: str = "cpu"
    machine: MachineSpec = MachineSpec()

    def __post_init__(self) -> None:
        if not self.variants:
            raise InputError("PROMPT", problem="is missing", allowed="one or more prompts", hint='promptlab run "…"')
        if not self.seeds:
            raise InputError("--seeds", problem="names no seed", allowed="one or more seeds", hint="--seeds 0-7")
        for seed in self.seeds:
            if not 0 <= seed <= MAX_SEED:
                raise InputError(
                    "--seeds", seed, problem="is out of range", allowed=f"0 to {MAX_SEED}", hint="--seeds 0-7"
                )
        if len(set(self.seeds)) < len(self.seeds):
            seen: set[int] = set()
            twice = next(seed for seed in self.seeds if seed in seen or seen.add(seed))  # type: ignore[func-returns-value]
            raise InputError("--seeds", twice, problem="is named twice", allowed="each seed once", hint="--seeds 0-7")
        if self.batch_size is not None and self.batch_size != AUTO and self.batch_size < 1:
            raise InputError(
                "--batch-size",
                self.batch_size,
                problem="is too small",
                allowed=f"1 or more, or {AUTO}",
                hint="--batch-size 4",
            )

    @property
    def image_count(self) -> int:
        """How many images the run is made of: variants × seeds."""
        return len(self.variants) * len(self.seeds)

    def vary(self, **changes: Any) -> Self:
        """A copy with ``changes`` applied, each by its own name wherever it lives.

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
        """What changed from this spec to ``other``, field by field, prompts and seeds as whole lists."""
        mine, theirs = dict(_flat(self)), dict(_flat(other))
        return tuple(
            Change(field=name, before=mine.get(name), after=theirs.get(name))
            for name in dict.fromkeys((*mine, *theirs))
            if mine.get(name) != theirs.get(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for JSON; :meth:`from_dict` gives back an equal spec.

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
        """The spec that :meth:`to_dict` wrote.

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


def setting_key(spec: RunSpec, *, model_identity: str, vae_identity: str | None) -> str:
    """The hash of the setting that the images of a run share: 64 hex digits. Words and seeds are not in it.

    Weights enter by identity (commit or file hash), never by name alone: a model that changed under its name is another
    setting. Batch size is part of it, because kernels round differently at another shape.

    Args:
        spec: resolved, so that a default named and the same default left out are one setting.
    """
    text = _setting_text(spec, model_identity=model_identity, vae_identity=vae_identity)
    return hashlib.sha256(text.encode()).hexdigest()


def _setting_text(spec: RunSpec, *, model_identity: str, vae_identity: str | None) -> str:
    """The canonical JSON of a setting, put together from remembered parts: a sweep asks for a hundred thousand."""
    pipeline, call = spec.pipeline, spec.call
    scheduler = pipeline.scheduler
    options_text = canonical_json(dict(scheduler.options)) if scheduler and scheduler.options else "{}"
    scheduler_text = f"[{_atom(scheduler.name)},{options_text}]" if scheduler else "null"
    conditioning = _conditioning(spec)
    conditioning_text = f'"conditioning":{canonical_json(conditioning)},' if conditioning else ""
    return (
        f'{{"arguments":{_arguments_text(call)},'
        f'"batch_size":{_atom(spec.batch_size)},'
        f"{conditioning_text}"
        f'"dtype":{_atom(pipeline.dtype)},'
        f'"generator_device":{_atom(spec.generator_device)},'
        f'"guidance_scale":{canonical_json(call.guidance_scale)},'
        f'"height":{_atom(call.height)},'
        f'"model":{_atom(model_identity)},'
        f'"num_inference_steps":{_atom(call.num_inference_steps)},'
        f'"scheduler":{scheduler_text},'
        f'"vae":{_atom(vae_identity)},'
        f'"variant":{_atom(pipeline.variant)},'
        f'"width":{_atom(call.width)}}}'
    )


def _arguments_text(call: CallSpec) -> str:
    former = {name: value for name in _FORMER_ARGUMENTS if (value := getattr(call, name)) is not None}
    return canonical_json({**dict(call.arguments), **former}) if call.arguments or former else "{}"


def _conditioning(spec: RunSpec) -> dict[str, Any]:
    """What is steered by more than words and a scale; only what was asked for, so that a setting without any of it has
    the key that it had before there was any."""
    pipeline, call = spec.pipeline, spec.call
    found: dict[str, Any] = {}
    if pipeline.loras:
        found["loras"] = [[each.identity or each.name, each.weight] for each in pipeline.loras]
    if pipeline.embeddings:
        found["embeddings"] = [[each.identity or each.name, each.token] for each in pipeline.embeddings]
    if call.weighting:
        found["weighting"] = "compel"
    if call.variation_seed is not None or call.variation_strength is not None:
        found["variation"] = [call.variation_seed, call.variation_strength]
    if call.guidance_until is not None:
        found["guidance_until"] = call.guidance_until
    return found


@lru_cache(maxsize=1024, typed=True)
def _atom(value: Scalar) -> str:
    return canonical_json(value)


def words_key(variant: Variant) -> str:
    """The hash of a variant's words: 64 hex digits. Labels, notes and where a prompt came from are not in it."""
    return _digest({"prompt": variant.prompt, "negative_prompt": variant.negative_prompt})


def recipe_key(setting: str, words: str, seed: int) -> str:
    """The hash of everything that decides one image's pixels, apart from the environment: 64 hex digits.

    Args:
        setting: of :func:`setting_key`.
        words: of :func:`words_key`.
        seed: 0 … 2³²−1.
    """
    return hashlib.sha256(f"{setting}:{words}:{seed}".encode()).hexdigest()


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _flat(spec: RunSpec) -> Iterator[tuple[str, Any]]:
    """The fields of a spec by the names people use; a scheduler's options apart, variants by their words."""
    for part in (spec.pipeline, spec.call):
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if isinstance(value, SchedulerSpec):
                yield "scheduler", value.name
                yield from ((f"scheduler.{key}", inner) for key, inner in value.options)
            elif field.name == "arguments":
                yield from value
            elif field.name in _PARTS:
                yield _PARTS[field.name], " + ".join(map(str, value)) or "none"
            else:
                yield field.name, value
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
