"""Loads another VAE than the model's own, checked against it beforehand and run in its own dtype.

Pipelines call ``self.vae.decode(latents / scaling_factor)`` in the dtype of the denoiser and fail when the VAE has
another. Instead of decoding in their place, which every family does differently, the latents are cast at that border.

Invariant: a VAE is never computed in fewer bits than its weights are stored in, nor in fewer than the rest of the
pipeline.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isclose, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from promptlab.engine.sources.class_source import NotTold, class_source, defaults_of
from promptlab.engine.sources.configuration import Configuration, latent_channels, vae_factor
from promptlab.engine.sources.files import read_header, read_json
from promptlab.engine.sources.finder import ModelSource, SourceFinder
from promptlab.errors import InputError, UnknownValue, ref, ref_value

if TYPE_CHECKING:
    import torch

__all__ = ["CLASSES", "VaeSource", "load_vae", "resolve_vae"]

CLASSES: Final = ("AutoencoderKL", "AutoencoderTiny")
"""The classes that stand in for one another, where their latents are the same. Any other (AutoencoderDC,
AutoencoderKLQwenImage, AutoencoderKLFlux2 …) is replaced by its own class only. The class that a configuration names is
taken: ``AutoencoderKL.from_pretrained`` on the folder of an AutoencoderTiny gives random weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeSource:
    """Represents a VAE that fits a model: where it lies, its class, and its configuration."""

    source: ModelSource
    class_name: str
    config: Mapping[str, Any]


def resolve_vae(name: str, config: Configuration, finder: SourceFinder) -> VaeSource:
    """Find the VAE called ``name`` and check that it fits this model.

    Raises:
        InputError: when it is no VAE, or its latents have other channels, or another scale, than the model's.
        UnknownValue: when it is a VAE of another class.
    """
    if config.vae is None:
        raise InputError(
            "vae", name, problem="means nothing to this model, which has none", allowed="a model with a VAE",
            hint=f"the command without {ref('vae')}",
        )  # fmt: skip
    classes = CLASSES if config.parts["vae"] in CLASSES else (config.parts["vae"],)
    source = finder.vae(name)
    if source.file is None:
        own_config = read_json(source.folder / "config.json")
        class_name = str(own_config.get("_class_name"))
    else:
        own_config, class_name = dict(config.vae), "AutoencoderKL"
        _check_file(source.file, config)
    if class_name == "ConsistencyDecoderVAE":
        raise UnknownValue(
            "vae", name, classes, hint=f"the command without {ref('vae')}",
            problem=f"is a {class_name}, which draws noise of its own as it decodes: no picture could be made again",
        )  # fmt: skip
    if class_name not in classes:
        raise UnknownValue("vae", name, classes, problem=f"is a {class_name}", hint=f"the command without {ref('vae')}")
    _check_channels(name, latent_channels(config.vae), latent_channels(own_config))
    _check_scale(name, config, class_name, own_config)
    return VaeSource(source=source, class_name=class_name, config=own_config)


def load_vae(vae: VaeSource, model: ModelSource, dtype: torch.dtype) -> Any:
    """Load a VAE on the CPU, in the narrowest dtype that holds both its weights' and ``dtype``.

    Args:
        model: whose configuration a single file is read with.
        dtype: of the rest of the pipeline.
    """
    import diffusers
    import torch

    kind, source = getattr(diffusers, vae.class_name), vae.source
    wide = torch.promote_types(_stored_dtype(source), dtype)
    if source.file is None:
        loaded = kind.from_pretrained(
            str(source.folder),
            dtype=wide,
            use_safetensors=not source.pickled,
            variant=source.variant,
            local_files_only=True,
        )
    else:
        loaded = kind.from_single_file(
            str(source.file), config=str(model.folder / "vae"), dtype=wide, local_files_only=True
        )
    loaded = loaded.eval()
    _cast_latents(loaded)
    return loaded


