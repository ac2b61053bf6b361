"""Chooses the dtype of a model that none was named for: by device, and by its stored weights.

Models that were trained in bfloat16 reach numbers beyond float16's 65,504: their pictures would be black. What they are
made for is read where it can be: from the headers of their weights, a few kilobytes each, here or on the Hub.

Invariant: a model has one dtype on one device, whether its weights have been downloaded already or not; a family that
is not known to hold in float16 is never computed in it unasked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, Final, cast

from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import INDEX, choose_files, listing, read_header, read_json
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.sources.remote_files import read_header_there
from promptlab.specs import AUTO, Dtype

__all__ = ["chosen_dtype", "stored_half"]

_HOLD_FLOAT16: Final = frozenset(
    {
        "AuraFlowTransformer2DModel", "DiTTransformer2DModel", "HunyuanDiT2DModel", "PixArtTransformer2DModel",
        "SD3Transformer2DModel",
    }
)  # fmt: skip
"""Transformers that diffusers' own examples run in float16; all others they run in bfloat16."""

_OVERFLOW: Final = frozenset({"StableCascadeUNet"})
"""UNets that are not: of Stable Cascade diffusers says that its prior wants bfloat16."""

_DENOISERS: Final = ("unet", "transformer", "decoder", "prior")
_IN_A_FILE: Final = "model.diffusion_model."
_FLOATS: Final[Mapping[str, Dtype]] = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}


def chosen_dtype(asked: str | None, device: str, source: ModelSource, config: Configuration) -> Dtype:
    """Return the dtype ``asked`` for; else float32 on a CPU, and elsewhere a half.

    On a CPU half precision is slower. The half is bfloat16 for a family that float16 is too narrow for, and for weights
    that are stored in bfloat16.

    Args:
        asked: ``None`` and ``auto`` leave it to the model.
        device: such as ``cuda:0``.
        source: of the model, whose weights may be still to be downloaded.
        config: the model's.

    Raises:
        EngineError: when the Hub has to be asked for a header, and does not answer.
    """
    if asked not in (None, AUTO):
        return cast("Dtype", asked)
    if device == "cpu":
        return "float32"
    if not _holds_float16(config):
        return "bfloat16"
    return "bfloat16" if stored_half(source, config) == "bfloat16" else "float16"


def stored_half(source: ModelSource, config: Configuration) -> Dtype | None:
    """Return the dtype that most of the denoiser's weights are stored in; ``None`` where that is not told.

    Of weights that are quantised, the dtype is that of the rest; a GGUF has none, and the weights that it takes the
    place of are not looked at: they may be here or not.
    """
    if source.pickled or source.gguf is not None:  # opening pickles would take as long as loading them
        return None
    if source.file is not None:
        header = read_header(source.file, "model")
        inside = {name: each for name, each in header.items() if name.startswith(_IN_A_FILE)}
        return _most((inside or header).values())
    part = next((name for name in _DENOISERS if name in config.parts), None)
    if part is None:
        return None
    file = _first_file(source, part)
    if file is None:
        return None
    if (source.folder / file).is_file():
        return _most(read_header(source.folder / file, "model").values())
    return _most(read_header_there(source.name, str(source.revision), file).values())


def _holds_float16(config: Configuration) -> bool:
    if not _OVERFLOW.isdisjoint(config.parts.values()):
        return False
    return "transformer" not in config.parts or config.parts["transformer"] in _HOLD_FLOAT16


def _first_file(source: ModelSource, part: str) -> str | None:
    """Return the first file of a part's weights, relative: the same before and after they are downloaded."""
    there = {*listing(source.folder), *source.absent}
    index = read_json(Path(source.folder, INDEX))
    files = choose_files(source.name, there, index, source.variant, allow_pickle=source.pickled).weights
    return min((each for each in files if PurePosixPath(each).parent.as_posix() == part), default=None)


def _most(tensors: Iterable[Mapping[str, Any]]) -> Dtype | None:
    counted: Counter[Dtype] = Counter()
    for tensor in tensors:
        if (dtype := _FLOATS.get(str(tensor["dtype"]))) is not None:
            counted[dtype] += prod(tensor["shape"])
    return counted.most_common(1)[0][0] if counted else None
