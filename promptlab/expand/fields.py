"""The fields of a run by the names people type.

A field has a short name (``steps``), which options, files, axes and labels use, and sets one or two fields of the spec
(``num_inference_steps``), whose names are accepted, too. Invariant: a name has one meaning, wherever it is typed;
:mod:`promptlab.expand.values` says what may stand behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from promptlab.errors import InputError, UnknownValue
from promptlab.expand.experiment_file.located_yaml import where
from promptlab.specs.settings import setting_named

__all__ = ["ARGUMENT", "FIELDS", "Field", "Kind", "field_named", "said_at", "what_is"]

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

_TEXTS: Final = frozenset(
    {"PROMPT", "arguments", "append", "fragments", "order", "prepend", "replace", "sample", "template_seed"}
)
"""Fields of an experiment that are no settings; where a place is known, it says which is meant."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
ARGUMENT: Final = "arguments."


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing that can be set, or swept over.

    Args:
        name: what people type.
        kind: how its values are read.
        sets: the fields of the spec that it sets, by their names there.
        help: a sentence for whoever writes a file.
        example: a value.
    """

    name: str
    kind: Kind
    sets: tuple[str, ...]
    help: str
    example: str

    @property
    def names(self) -> frozenset[str]:
        """Every name it goes by."""
        return frozenset({self.name, *_ALSO.get(self.name, ())})

    @property
    def option(self) -> str:
        """The option of the command line."""
        if self.kind == "argument":
            return f"--set {self.name.removeprefix(ARGUMENT)}"
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_numeric(self) -> bool:
        """Whether ranges can be typed for it."""
        return self.kind in ("whole", "natural", "number", "argument", "batch")


_ALSO: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "steps": ("num_inference_steps",),
        "guidance": ("guidance_scale",),
        "negative": ("negative_prompt",),
        "dtype": ("torch_dtype",),
        "prompts": ("prompt",),
        "seeds": ("seed",),
        "lora": ("loras",),
        "textual_inversion": ("embedding", "embeddings"),
    }
)


def _fields(*rows: tuple[str, Kind, str, str]) -> Mapping[str, Field]:
    sets = {"size": ("width", "height"), "prompts": ("variants",), "steps": ("num_inference_steps",)}
    sets |= {"guidance": ("guidance_scale",), "negative": ("negative_prompt",)}
    sets |= {"lora": ("loras",), "textual_inversion": ("embeddings",)}
    return MappingProxyType(
        {
            name: Field(name=name, kind=kind, sets=sets.get(name, (name,)), help=help_, example=example)
            for name, kind, help_, example in rows
        }
    )


FIELDS: Final[Mapping[str, Field]] = _fields(
    ("model", "text", "Hub id, folder, .safetensors file, or a bundled model.", "mini"),
    ("revision", "text", "Branch, tag or commit of the model on the Hub.", "main"),
    ("variant", "text", "Weights variant on the Hub.", "fp16"),
    ("config", "text", "Configuration of a single-file model: folder or Hub id.", "org/model"),
    ("vae", "text", "Another VAE: Hub id, folder or file; default is the model's own.", "stabilityai/sd-vae-ft-mse"),
    ("scheduler", "scheduler", "Alias or class name, with NAME:option=value; default is the model's own.", "euler"),
    ("dtype", "dtype", "float32, float16 or bfloat16.", "float16"),
    ("lora", "parts", "LoRA files or Hub ids, as NAME:weight; a list, or a + b, is used together.", "ink:0.8"),
    ("textual_inversion", "parts", "Files or Hub ids of embeddings, as NAME:token.", "cat-toy.safetensors:<cat-toy>"),
    ("weighting", "switch", "Weights in prompts, (words)1.3, and more than 77 tokens (compel).", "true"),
    ("clip_skip", "natural", "Layers of the CLIP encoders left out at the end (clip_skip).", "1"),
    ("steps", "whole", "Denoising steps (num_inference_steps), 1 or more.", "20"),
    ("guidance", "number", "Guidance scale (guidance_scale), 0 or more.", "7.5"),
    ("guidance_rescale", "number", "0 to 1: scale guided steps back to their spread (guidance_rescale).", "0.7"),
    ("guidance_until", "number", "0 to 1: drop guidance after that share of the steps.", "0.4"),
    ("variation_seed", "seed", "A second seed, whose noise is mixed in.", "7"),
    ("variation_strength", "number", "0 to 1: how much of the variation seed's noise.", "0.2"),
    ("size", "size", "Pixels: 512, or 512x768 (width first).", "512x768"),
    ("height", "whole", "Pixels; with width, instead of size.", "512"),
    ("width", "whole", "Pixels; with height, instead of size.", "512"),
    ("batch_size", "batch", "Images per forward, 1 or more, or auto. Another size gives other bytes.", "4"),
    ("device", "text", "cuda, cuda:1, mps or cpu.", "cuda"),
    ("generator_device", "text", "Where the noise is drawn; on the CPU it is the same for every device.", "cpu"),
    ("attention_slicing", "switch", "Attention one slice of the heads after the other: less memory.", "true"),
    ("vae_slicing", "switch", "Pictures decoded one by one: less memory.", "true"),
    ("vae_tiling", "switch", "Large pictures decoded in overlapping tiles: less memory, other bytes.", "true"),
    ("offload", "text", "Weights wait in the CPU's memory: model, sequential or group.", "model"),
    ("attention_backend", "text", "diffusers' name of the kernels for attention.", "native"),
    ("compile", "switch", "Compile the denoiser (torch.compile): a minute first, quicker then.", "true"),
    ("channels_last", "switch", "Convolutions with the channels innermost.", "true"),
    ("exact", "switch", "Out of memory, fail instead of going on with smaller batches.", "true"),
    ("negative", "negative", "What to steer away from (negative_prompt).", "blurry"),
    ("prompts", "prompts", "One or more prompts, each a template: {a|b||c}, __list__.", "a {red|blue} fox"),
    ("seeds", "seeds", "0-7, or 1,5,9, or 1-10 (+3), or random:4.", "0-7"),
)
"""Everything but call arguments, which are called ``arguments.NAME``."""

_FORMER: Final = frozenset({"clip_skip", "guidance_rescale"})
"""Fields that were call arguments once: files and pictures name them so."""

_BY_NAME: Final = MappingProxyType({name: each for each in FIELDS.values() for name in each.names})


def field_named(name: str, *, what: str) -> Field:
    """The field that goes by ``name``.

    Args:
        name: any of its names; ``arguments.NAME`` for a call argument by its diffusers name.
        what: where it was typed, for what errors say.

    Raises:
        UnknownValue: naming the nearest.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    argument = name.removeprefix(ARGUMENT)
    if argument == name or not _NAME.fullmatch(argument):
        raise UnknownValue(what, name, [*FIELDS, f"{ARGUMENT}NAME"], problem="is no field of a run")
    if argument in _FORMER:
        return _BY_NAME[argument]
    if argument in _BY_NAME:
        raise InputError(what, name, problem="has a name of its own", allowed=_BY_NAME[argument].name)
    return Field(name=str(name), kind="argument", sets=("arguments",), help="A call argument.", example="1")


def what_is(said: object, key: str) -> str:
    """How an error names ``said``: the place in its file, or the option ``key`` of the command line."""
    place = where(said)
    if place is None and key == "prompts":
        return "PROMPT"
    return f"--{key.replace('_', '-')}" if place is None else f"{place}: {key}"


@contextmanager
def said_at(what: str) -> Iterator[None]:
    """Errors of what is done within name ``what`` as the place that is wrong.

    Verbs of the command line say ``--steps``; in a file the place of the value is what helps.
    """
    try:
        yield
    except InputError as error:
        if error.field.startswith(what):
            raise
        known = error.field in _TEXTS or setting_named(error.field) is not None
        inner = "" if known else f": {error.field}"
        hint = error.hint if what.startswith("--") or not (error.hint or "").startswith("\x02") else None
        raise InputError(what + inner, error.value, problem=error.problem, allowed=error.allowed, hint=hint) from error
