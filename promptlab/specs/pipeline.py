"""Holds what goes into ``from_pretrained``: a model, and what is put in its place or on top of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal, get_args

from promptlab.errors import InputError, UnknownValue, ref_value
from promptlab.specs.values import Options, canonical_json

__all__ = [
    "DTYPES",
    "GGUF",
    "QUANTIZATIONS",
    "Dtype",
    "Embedding",
    "Lora",
    "PipelineSpec",
    "SchedulerSpec",
]

Dtype = Literal["float32", "float16", "bfloat16"]
DTYPES: Final[tuple[Dtype, ...]] = get_args(Dtype)

QUANTIZATIONS: Final = ("nf4", "int8", "fp8")
"""Names of how weights can be quantised while they are loaded."""

GGUF: Final = "gguf:"
"""Before the file of a denoiser that is quantised already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSpec:
    """Names a scheduler by its diffusers class, with the config values that differ from the model's own.

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
    """Names low-rank weights that are added to a model's own (peft's adapters), and how strongly.

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
            raise InputError(
                "loras", str(self), problem="has no finite weight", hint=ref_value("loras", f"{self.name}:0.8")
            )

    def __str__(self) -> str:
        return self.name if self.weight == 1 else f"{self.name}:{canonical_json(self.weight)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """Names a textual inversion: vectors that stand for a word of their own.

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
    """Sets what goes into ``from_pretrained``.

    Args:
        model: Hub id, local folder, single ``.safetensors`` file, or the name of a bundled model.
        revision: branch, tag or commit on the Hub; once resolved, the commit.
        variant: weights variant, such as ``fp16`` (diffusers' ``variant``).
        config: configuration of a model in a single file: folder or Hub id (diffusers' ``config``); ``None`` tells it
            from the file's tensors.
        vae: another VAE: Hub id, folder or file; ``None`` keeps the pipeline's own.
        dtype: of everything but a VAE that has its own; ``None`` and ``auto`` take the model's; see
            :mod:`promptlab.engine.sources.stored_dtype`.
        quantization: how the denoiser's weights are held: one of :data:`QUANTIZATIONS`, or ``gguf:FILE``, whose weights
            take the place of the model's; ``None`` is as they are stored.
        text_encoder_quantization: likewise, of all text encoders; there is no GGUF of these.
        scheduler: ``None`` keeps the pipeline's own.
        loras: added to the model's weights, in this order: sums of floats depend on it.
        embeddings: textual inversions.
    """

    model: str
    revision: str | None = None
    variant: str | None = None
    config: str | None = None
    vae: str | None = None
    dtype: Dtype | Literal["auto"] | None = None
    scheduler: SchedulerSpec | None = None
    loras: tuple[Lora, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    quantization: str | None = None
    text_encoder_quantization: str | None = None

    def __post_init__(self) -> None:
        _check_quantization("quantization", self.quantization, files=True)
        _check_quantization("text_encoder_quantization", self.text_encoder_quantization, files=False)
        for what, names in (
            ("loras", [each.name for each in self.loras]),
            ("embeddings", [each.token or each.name for each in self.embeddings]),
        ):
            for name in names:
                if names.count(name) > 1:
                    raise InputError(what, name, problem="is named twice", allowed="each once")


def _check_quantization(field: str, value: str | None, *, files: bool) -> None:
    if value is None or value in QUANTIZATIONS:
        return
    if files and value.startswith(GGUF) and value.removeprefix(GGUF).strip():
        return
    allowed = (*QUANTIZATIONS, *([f"{GGUF}FILE"] if files else []), "none")
    raise UnknownValue(field, value, allowed, hint=ref_value(field, "int8"))
