"""Finds text encoders and VAEs in single files beside a denoiser's, where ComfyUI keeps them.

Its models lie in ``diffusion_models/``, ``text_encoders/`` (or ``clip/``) and ``vae/``, side by side. Which file is the
one is told by the shapes of its tensors: those of the part, made without weights from its configuration.

Invariant: a file is taken only where it alone fits. One that is quantised is left alone, because the layers that read
such weights are not those of the configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.sources.files import read_header, read_json
from promptlab.errors import InputError, ref_value

__all__ = ["part_beside"]

_ENCODERS: Final[tuple[str, ...]] = ("text_encoders", "clip")
_VAES: Final[tuple[str, ...]] = ("vae",)
_PLAIN: Final = frozenset({"F32", "F16", "BF16"})


def part_beside(path: Path, part: str, library: str, class_name: str, folder: Path) -> Path | None:
    """Return the file with the part that the denoiser ``path`` lacks; ``None`` where there is none.

    Args:
        part: its name in the pipeline, of a class of ``library``.
        folder: of the pipeline, which has the part's configuration.

    Raises:
        InputError: when several fit.
    """
    if part.startswith("text_encoder") and library == "transformers":
        homes = _ENCODERS
    elif part == "vae" and _reads_single_files(class_name):
        homes = _VAES
    else:
        return None
    candidates = [(file, header) for file in _files(path, homes) if (header := _plain_header(file)) is not None]
    if not candidates:
        return None
    wanted = _shapes(class_name, library, folder / part)
    fitting = [file for file, header in candidates if not wanted - _held(header)]
    if len(fitting) > 1:
        raise InputError(
            "model", str(path), problem=f"has several files beside it that can be its {part}: "
            + ", ".join(f"{file.parent.name}/{file.name}" for file in fitting),
            allowed="one of them there, or a whole model that is named", hint=ref_value("config", "FOLDER"),
        )  # fmt: skip
    return fitting[0] if fitting else None


def _reads_single_files(class_name: str) -> bool:
    import diffusers

    return hasattr(getattr(diffusers, class_name, None), "from_single_file")


def _files(path: Path, homes: tuple[str, ...]) -> Iterator[Path]:
    """Yield the safetensors files in folders of these names, beside the file's own or the one above."""
    for base in (path.absolute().parent.parent, path.absolute().parent.parent.parent):
        for home in homes:
            yield from sorted((base / home).glob("*.safetensors"))


def _plain_header(file: Path) -> Mapping[str, Mapping[str, Any]] | None:
    with suppress(InputError):
        header = read_header(file, "model")
        if all(tensor["dtype"] in _PLAIN for tensor in header.values()):
            return header
    return None


def _held(header: Mapping[str, Mapping[str, Any]]) -> Counter[tuple[int, ...]]:
    return Counter(_shape(tensor["shape"]) for tensor in header.values())


def _shape(sides: Any) -> tuple[int, ...]:
    """Return the sides of a tensor, without those of a convolution that is a linear layer elsewhere."""
    shape = tuple(int(side) for side in sides)
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _shapes(class_name: str, library: str, folder: Path) -> Counter[tuple[int, ...]]:
    """Return how often each shape occurs among the weights of a part."""
    import diffusers
    import torch
    import transformers

    with torch.device("meta"), quietly():
        if library == "diffusers":
            model = getattr(diffusers, class_name).from_config(read_json(folder / "config.json"))
        else:
            kind = getattr(transformers, class_name)
            model = kind(kind.config_class.from_pretrained(str(folder)))
    return Counter(_shape(weight.shape) for weight in model.parameters())
