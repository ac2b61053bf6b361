"""Tells whether a model will run here, and how, from headers and file sizes alone.

Headers of safetensors say how many numbers there are of which kind: of files here they are read, of files on the Hub
their sizes are asked for, and the header of the first of each part. Nothing is downloaded, and torch is imported only
to ask an accelerator how much memory it has.

Invariant: what cannot be found out is no reason to refuse anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import PurePosixPath
from typing import Any, Final

from promptlab.engine.machine.memory import available_memory
from promptlab.engine.model_files import ModelFiles, look_up
from promptlab.engine.sources.configuration import DENOISERS, Configuration, vae_factor
from promptlab.engine.sources.files import INDEX, choose_files, listing, read_header, read_json
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.engine.sources.remote_files import file_sizes, free_disk, read_header_there
from promptlab.errors import PromptLabError
from promptlab.plan import ResolvedSpec
from promptlab.plan.memory import FitReport, PartWeights, WorkSizes, fit_report

__all__ = ["part_weights", "report_fit", "work_sizes"]

_BYTES: Final[Mapping[str, int]] = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "I64": 8, "I32": 4,
}  # fmt: skip
_FLOATS: Final = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_EMBEDDINGS: Final = ("embed_tokens", "token_embedding", "position_embedding", "shared.", "wte.")
"""In names of tables that are looked up, and stay as wide as they are."""

_IN_A_FILE: Final = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "vae.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.": "text_encoder",
    "text_encoders.": "text_encoder",
}
"""Parts of a checkpoint in one file, by the beginnings of its tensors' names."""


def report_fit(resolved: ResolvedSpec, *, allow_pickle: bool = False) -> FitReport | None:
    """Tell whether a resolved spec fits on its device; ``None`` where that cannot be found out.

    Args:
        allow_pickle: whether pickled weights may be read.
    """
    spec = resolved.spec
    try:
        files = look_up(spec.pipeline, SourceFinder(allow_pickle=allow_pickle))
        parts = part_weights(files)
    except (PromptLabError, OSError):
        return None
    if not parts:
        return None
    guided = resolved.spec.call.guidance_scale is None or resolved.spec.call.guidance_scale > 1
    size = (spec.call.height or 1024, spec.call.width or 1024)
    return fit_report(
        spec, resolved.device, parts, work_sizes(files.config, size, guided=guided),
        available=available_memory(resolved.device),
        disk=free_disk() if any(part.absent for part in parts) else None,
    )  # fmt: skip


def part_weights(files: ModelFiles) -> Sequence[PartWeights]:
    """Count the weights of each part of a model; of what is not here, what the Hub says.

    Raises:
        EngineError: when the Hub has to be asked and does not answer.
        InputError: when a file is damaged.
    """
    source = files.source
    found = _of_file(source) if source.file is not None else _of_folder(source)
    if source.gguf is not None:
        part = files.config.denoiser_part or "transformer"
        size = source.gguf.stat().st_size
        found[part] = PartWeights(name=part, numbers=0, matrices=0, held=size)
    return [each for each in found.values() if each.numbers or each.held]


