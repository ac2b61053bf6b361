"""Estimates the memory that a setting takes, and finds settings that would make it fit. Pure.

Weights are counted: numbers times bytes. What a forward and a decoding take beside them is estimated from sizes of
layers, roughly; :mod:`promptlab.lab.maintenance.batch_size_probe` measures it. Where all parts are on the device at
once they add up; with offloading by parts the largest counts.

Invariant: a way that is named is one that the device can go, and fits by the same sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from promptlab.specs import RunSpec, Scalar

__all__ = ["FitReport", "MemoryNeed", "PartWeights", "WayToFit", "WorkSizes", "fit_report", "memory_need"]

_BYTES: Final[Mapping[str, float]] = MappingProxyType({"float32": 4.0, "float16": 2.0, "bfloat16": 2.0})
_QUANTIZED: Final[Mapping[str, float]] = MappingProxyType({"nf4": 0.5625, "int8": 1.01, "fp8": 1.01})
"""Bytes a number: four bits and a scale for 64 of them, eight bits and a scale for a row."""

_RESERVE: Final = 2**29
"""Bytes that CUDA and its libraries take before anything is computed."""

_TILE: Final = 512
_SHARE: Final = 0.92
"""Of the memory there is: the rest is lost between blocks."""

_LIVE: Final = 20
"""Tensors of a layer's width that a forward holds at once, feed-forward and attention together."""

_LIVE_IN_DECODER: Final = 6
"""Tensors of the decoder's last block, at the picture's size."""

_LAYERS: Final = 20
"""Of a denoiser whose layers come one by one, at least as many there are."""

