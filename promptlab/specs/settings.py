"""Lists every setting of a run once: the table that everything else that knows settings is read from.

Options of the command line, fields of experiment files and their JSON Schema, the order of runs, ``show``, captions,
the report, MLflow's parameters, infotext, database columns and the range checks of the specs themselves: each walks
:data:`SETTINGS`. A new setting is a field of :class:`~promptlab.specs.PipelineSpec`, :class:`~promptlab.specs.CallSpec`
or :class:`~promptlab.specs.MachineSpec` and a row here; a migration makes its column. CONTRIBUTING.md shows one.

Invariant: a name has one meaning wherever it is typed, and every field of a spec but the words belongs to one row.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from types import MappingProxyType
from typing import Any, Final, Literal

from promptlab.errors import InputError, ref_value

__all__ = ["SETTINGS", "Kind", "Part", "Setting", "check_ranges", "fits", "is_said", "setting_named", "settings_of"]

Kind = Literal[
    "text",
    "scheduler",
    "dtype",
    "whole",
    "number",
    "size",
    "negative",
    "prompts",
    "seeds",
    "argument",
    "batch",
    "switch",
    "natural",
    "seed",
    "parts",
]
"""How a typed value is read; :mod:`promptlab.expand.values` has a reader for each."""

Part = Literal["pipeline", "call", "machine", "run"]
"""The dataclass that a setting's fields lie in; ``run`` is :class:`~promptlab.specs.RunSpec` itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Describes one thing that can be set, or swept over.

    Args:
        name: what people type: ``steps``; the option is the same with hyphens, ``--steps``.
        kind: how its values are read.
        part: where its fields lie.
        sets: the fields of that part that it sets, by diffusers' names: ``num_inference_steps``. ``size`` sets two.
        help: a sentence for whoever writes an experiment file.
        example: a value, as one types it.
        also: other names that files, ``vary`` and axes take.
        option_names: those of ``also`` that are options of the command line, too.
        option_help: what the option's help says, where that is not ``help``.
        metavar: what stands for the value in help.
        choices: values that shell completion offers.
        nothing: a word, besides ``default``, that sets it to nothing at all, and stands where it is shown as nothing.
        minimum, maximum: what its numbers may be, ends included; ``None`` is no bound.
        out_of_range: what an error says of a number that is not.
        load_order: its place in the order of runs (:mod:`promptlab.plan.order`), slow changes first; ``None`` where
            another setting stands for it.
        load_group: the level of that order that it shares with others: all of the machine's are one.
        conditioning: whether it steers the picture beside words, steps and a scale: these are shown together, in the
            table's order, wherever a setting is shown.
        shown: what ``conditioning`` settings show instead of their value.
        argument: the argument of the pipeline's call that takes it as it is; ``None`` where the engine does more.
        recipe: how it enters the text of a setting's key: under a name of its own (``own``), among the ``arguments``
            of the call, where it once was one, in ``conditioning`` where it was asked for, or not at all.
        column: its column of ``promptlab_runs``; ``None`` where it has none (``size`` has two).
        infotext: its key in AUTOMATIC1111's infotext, where it stands there as it is.
        later: whether the first version of a spec's JSON did not know it: it is left out there when it says nothing.
    """

    name: str
    kind: Kind
    part: Part
    sets: tuple[str, ...]
    help: str
    example: str
    also: tuple[str, ...] = ()
    option_names: tuple[str, ...] = ()
    option_help: str | None = None
    metavar: str = ""
    choices: tuple[str, ...] = ()
    nothing: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    out_of_range: str = "is out of range"
    load_order: int | None = None
    load_group: str | None = None
    conditioning: bool = False
    shown: str | None = None
    argument: str | None = None
    recipe: Literal["own", "arguments", "conditioning"] | None = None
    column: str | None = None
    infotext: str | None = None
    later: bool = False

    @property
    def field(self) -> str:
        """Return the field that errors name: diffusers' own word, ``num_inference_steps``."""
        return self.sets[0] if len(self.sets) == 1 and self.kind not in ("prompts", "argument") else self.name

    @property
    def names(self) -> frozenset[str]:
        """Return every name it goes by, the one that errors use included."""
        return frozenset({self.name, self.field, *self.also})

    @property
    def is_numeric(self) -> bool:
        """Say whether ranges can be typed for it."""
        return self.kind in ("whole", "natural", "number", "argument", "batch")

    @property
    def is_whole(self) -> bool:
        """Say whether its numbers are whole ones."""
        return self.kind in ("whole", "natural", "seed", "batch")

    def values(self, spec: object) -> tuple[Any, ...]:
        """Return the values of its fields in the run's ``spec``, in the order of ``sets``."""
        part = spec if self.part == "run" else getattr(spec, self.part)
        return tuple(getattr(part, name) for name in self.sets)

    def value(self, spec: object) -> Any:
        """Return its value in ``spec``; of a setting of several fields, a tuple."""
        found = self.values(spec)
        return found[0] if len(found) == 1 else found

    def is_set(self, spec: object) -> bool:
        """Say whether ``spec`` asks for it: its value is other than None, off and nothing at all."""
        return any(map(is_said, self.values(spec)))