def work_sizes(config: Configuration, size: tuple[int, int], *, guided: bool) -> WorkSizes:
    """Read from a model's configuration what its forwards and decodings are sized by.

    Args:
        size: height and width of a picture, in pixels.
        guided: whether each picture has two rows in a forward.
    """
    denoiser, vae = config.denoiser or {}, config.vae or {}
    height, width = size
    patch = denoiser.get("patch_size")
    side = max(1, vae_factor(config.vae) * (patch if isinstance(patch, int) else 1))
    return WorkSizes(
        height=height, width=width, halves=2 if guided else 1, tokens=(height // side) * (width // side) + 512,
        channels=_width(denoiser), decoded=_decoded(vae),
        can_tile=config.parts.get("vae", "").startswith("AutoencoderKL"),
    )  # fmt: skip


def _width(denoiser: Mapping[str, Any]) -> int:
    heads, each = denoiser.get("num_attention_heads"), denoiser.get("attention_head_dim")
    if isinstance(heads, int) and isinstance(each, int):
        return heads * each
    for key in ("inner_dim", "hidden_size", "dim"):
        if isinstance(denoiser.get(key), int):
            return int(denoiser[key])
    return _first(denoiser.get("block_out_channels"), 320)


def _decoded(vae: Mapping[str, Any]) -> int:
    """Return the channels that the decoder has at the picture's size: of the last block's input."""
    channels = vae.get("block_out_channels") or vae.get("decoder_block_out_channels")
    if isinstance(channels, list) and len(channels) > 1 and all(isinstance(each, int) for each in channels):
        return int(channels[1])
    return 2 * _first(channels or vae.get("base_dim"), 128)


def _first(value: object, otherwise: int) -> int:
    found = value[0] if isinstance(value, list) and value else value
    return found if isinstance(found, int) else otherwise


def _of_file(source: ModelSource) -> dict[str, PartWeights]:
    if source.file is None or source.pickled:
        return {}
    by_part: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, tensor in read_header(source.file, "model").items():
        part = next((part for begin, part in _IN_A_FILE.items() if name.startswith(begin)), "transformer")
        by_part.setdefault(part, {})[name] = tensor
    found = {part: _counted(part, [tensors]) for part, tensors in by_part.items()}
    for part in source.external:
        files = sorted((source.folder / part).glob("*.safetensors"))
        found[part] = _counted(part, [read_header(path, "model") for path in files])
    if "text_encoder" in by_part:  # what lies in the file is held as it is, and all encoders with it
        found |= {part: replace(each, matrices=0) for part, each in found.items() if each.is_encoder}
    return found


def _of_folder(source: ModelSource) -> dict[str, PartWeights]:
    index = read_json(source.folder / INDEX)
    there = {*listing(source.folder), *source.absent}
    if source.gguf is not None:
        index = {name: value for name, value in index.items() if name not in DENOISERS}
    chosen = choose_files(source.name, there, index, source.variant, allow_pickle=source.pickled).weights
    sizes = file_sizes(source.name, str(source.revision), source.absent) if source.absent else {}
    by_part: dict[str, list[str]] = {}
    for file in chosen:
        by_part.setdefault(PurePosixPath(file).parent.as_posix(), []).append(file)
    return {part: _of_part(source, part, files, sizes) for part, files in by_part.items()}


def _of_part(source: ModelSource, part: str, files: Sequence[str], sizes: Mapping[str, int]) -> PartWeights:
    absent = sum(sizes.get(file, 0) for file in files)
    if any(file.endswith(".bin") for file in files):  # a pickle is opened only to be loaded
        there = sum((source.folder / file).stat().st_size for file in files if (source.folder / file).is_file())
        return PartWeights(name=part, numbers=0, matrices=0, held=there + absent, absent=absent)
    config = source.folder / part / "config.json"
    quantized = config.is_file() and isinstance(read_json(config).get("quantization_config"), dict)
    headers = [read_header(source.folder / file, "model") for file in files if (source.folder / file).is_file()]
    if not absent:
        return _counted(part, headers, quantized=quantized)
    header = headers[0] if headers else read_header_there(source.name, str(source.revision), files[0])
    one = _counted(part, [header], quantized=quantized)
    whole = absent + sum((source.folder / file).stat().st_size for file in files if (source.folder / file).is_file())
    stored = sum(_size(tensor) for tensor in header.values()) or 1
    return PartWeights(
        name=part, numbers=round(one.numbers * whole / stored), matrices=round(one.matrices * whole / stored),
        held=None if one.held is None else whole, absent=absent,
    )  # fmt: skip


def _counted(part: str, headers: Iterable[Mapping[str, Mapping[str, Any]]], *, quantized: bool = False) -> PartWeights:
    counts: Counter[str] = Counter()
    for header in headers:
        for name, tensor in header.items():
            numbers = prod(tensor["shape"])
            counts["bytes"] += _size(tensor)
            if tensor["dtype"] in _FLOATS:
                counts["numbers"] += numbers
                if len(tensor["shape"]) == 2 and not any(each in name for each in _EMBEDDINGS):
                    counts["matrices"] += numbers
    return PartWeights(
        name=part, numbers=counts["numbers"], matrices=counts["matrices"], held=counts["bytes"] if quantized else None
    )


def _size(tensor: Mapping[str, Any]) -> int:
    return int(prod(tensor["shape"])) * _BYTES.get(str(tensor["dtype"]), 1)