_MOST_WAYS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWeights:
    """Counts the weights of one part of a pipeline.

    Args:
        name: ``transformer``, ``text_encoder_2``, ``vae`` …
        numbers: how many there are.
        matrices: those of them in linear layers, which can be quantised.
        held: bytes that they take as they are held, where that does not depend on the dtype: quantised already.
        absent: bytes that are still to be downloaded.
    """

    name: str
    numbers: int
    matrices: int
    held: int | None = None
    absent: int = 0

    @property
    def is_denoiser(self) -> bool:
        """Say whether it is what :attr:`~promptlab.specs.PipelineSpec.quantization` is about."""
        return self.name in ("unet", "transformer")

    @property
    def is_encoder(self) -> bool:
        """Say whether it reads prompts."""
        return self.name.startswith("text_encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSizes:
    """Holds what forwards and decodings are sized by.

    Args:
        height, width: of a picture, in pixels.
        halves: rows of a forward for each picture: 2 with guidance, else 1.
        tokens: places a row of the denoiser is computed at.
        channels: numbers a place has.
        decoded: channels of the decoder's last block.
        can_tile: whether the VAE decodes in tiles.
    """

    height: int
    width: int
    halves: int
    tokens: int
    channels: int
    decoded: int
    can_tile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNeed:
    """Holds bytes: of weights on the device at once, and of what is computed beside them."""

    weights: int
    work: int

    @property
    def total(self) -> int:
        """Return both together."""
        return self.weights + self.work


@dataclass(frozen=True, slots=True, kw_only=True)
class WayToFit:
    """Names settings that would make a run fit, by field, and what it then takes."""

    changes: tuple[tuple[str, Scalar], ...]
    need: MemoryNeed


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """Answers whether a model will run here, and how.

    Args:
        device: where.
        available: bytes that it has to give.
        parts: bytes of weights of each part, as the run would hold them.
        need: of the run as it is.
        fits: whether that is there.
        ways: what would make it fit, where it does not.
        absent: bytes that are still to be downloaded.
        disk: bytes that are free where they would go.
    """

    device: str
    available: int
    parts: tuple[tuple[str, int], ...]
    need: MemoryNeed
    fits: bool
    ways: tuple[WayToFit, ...] = ()
    absent: int = 0
    disk: int | None = None


def fit_report(
    spec: RunSpec, device: str, parts: Sequence[PartWeights], work: WorkSizes, *, available: int, disk: int | None
) -> FitReport:
    """Tell whether ``spec`` fits, and which settings would make it fit.

    Args:
        spec: resolved.
        device: such as ``cuda:0``.
        parts: of its pipeline.
        available: bytes that the device has to give.
        disk: bytes that are free where weights are kept.
    """
    need = memory_need(spec, parts, work, device)
    fits = need.total <= available * _SHARE
    ways = () if fits else tuple(_ways(spec, parts, work, device, available))[:_MOST_WAYS]
    held = tuple((part.name, _held(part, spec)) for part in parts)
    return FitReport(
        device=device, available=available, parts=held, need=need, fits=fits, ways=ways,
        absent=sum(part.absent for part in parts), disk=disk,
    )  # fmt: skip


def memory_need(spec: RunSpec, parts: Sequence[PartWeights], work: WorkSizes, device: str) -> MemoryNeed:
    """Estimate the bytes that ``spec`` takes on ``device``."""
    held = [_held(part, spec) for part in parts]
    match spec.machine.offload:
        case "model":
            weights = max(held, default=0)
        case "sequential" | "group":
            weights = max(held, default=0) // _LAYERS
        case _:
            weights = sum(held)
    return MemoryNeed(weights=weights, work=_work(spec, work) + (_RESERVE if device.startswith("cuda") else 0))


def _held(part: PartWeights, spec: RunSpec) -> int:
    pipeline = spec.pipeline
    if part.held is not None:
        return part.held
    wide = _BYTES.get(str(pipeline.dtype), 4.0)
    said = (
        pipeline.quantization if part.is_denoiser else pipeline.text_encoder_quantization if part.is_encoder else None
    )
    narrow = wide if said is None else _QUANTIZED.get(said, wide)
    return round(part.matrices * narrow + (part.numbers - part.matrices) * wide)


def _work(spec: RunSpec, work: WorkSizes) -> int:
    wide = _BYTES.get(str(spec.pipeline.dtype), 4.0)
    rows = max(1, spec.batch_size if isinstance(spec.batch_size, int) else 1)
    denoising = rows * work.halves * work.tokens * work.channels * wide * _LIVE
    pixels = work.height * work.width
    if spec.machine.vae_tiling and work.can_tile:
        pixels = min(pixels, _TILE * _TILE)
    together = 1 if spec.machine.vae_slicing else rows
    return round(max(denoising, pixels * together * work.decoded * wide * _LIVE_IN_DECODER))


def _ways(
    spec: RunSpec, parts: Sequence[PartWeights], work: WorkSizes, device: str, available: int
) -> Iterator[WayToFit]:
    """Yield ways that fit, those that cost least first; none that holds another one."""
    found: list[frozenset[str]] = []
    for changes in _candidates(spec, parts, work, device):
        if any(known <= changes.keys() for known in found):
            continue
        need = memory_need(spec.vary(**changes), parts, work, device)
        if need.total <= available * _SHARE:
            found.append(frozenset(changes))
            yield WayToFit(changes=tuple(changes.items()), need=need)


def _candidates(
    spec: RunSpec, parts: Sequence[PartWeights], work: WorkSizes, device: str
) -> Iterator[dict[str, Scalar]]:
    """Yield what may be tried, the cheapest first."""
    on_cuda = device.startswith("cuda")
    both = ["quantization", "text_encoder_quantization"]
    quantised = [
        field
        for field, is_about in zip(both, ("is_denoiser", "is_encoder"), strict=True)
        if getattr(spec.pipeline, field) is None
        and any(getattr(part, is_about) and part.held is None and part.matrices for part in parts)
        and not (device == "cpu" and spec.pipeline.dtype == "float16")
    ]
    single: list[dict[str, Scalar]] = []
    if isinstance(spec.batch_size, int) and spec.batch_size > 1:
        single.append({"batch_size": 1})
    if work.can_tile and not spec.machine.vae_tiling and work.height * work.width > _TILE * _TILE:
        single.append({"vae_tiling": True})
    if device == "cpu" and spec.pipeline.dtype == "float32":
        single.append({"dtype": "bfloat16"})
    single += [{field: "int8"} for field in reversed(quantised)]
    if len(quantised) > 1:
        single.append(dict.fromkeys(quantised, "int8"))
    offload: list[dict[str, Scalar]] = []
    if on_cuda and spec.machine.offload is None:
        offload.append({"offload": "model"})
        offload += [{"offload": "model", field: "int8"} for field in quantised]
    if on_cuda and quantised:
        narrow: dict[str, Scalar] = dict.fromkeys(quantised, "nf4")
        offload += [narrow, {"offload": "model", **narrow}]
    plain = all(getattr(spec.pipeline, field) is None for field in both)
    if on_cuda and spec.machine.offload != "sequential" and plain:
        offload.append({"offload": "sequential"})
    yield from single
    yield from offload
    tiled = {key: value for each in single[:2] for key, value in each.items() if key in ("batch_size", "vae_tiling")}
    if tiled:
        yield from ({**tiled, **each} for each in (*single, *offload) if each.keys().isdisjoint(tiled))
