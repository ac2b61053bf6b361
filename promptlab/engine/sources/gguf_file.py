"""Finds a denoiser in a GGUF file, and checks that it is this model's before a weight is read.

Such a file holds the weights of one part, quantised block by block, and no configuration; encoders, VAE and all
configurations are the model's. Names and shapes of its tensors lie at its beginning.

Invariant: a model with a GGUF has an identity of its own, which tells the content of both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, Final

from promptlab.engine.sources.config_match import fit_problem
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.files import file_identity
from promptlab.engine.sources.finder import ModelSource
from promptlab.engine.sources.gguf_metadata import check_metadata
from promptlab.errors import InputError, NotFound, one_line, ref, ref_value
from promptlab.specs import GGUF

__all__ = ["missing_quantizer", "read_gguf_header", "with_gguf"]

_FIELD: Final = "quantization"
_ALLOWED: Final = "a .gguf file with the denoiser of this model"


def with_gguf(source: ModelSource, config: Configuration, said: str) -> ModelSource:
    """Return ``source`` with the weights of its denoiser from a GGUF.

    Args:
        said: ``gguf:FILE``.

    Raises:
        NotFound: when there is no such file.
        InputError: when the package ``gguf`` is missing, the file is no GGUF, or one of another model.
    """
    path = Path(said.removeprefix(GGUF)).expanduser()
    if not path.is_file():
        raise NotFound(_FIELD, said, allowed=_ALLOWED, hint=ref_value(_FIELD, f"{GGUF}FILE"))
    if find_spec("gguf") is None:
        raise missing_quantizer(_FIELD, said, "gguf")
    part = config.denoiser_part
    if source.file is not None or part is None:
        where = (
            "a model in a single file" if part is not None else f"{config.pipeline_class}, which has no one denoiser"
        )
        raise InputError(
            _FIELD, said, problem=f"means nothing to {where}", allowed="a model in a folder or on the Hub, or none",
            hint=f"the command without {ref(_FIELD)}",
        )  # fmt: skip
    problem = fit_problem(part, config.parts[part], read_gguf_header(path, said), source.folder)
    if problem is not None:
        raise InputError(
            _FIELD, said, problem=f"is of another model: {problem}", allowed=f"{_ALLOWED}, {source.name}",
            hint=ref_value("model", "ID"),
        )  # fmt: skip
    both = sha256(f"{source.identity}+{file_identity(path)}".encode()).hexdigest()
    absent = tuple(file for file in source.absent if PurePosixPath(file).parent.as_posix() != part)
    return replace(source, gguf=Path(os.path.normpath(path.absolute())), identity=f"sha256:{both}", absent=absent)


def read_gguf_header(path: Path, said: str) -> Mapping[str, Mapping[str, Any]]:
    """Read the tensors of a GGUF by name, each with torch's ``shape`` and its type as ``dtype``.

    Raises:
        InputError: when it is no GGUF, is cut short, or has a type of quantisation that diffusers does not read.
    """
    from diffusers.quantizers.gguf.utils import SUPPORTED_GGUF_QUANT_TYPES
    from gguf import GGMLQuantizationType, GGUFReader

    try:
        check_metadata(path)
        tensors = list(GGUFReader(path).tensors)
    except Exception as error:
        raise InputError(
            _FIELD, said, problem=f"is no whole GGUF file: {one_line(error, limit=120)}", allowed=_ALLOWED
        ) from error
    known = {*SUPPORTED_GGUF_QUANT_TYPES, GGMLQuantizationType.F32, GGMLQuantizationType.F16}
    for tensor in tensors:
        if tensor.tensor_type not in known:
            names = ", ".join(sorted(each.name for each in known))
            raise InputError(
                _FIELD, said, problem=f"is quantised as {tensor.tensor_type.name}, which diffusers does not read",
                allowed=f"a GGUF of {names}",
            )  # fmt: skip
    return {
        tensor.name: {"dtype": tensor.tensor_type.name, "shape": [int(side) for side in reversed(tensor.shape)]}
        for tensor in tensors
    }


def missing_quantizer(field: str, said: str, package: str) -> InputError:
    """Compose the error about a package that reads or makes quantised weights, and is not there."""
    return InputError(
        field, said, problem=f"needs the package {package}, which is not installed",
        hint=f"pip install 'promptlab[{package}]'",
    )  # fmt: skip
