"""Checks that a configuration named for a checkpoint in one file fits it, before a weight is read.

diffusers' own functions rename the file's tensors to those of the model that the configuration describes; here they are
given tensors without content, and names and shapes are compared. Invariant: what is refused would not have loaded;
where diffusers' functions need the weights themselves, nothing is claimed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.sources.checkpoint_kind import KEEPS_NAMES, holds_denoiser_alone, without_prefix
from promptlab.engine.sources.configuration import DENOISERS
from promptlab.engine.sources.files import INDEX, read_json
from promptlab.engine.sources.parts_beside import part_beside
from promptlab.errors import InputError, ref

if TYPE_CHECKING:
    import torch

__all__ = [
    "ExternalParts",
    "check_configuration",
    "find_external_parts",
    "fit_problem",
    "refused_configuration",
]

Header = Mapping[str, Mapping[str, Any]]
_OPTIONAL: Final = ("safety_checker", "feature_extractor", "image_encoder")
_WEIGHTLESS: Final = re.compile(r"Tokenizer|Processor|Extractor|Scheduler")
_CLIP_POSITIONS: Final = {
    "text_encoder": (
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight",
        "cond_stage_model.model.positional_embedding",
    ),
    "text_encoder_2": ("conditioner.embedders.1.model.positional_embedding",),
}
"""Where a file says how wide its CLIP encoders are, ``[tokens, width]``, by the part that they become; diffusers'
``CHECKPOINT_KEY_NAMES``."""


def check_configuration(path: Path, header: Header, config: str, folder: Path) -> None:
    """Refuse ``folder`` as the configuration of the checkpoint ``path``, where it cannot be.

    Args:
        header: the file's tensors by name, each with its shape.
        config: the configuration's name, as typed.

    Raises:
        InputError: when a part has no configuration, or has tensors that the file has not, or of other shapes.
    """
    import diffusers

    index = read_json(folder / INDEX)
    kind = getattr(diffusers, str(index.get("_class_name")), None)
    if kind is None:
        return  # said by whoever looks at any model's class
    denoiser = _denoiser_alone(index, header)
    if not hasattr(kind, "from_single_file") and denoiser is None:
        raise refused_configuration(config, f"is of a {kind.__name__}, which diffusers reads from no single file")
    parts = {
        name: value
        for name, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] and name not in _OPTIONAL
    }
    for name, (_, class_name) in parts.items():
        if not any((folder / name).glob("*.*")):
            raise refused_configuration(config, f"has no folder {name} with the configuration of its {class_name}")
    for name, (library, class_name) in parts.items():
        if _lacks(name, str(library), str(class_name), header):
            continue
        problem = fit_problem(name, str(class_name), header, folder)
        if problem is not None:
            raise refused_configuration(config, f"is not that of {path.name}: {problem}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalParts:
    """Lists parts that the file lacks and that lie with its configuration, for ``from_single_file``.

    Args:
        parts: library and class of each, by its name.
        weights: their files, relative to the configuration's folder.
        lacking: name and class of the first that is not there either.
        denoiser: name of the only part that the file has, where it is read by its own class.
        files: single files beside the checkpoint that parts are taken from, by the part's name.
    """

    parts: Mapping[str, tuple[str, str]]
    weights: tuple[str, ...]
    lacking: tuple[str, str] | None = None
    denoiser: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


def find_external_parts(path: Path, header: Header, folder: Path, files: Collection[str]) -> ExternalParts:
    """Find the encoders and the VAE that a file with little more than a denoiser takes from elsewhere.

    Args:
        files: all there are in ``folder``, relative.

    Raises:
        InputError: when several files beside ``path`` can be one of them.
    """
    beside: dict[str, Path] = {}
    parts: dict[str, tuple[str, str]] = {}
    weights: list[str] = []
    index = read_json(folder / INDEX)
    denoiser = _denoiser_alone(index, header)
    for name, value in index.items():
        if not (isinstance(value, list) and value[0] and f"{name}/config.json" in files) or name in _OPTIONAL:
            continue
        library, class_name = str(value[0]), str(value[1])
        held = name == denoiser if denoiser is not None else not _lacks(name, library, class_name, header)
        if held or _WEIGHTLESS.search(class_name):
            continue
        found = [file for file in files if file.startswith(f"{name}/") and file.endswith(".safetensors")]
        there = None if found else part_beside(path, name, library, class_name, folder)
        if there is not None:
            beside[name] = there
        elif not found:
            return ExternalParts(parts=parts, weights=tuple(weights), lacking=(name, class_name), denoiser=denoiser)
        parts[name] = (library, class_name)
        weights += found
    return ExternalParts(parts=parts, weights=tuple(weights), denoiser=denoiser, files=beside)


def _denoiser_alone(index: Mapping[str, Any], header: Header) -> str | None:
    """Return the name of the denoiser, where the file holds it alone and its own class reads it."""
    import diffusers

    name = next((each for each in DENOISERS if isinstance(index.get(each), list)), None)
    if name is None or not holds_denoiser_alone(header):
        return None
    return name if hasattr(getattr(diffusers, str(index[name][1]), None), "from_single_file") else None


def _lacks(name: str, library: str, class_name: str, header: Header) -> bool:
    from diffusers.loaders.single_file_utils import (
        LDM_VAE_KEYS,
        is_clip_model_in_single_file,
        is_t5_in_single_file,
    )

    if name == "vae" and library == "diffusers":
        return not any(key.startswith((*LDM_VAE_KEYS, "encoder.", "decoder.")) for key in header)
    if library != "transformers" or is_clip_model_in_single_file(type(class_name, (), {}), header):
        return False
    return not (class_name.startswith("T5") and is_t5_in_single_file(header))


def fit_problem(name: str, class_name: str, header: Header, folder: Path) -> str | None:
    """Say why the part ``name`` cannot be made of the file; ``None`` where it can, or nothing is known."""
    import diffusers

    kind = getattr(diffusers, class_name, None)
    if not (folder / name / "config.json").is_file():
        return None
    width = read_json(folder / name / "config.json").get("hidden_size")
    for key in _CLIP_POSITIONS.get(name, ()):
        if key in header and isinstance(width, int) and (header[key]["shape"] or [1])[-1] != width:
            return f"its {name} is {width} wide, the file's {(header[key]['shape'] or [1])[-1]}"
    if kind is None or not hasattr(kind, "from_single_file"):
        return None
    with quietly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _compared(name, kind, header, folder)


def _compared(name: str, kind: Any, header: Header, folder: Path) -> str | None:
    """Compare tensors as ``FromOriginalModelMixin.from_single_file`` does, which goes on to load."""
    import torch
    from diffusers.loaders import single_file_model as loader

    mapped = loader._get_single_file_loadable_mapping_class(kind)  # noqa: SLF001 - diffusers' own way
    if mapped is None:
        return None
    config = kind.load_config(str(folder), subfolder=name, local_files_only=True)
    given = without_prefix(header) if mapped in KEEPS_NAMES else header
    tensors = {key: torch.empty(value["shape"], device="meta") for key, value in given.items()}
    with torch.device("meta"):
        try:
            wanted: Mapping[str, torch.Tensor] = kind.from_config(config).state_dict()
        except (TypeError, ValueError, KeyError, AttributeError):
            return None
    try:
        there: Mapping[str, torch.Tensor] = tensors
        if loader._should_convert_state_dict_to_diffusers(wanted, tensors):  # noqa: SLF001
            classes: Mapping[str, Any] = loader.SINGLE_FILE_LOADABLE_CLASSES
            there = classes[mapped]["checkpoint_mapping_fn"](config=config, checkpoint=tensors)
    except (KeyError, IndexError) as error:
        return f"its {name} wants {error.args[0]}, which the file has not" if name in DENOISERS else None
    except Exception:  # noqa: BLE001 - what needs the weights themselves is tried with them
        return None
    if not there and name not in DENOISERS:
        return None  # another VAE may be named
    for key, tensor in wanted.items():
        if key in there and there[key].shape != tensor.shape:
            return f"its {name} has {key} of {_shape(tensor)}, the file of {_shape(there[key])}"
    missing = next((key for key in wanted if key not in there), None)
    return f"its {name} wants {missing}, which the file has not" if missing and name in DENOISERS else None


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "1"


def refused_configuration(config: str, problem: str) -> InputError:
    """Compose the error about a ``config`` that cannot be the file's."""
    return InputError(
        "config", config, problem=problem, allowed="the configuration of the model that the file was trained from",
        hint=f"the command without {ref('config')}, which tells it from the file",
    )  # fmt: skip