def _row(name: str, kind: Kind, part: Part, *sets: str, **facts: Any) -> Setting:
    """Make a row; a setting that is named like its one field needs not say so."""
    return Setting(name=name, kind=kind, part=part, sets=sets or (name,), **facts)


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        row.name: row
        for row in (
            _row(
                "model", "text", "pipeline",
                help="Hub id, folder, .safetensors file, or a bundled model.", metavar="MODEL", example="mini",
                load_order=0, recipe="own", column="model",
            ),
            _row(
                "revision", "text", "pipeline",
                help="Branch, tag or commit of the model on the Hub.", metavar="REV", example="main",
                column="revision",
            ),
            _row(
                "variant", "text", "pipeline",
                help="Weights variant on the Hub.", option_help="Weights variant on the Hub, such as fp16.",
                metavar="NAME", example="fp16",
                load_order=1, recipe="own", column="weights_variant",
            ),
            _row(
                "config", "text", "pipeline",
                help="Configuration of a single-file model: folder or Hub id.",
                option_help="Configuration of a .safetensors model: folder or Hub id. [default: told from the file]",
                metavar="FOLDER|ID", example="org/model",
                column="config", later=True,
            ),
            _row(
                "vae", "text", "pipeline",
                help="Another VAE: Hub id, folder or file; default is the model's own.",
                option_help="Another VAE: Hub id, folder or file; 'default' for the model's own.",
                metavar="VAE", example="stabilityai/sd-vae-ft-mse",
                load_order=7, recipe="own", column="vae",
            ),
            _row(
                "scheduler", "scheduler", "pipeline",
                help="Alias or class name, with NAME:option=value; default is the model's own.",
                option_help="Class name or alias; 'promptlab schedulers' lists them. 'default' for the model's own.",
                metavar="NAME[:OPTION=VALUE,…]", example="euler",
                load_order=13, recipe="own", column="scheduler",
            ),
            _row(
                "dtype", "dtype", "pipeline",
                help="float32, float16, bfloat16, or auto: float32 on a CPU, elsewhere the half of the stored weights.",
                option_help="float32, float16, bfloat16 or auto. [default: auto: float32 on a CPU, elsewhere the half "
                "precision that the weights are stored in]",
                metavar="DTYPE", example="float16", also=("torch_dtype",), option_names=("torch_dtype",),
                load_order=3, recipe="own", column="dtype",
            ),
            _row(
                "quantization", "text", "pipeline",
                help="The denoiser's weights in fewer bits: nf4, int8, fp8, or gguf:FILE in their place; none.",
                option_help="The denoiser's weights in fewer bits: nf4 (bitsandbytes), int8, fp8 (torchao), or "
                "those of gguf:FILE in their place; 'none' for as they are stored.",
                metavar="HOW", example="int8", choices=("none", "nf4", "int8", "fp8"), nothing="none",
                load_order=4, conditioning=True, recipe="conditioning", column="quantization", later=True,
            ),
            _row(
                "text_encoder_quantization", "text", "pipeline",
                help="The text encoders' weights in fewer bits: nf4, int8 or fp8; none.",
                option_help="The text encoders' weights in fewer bits: nf4, int8, fp8; 'none'.",
                metavar="HOW", example="int8", choices=("none", "nf4", "int8", "fp8"), nothing="none",
                load_order=5, conditioning=True, recipe="conditioning", column="text_encoder_quantization", later=True,
            ),
            _row(
                "lora", "parts", "pipeline", "loras",
                help="LoRA files or Hub ids, as NAME:weight; a list, or a + b, is used together.",
                option_help="LoRA weights on top: file, folder or Hub id. A + B uses both together; typed twice is an "
                "axis; 'none' for none.",
                metavar="NAME[:WEIGHT]", example="ink:0.8",
                load_order=8, conditioning=True, recipe="conditioning", column="loras", later=True,
            ),
            _row(
                "textual_inversion", "parts", "pipeline", "embeddings",
                help="Files or Hub ids of embeddings, as NAME:token.",
                option_help="Embeddings for a word of their own: file, folder or Hub id; like --lora.",
                metavar="NAME[:TOKEN]", example="cat-toy.safetensors:<cat-toy>",
                also=("embedding",), option_names=("embedding",),
                load_order=9, conditioning=True, recipe="conditioning", column="embeddings", later=True,
            ),
            _row(
                "weighting", "switch", "call",
                help="Weights in prompts, (words)1.3, and more than 77 tokens (compel).",
                option_help="Weights in prompts, (words)1.3 or words++, and more than 77 tokens: compel.",
                example="true",
                load_order=16, conditioning=True, shown="compel", recipe="conditioning", column="weighting", later=True,
            ),
            _row(
                "clip_skip", "natural", "call",
                help="Layers of the CLIP encoders left out at the end (clip_skip).",
                option_help="Layers of the CLIP encoders left out at the end.",
                metavar="N", example="1", minimum=0,
                load_order=17, conditioning=True, recipe="arguments", column="clip_skip", later=True,
            ),
            _row(
                "steps", "whole", "call", "num_inference_steps",
                help="Denoising steps (num_inference_steps), 1 or more.", option_help="Denoising steps.",
                metavar="N", example="20", option_names=("num_inference_steps",), minimum=1,
                out_of_range="is too few",
                load_order=14, recipe="own", column="num_inference_steps",
            ),
            _row(
                "guidance", "number", "call", "guidance_scale",
                help="Guidance scale (guidance_scale), 0 or more.", option_help="Guidance scale.",
                metavar="SCALE", example="7.5", option_names=("guidance_scale", "cfg_scale", "cfg"), minimum=0,
                load_order=15, recipe="own", column="guidance_scale",
            ),
            _row(
                "guidance_rescale", "number", "call",
                help="0 to 1: scale guided steps back to their spread (guidance_rescale).",
                option_help="0 to 1: scale guided steps back to their spread.",
                metavar="SHARE", example="0.7", minimum=0, maximum=1,
                load_order=18, conditioning=True, argument="guidance_rescale", recipe="arguments",
                column="guidance_rescale", later=True,
            ),
            _row(
                "guidance_until", "number", "call",
                help="0 to 1: drop guidance after that share of the steps.",
                metavar="SHARE", example="0.4", minimum=0, maximum=1,
                load_order=19, conditioning=True, recipe="conditioning", column="guidance_until", later=True,
            ),
            _row(
                "true_cfg_scale", "number", "call",
                help="Guidance of FLUX and Qwen-Image beside their distilled one (true_cfg_scale), 0 or more.",
                option_help="Guidance of FLUX and Qwen-Image beside their distilled one.",
                metavar="SCALE", example="4", minimum=0,
                load_order=22, conditioning=True, argument="true_cfg_scale", recipe="arguments",
                column="true_cfg_scale", infotext="True CFG scale", later=True,
            ),
            _row(
                "variation_seed", "seed", "call",
                help="A second seed, whose noise is mixed in.", metavar="SEED", example="7",
                minimum=0, maximum=2**32 - 1,
                load_order=20, conditioning=True, recipe="conditioning", column="variation_seed", later=True,
            ),
            _row(
                "variation_strength", "number", "call",
                help="0 to 1: how much of the variation seed's noise.", option_help="0 to 1: how much of it.",
                metavar="SHARE", example="0.2", minimum=0, maximum=1,
                load_order=21, conditioning=True, recipe="conditioning", column="variation_strength", later=True,
            ),
            _row(
                "size", "size", "call", "width", "height",
                help="Pixels: 512, or 512x768 (width first).", metavar="W[xH]", example="512x768",
                load_order=10,
            ),
            _row(
                "height", "whole", "call",
                help="Pixels; with width, instead of size.", option_help="With --width, instead of --size.",
                metavar="PIXELS", example="512", minimum=1, recipe="own", column="height",
            ),
            _row(
                "width", "whole", "call",
                help="Pixels; with height, instead of size.", option_help="With --height, instead of --size.",
                metavar="PIXELS", example="512", minimum=1, recipe="own", column="width",
            ),
            _row(
                "batch_size", "batch", "run",
                help="Images per forward, 1 or more, or auto. Another size gives other bytes.",
                option_help="Images per forward; auto: the most that fit. [default: 4, or the number of images]",
                metavar="N|auto", example="4", minimum=1,
                load_order=11, recipe="own", column="batch_size",
            ),
            _row(
                "device", "text", "run",
                help="cuda, cuda:1, mps or cpu.",
                option_help="cuda, cuda:1, mps or cpu. [default: the first that is there]",
                metavar="DEVICE", example="cuda",
                load_order=2, column="asked_device",
            ),
            _row(
                "generator_device", "text", "run",
                help="Where the noise is drawn; on the CPU it is the same for every device.",
                option_help="Where the noise is drawn. [default: cpu, the same noise for every device]",
                metavar="DEVICE", example="cpu",
                load_order=12, recipe="own", column="generator_device",
            ),
            _row(
                "attention_slicing", "switch", "machine",
                help="Attention one slice of the heads after the other: less memory.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "vae_slicing", "switch", "machine",
                help="Pictures decoded one by one: less memory.",
                option_help="Decode pictures one by one: less memory.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "vae_tiling", "switch", "machine",
                help="Large pictures decoded in overlapping tiles: less memory, other bytes.",
                option_help="Decode large pictures in tiles: less memory, other bytes.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "offload", "text", "machine",
                help="Weights wait in the CPU's memory: model, sequential or group.", metavar="HOW", example="model",
                choices=("model", "sequential", "group"), load_order=6, load_group="machine",
            ),
            _row(
                "attention_backend", "text", "machine",
                help="diffusers' name of the kernels for attention.",
                option_help="Kernels for attention, by diffusers' name.", metavar="NAME", example="native",
                load_order=6, load_group="machine",
            ),
            _row(
                "compile", "switch", "machine",
                help="Compile the denoiser (torch.compile): a minute first, quicker then.",
                option_help="Compile the denoiser: a minute first, quicker then.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "channels_last", "switch", "machine",
                help="Convolutions with the channels innermost.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "graphs", "switch", "machine",
                help="Replay forwards as CUDA graphs, each proved to give the same bits.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "exact", "switch", "machine",
                help="Out of memory, fail instead of going on with smaller batches.", example="true",
                load_order=6, load_group="machine",
            ),
            _row(
                "negative", "negative", "run", "negative_prompt",
                help="What to steer away from (negative_prompt).", option_help="What to steer away from.",
                metavar="TEXT", example="blurry", option_names=("negative_prompt",),
            ),
            _row(
                "prompts", "prompts", "run", "variants",
                help="One or more prompts, each a template: {a|b||c}, __list__.", example="a {red|blue} fox",
                also=("prompt",),
            ),
            _row(
                "seeds", "seeds", "run",
                help="0-7, or 1,5,9, or 1-10 (+3), or random:4.",
                option_help="0-7, or 1,5,9, or random:4; several are joined. [default: 0]",
                metavar="SEEDS", example="0-7", also=("seed",), option_names=("seed",), column="seeds",
            ),
        )
    }
)  # fmt: skip
"""Every setting by its name; further arguments of the call, ``arguments.NAME``, have no row."""