def _check_file(file: Path, config: Configuration) -> None:
    """Check a single file by its tensors; its scaling factor is taken from the model's own VAE."""
    header = read_header(file, "vae")
    entry = header.get("decoder.conv_in.weight") or header.get("first_stage_model.decoder.conv_in.weight")
    if entry is None or len(entry["shape"]) < 2 or config.parts["vae"] != "AutoencoderKL":
        raise InputError(
            "vae", str(file), problem="is no AutoencoderKL, and has no config.json beside it",
            allowed="a file with an AutoencoderKL, or a folder with config.json and weights",
            hint=ref_value("vae", "FOLDER"),
        )  # fmt: skip
    _check_channels(str(file), latent_channels(config.vae or {}), int(entry["shape"][1]))


def _check_channels(name: str, mine: int | None, theirs: int | None) -> None:
    if mine is not None and theirs is not None and mine != theirs:
        raise InputError(
            "vae", name, problem=f"has latents of {theirs} channels, this model of {mine}",
            allowed=f"a VAE with {mine} latent channels", hint=f"the command without {ref('vae')}",
        )  # fmt: skip


def _check_scale(name: str, config: Configuration, class_name: str, theirs: Mapping[str, Any]) -> None:
    """Refuse a VAE whose latents are compressed, scaled or moved otherwise: it would make an image of mud.

    Between classes only the compression is compared, for an AutoencoderTiny takes latents as the denoiser has them and
    says so by a ``scaling_factor`` of its own.
    """
    mine = config.vae or {}
    if vae_factor(mine) != vae_factor(theirs):
        raise InputError(
            "vae", name,
            problem=f"makes {vae_factor(theirs)} × {vae_factor(theirs)} pixels of a latent, this model's VAE "
            f"{vae_factor(mine)} × {vae_factor(mine)}",
            allowed=f"a VAE of factor {vae_factor(mine)}", hint=f"the command without {ref('vae')}",
        )  # fmt: skip
    if class_name != config.parts["vae"]:
        return
    for key in ("scaling_factor", "shift_factor"):
        ours, other = (_number(class_name, key, each) for each in (mine, theirs))
        if not isclose(ours, other, rel_tol=1e-3, abs_tol=1e-6):
            raise InputError(
                "vae", name, problem=f"has latents of {key} {other:g}, this model of {ours:g}",
                allowed=f"a VAE with {key} {ours:g}", hint=f"the command without {ref('vae')}",
            )  # fmt: skip


def _number(class_name: str, key: str, config: Mapping[str, Any]) -> float:
    """Return what a configuration says, or else its class's default; 0 where neither knows of it."""
    value = config.get(key)
    if value is None and key not in config:
        value = _class_default(class_name, key)
    return float(value) if isinstance(value, int | float) else 0.0


def _class_default(class_name: str, key: str) -> Any:
    with suppress(NotTold):  # to import diffusers for one number takes seconds
        return defaults_of(class_source(class_name), "__init__").get(key)
    import diffusers

    parameter = inspect.signature(getattr(diffusers, class_name)).parameters.get(key)
    return None if parameter is None else parameter.default


def _stored_dtype(source: ModelSource) -> torch.dtype:
    """Return the dtype most of the weights are stored in; float32 when it is none we know."""
    import torch

    known = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32}
    if source.file is not None:
        files = [source.file]
    else:
        files = sorted(source.folder.glob("*.bin" if source.pickled else "*.safetensors"))
        marked = [path for path in files if source.variant and f".{source.variant}" in path.name]
        files = marked or files
    counted: Counter[str] = Counter()
    for path in files:
        for tensor in read_header(path, "vae").values():
            counted[tensor["dtype"]] += prod(tensor["shape"])
    most = counted.most_common(1)
    return known.get(most[0][0], torch.float32) if most else torch.float32


def _cast_latents(vae: Any) -> None:
    """Make ``vae.decode`` accept latents of any dtype, ``[batch, channels, height/factor, width/factor]``."""
    decode = vae.decode

    def decode_in_own_dtype(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        # asked anew each time: some pipelines widen their VAE for a moment, and move it back
        weights = vae.decoder if hasattr(vae, "decoder") else vae
        return decode(latents.to(next(weights.parameters()).dtype), *args, **kwargs)

    vae.decode = decode_in_own_dtype
