"""Makes weights smaller while they are loaded, and says beforehand what cannot be done.

diffusers does it (``PipelineQuantizationConfig``) with packages that are extras: bitsandbytes for NF4, torchao for int8
and fp8, gguf for files. All of them hold weights in fewer bits and compute in the run's dtype, so that less memory is
needed and nothing is quicker. Quantised numbers differ from the model's own: how it was done is part of the recipe.

Invariant: what is refused here is refused before a weight is read; what is loaded is quantised exactly as asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.sources.configuration import DENOISERS, Configuration
from promptlab.engine.sources.files import INDEX, read_json
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.sources.gguf_file import missing_quantizer
from promptlab.errors import InputError, ref, ref_value
from promptlab.specs import GGUF, MachineSpec, PipelineSpec

if TYPE_CHECKING:
    import torch

__all__ = [
    "Quantization",
    "check_offload",
    "check_package",
    "check_quantization",
    "packages_of",
    "packed_method",
    "part_configs",
    "stored_methods",
]

_FIELDS: Final = ("quantization", "text_encoder_quantization")
_OFFLOADS: Final = ("sequential", "group")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Method:
    """Describes a way to hold weights: the package that does it, and the devices it does it on."""

    package: str
    devices: tuple[str, ...]


_METHODS: Final[Mapping[str, _Method]] = MappingProxyType(
    {
        "nf4": _Method(package="bitsandbytes", devices=("cuda",)),
        "int8": _Method(package="torchao", devices=("cuda", "mps", "cpu")),
        "fp8": _Method(package="torchao", devices=("cuda", "cpu")),
        "gguf": _Method(package="gguf", devices=("cuda", "mps", "cpu")),
    }
)

_STORED: Final[Mapping[str, str]] = MappingProxyType(
    {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "gguf": "gguf"}
)
"""Packages that read weights that are quantised already, by ``quant_method`` of their configuration."""

_PACKED: Final = frozenset({"nf4", "bitsandbytes", "gguf"})
"""Methods whose weights lie in bytes: torchao's keep the shape of the numbers that they stand for."""

_FROM_THE_HUB: Final = ("nunchaku_lite",)
"""Methods whose kernels diffusers fetches from the Hub and runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Holds how a pipeline's parts are quantised, as :class:`~promptlab.specs.PipelineSpec` does."""

    quantization: str | None = None
    text_encoder_quantization: str | None = None

    @classmethod
    def of(cls, pipeline: PipelineSpec) -> Quantization:
        """Return what ``pipeline`` asks for."""
        return cls(**{field: getattr(pipeline, field) for field in _FIELDS})

    def methods(self, parts: Iterable[str]) -> Mapping[str, str]:
        """Return how each of these parts is quantised that is: ``nf4``, ``int8``, ``fp8`` or ``gguf``."""
        found: dict[str, str] = {}
        for name in parts:
            said = self.quantization if name in DENOISERS else self.text_encoder_quantization
            if said is not None and (name in DENOISERS or _is_encoder(name)):
                found[name] = _method_name(said)
        return found


_NOTHING: Final = Quantization()


def check_package(pipeline: PipelineSpec, device: str) -> None:
    """Refuse a quantisation that the device cannot do, or whose package is missing. Imports nothing.

    Raises:
        InputError: naming what to install, or what the device can do.
    """
    for field in _FIELDS:
        said = getattr(pipeline, field)
        if said is None:
            continue
        method, kind = _METHODS[_method_name(said)], device.partition(":")[0]
        if kind not in method.devices:
            others = [name for name, each in _METHODS.items() if kind in each.devices and name != "gguf"]
            wanted = " or ".join(method.devices)
            raise InputError(
                field, said, problem=f"cannot be done on {device}: {method.package} wants {wanted}",
                allowed=", ".join((*others, "none")), hint=ref_value(field, "none"),
            )  # fmt: skip
        if find_spec(method.package) is None:
            raise missing_quantizer(field, said, method.package)


def check_quantization(
    pipeline: PipelineSpec, source: ModelSource, config: Configuration, stored: Mapping[str, str], device: str
) -> None:
    """Refuse what cannot be done with this model, and weights stored in a way that cannot be read here.

    Args:
        pipeline: with its dtype.
        stored: what :func:`stored_methods` says of the model.

    Raises:
        InputError: for the first of these.
    """
    check_package(pipeline, device)
    for part, method in stored.items():
        _check_stored(source, part, method, device)
    for field in _FIELDS:
        said = getattr(pipeline, field)
        if said is None or said.startswith(GGUF):
            continue
        parts = [name for name in config.parts if (name in DENOISERS if field == _FIELDS[0] else _is_encoder(name))]
        if not parts:
            what = "one denoiser" if field == _FIELDS[0] else "text encoder"
            raise _refused(field, said, f"means nothing to {config.pipeline_class}, which has no {what}")
        if source.file is not None and field == _FIELDS[1] and not set(parts) <= set(source.external):
            raise _refused(field, said, f"cannot be done in {source.name}, which holds its text encoders itself")
        if (early := next((name for name in parts if name in stored), None)) is not None:
            raise _refused(field, said, f"comes too late for {source.name}: its {early} is stored in {stored[early]}")
        if device == "cpu" and pipeline.dtype == "float16":
            raise InputError(
                field, said, problem="cannot be computed in float16 on a CPU", allowed="float32, bfloat16",
                hint=ref_value("dtype", "bfloat16"),
            )  # fmt: skip