_BY_NAME: Final = MappingProxyType(
    {name: row for row in SETTINGS.values() for name in row.names if name == row.name or name not in SETTINGS}
)


def setting_named(name: str) -> Setting | None:
    """Return the setting that goes by ``name``, or None."""
    return _BY_NAME.get(name)


def settings_of(*parts: Part) -> Iterator[Setting]:
    """Yield the rows of one part of a spec, or of several, in the table's order."""
    return (row for row in SETTINGS.values() if row.part in parts)


def is_said(value: object) -> bool:
    """Say whether a value asks for something: it is other than None, off and nothing at all."""
    return value is not None and value is not False and value != ()


@cache
def _ranged(part: Part) -> tuple[tuple[str, Setting, float, float], ...]:
    """Return the rows of one part whose numbers have a range: field, row, and both ends."""
    rows = (row for row in settings_of(part) if (row.minimum, row.maximum) != (None, None))
    most = sys.float_info.max
    return tuple(
        (row.field, row, -most if row.minimum is None else row.minimum, most if row.maximum is None else row.maximum)
        for row in rows
    )


def check_ranges(part: Part, spec: object, *, but: Sequence[str] = ()) -> None:
    """Refuse numbers that are out of their row's range, and what is no number where one belongs.

    Args:
        part: which dataclass ``spec`` is: its fields are looked at. None is the pipeline's own default and always fits.
        spec: the dataclass.
        but: rows that it looks at itself.

    Raises:
        InputError: naming the field, the range and an example.
    """
    for field, row, low, high in _ranged(part):
        value = getattr(spec, field)
        if value is None or (type(value) is int and low <= value <= high):  # a sweep makes a hundred thousand
            continue
        if row.name in but or fits(row, value):
            continue
        is_fraction = row.is_whole and isinstance(value, float)
        raise InputError(
            row.field, value, problem="is not a whole number" if is_fraction else row.out_of_range,
            allowed=_range_text(row), hint=ref_value(row.field, row.example),
        )  # fmt: skip


def fits(row: Setting, value: Any) -> bool:
    """Say whether ``value`` is a number that a setting may have."""
    if isinstance(value, bool) or not isinstance(value, int if row.is_whole else int | float):
        return False
    low, high = -inf if row.minimum is None else row.minimum, inf if row.maximum is None else row.maximum
    return low <= value <= high and abs(value) < inf


def _range_text(row: Setting) -> str:
    low = 0 if row.minimum is None else row.minimum
    return f"{low:g} or more" if row.maximum is None else f"{low:g} to {row.maximum:.10g}"