def check_offload(pipeline: PipelineSpec, machine: MachineSpec) -> None:
    """Refuse offloading that moves layers one by one: quantised ones hold more than a tensor each.

    Raises:
        InputError: naming the way that moves whole parts.
    """
    if machine.offload not in _OFFLOADS:
        return
    for field in _FIELDS:
        if (said := getattr(pipeline, field)) is not None:
            raise InputError(
                "offload", machine.offload, problem=f"cannot be used with {ref_value(field, said)}", allowed="model",
                hint=ref_value("offload", "model"),
            )  # fmt: skip


def packed_method(asked: str | None, stored: Mapping[str, str]) -> str | None:
    """Return how a denoiser's weights are packed into bytes of another shape; ``None`` where they are not."""
    methods = [] if asked is None else [_method_name(asked)]
    methods += [method for part, method in stored.items() if part in DENOISERS]
    return next((method for method in methods if method in _PACKED), None)


def packages_of(asked: Quantization, parts: Iterable[str], stored: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages that quantise or read the weights, which decide their numbers, too.

    Of methods that nobody here knows there is none: what a configuration says is no name of a package.

    Args:
        parts: of the pipeline.
        stored: what :func:`stored_methods` says of them.
    """
    if asked == _NOTHING and not stored:  # a sweep asks a hundred thousand times
        return ()
    made = (_METHODS[method].package for method in asked.methods(parts).values())
    return tuple(sorted({*made, *(_STORED[method] for method in stored.values() if method in _STORED)}))


def part_configs(asked: Quantization, folder: Path, dtype: torch.dtype) -> Mapping[str, Any]:
    """Return the configuration of each part's quantisation, by the part's name.

    Args:
        folder: of the model, whose index says which library has the part.
        dtype: that is computed in.
    """
    index = {name: value for name, value in read_json(folder / INDEX).items() if isinstance(value, list) and value[0]}
    return {
        part: _config(method, str(index[part][0]) == "transformers", dtype)
        for part, method in asked.methods(index).items()
    }


def _config(method: str, in_transformers: bool, dtype: torch.dtype) -> Any:
    import diffusers
    import transformers

    library: Any = transformers if in_transformers else diffusers
    if method == "nf4":
        return library.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    if method == "gguf":
        return diffusers.GGUFQuantizationConfig(compute_dtype=dtype)
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig

    kind = Int8WeightOnlyConfig if method == "int8" else Float8WeightOnlyConfig
    # its default sets flags of torch for the whole process, the precision of float32 products among them
    return library.TorchAoConfig(kind(set_inductor_config=False))


def stored_methods(folder: Path, parts: Iterable[str]) -> Mapping[str, str]:
    """Return how the parts of a model are quantised that are stored so, by their names."""
    return dict(_stored(folder, parts))


def _stored(folder: Path, parts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for part in parts:
        file = folder / part / "config.json"
        about = read_json(file).get("quantization_config") if file.is_file() else None
        if isinstance(about, Mapping):
            by_flag = "bitsandbytes" if about.get("load_in_4bit") or about.get("load_in_8bit") else "?"
            yield part, str(about.get("quant_method", by_flag))


def _check_stored(source: ModelSource, part: str, method: str, device: str) -> None:
    problem = None
    if method in _FROM_THE_HUB:
        problem = f"has a {part} quantised by {method}, whose programs come from the Hub and are never run"
    elif method == "bitsandbytes" and not device.startswith("cuda") and part in DENOISERS:
        problem = f"has a {part} quantised by bitsandbytes, which wants cuda, not {device}"
    if problem is not None:
        raise InputError(
            "model", source.name, problem=problem, allowed="weights as they were published, or another quantisation",
            hint=f"{ref_value('model', 'ID')} {ref_value(_FIELDS[0], 'int8')}",
        )  # fmt: skip
    package = _STORED.get(method)
    if package is not None and find_spec(package) is None:
        raise missing_quantizer("model", source.name, package)


def _method_name(said: str) -> str:
    return said.partition(":")[0]


def _is_encoder(part: str) -> bool:
    return part.startswith("text_encoder")


def _refused(field: str, said: str, problem: str) -> InputError:
    return InputError(field, said, problem=problem, allowed="none", hint=f"the command without {ref(field)}")
