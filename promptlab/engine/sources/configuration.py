"""Reads a model's configuration files: its class, its sizes, its scheduler, its VAE.

Nothing here holds for one family of models only. Where a configuration does not tell a number, the answer is ``None``
and the pipeline itself decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import isqrt
from pathlib import Path
from typing import Any, Final

from promptlab.engine.sources.files import INDEX, read_json
from promptlab.errors import InputError

__all__ = ["DENOISERS", "Configuration", "clip_encoders", "latent_channels", "read_configuration", "vae_factor"]

DENOISERS: Final = ("unet", "transformer")
"""Parts of which a pipeline has one, which LoRAs change and which can be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Holds the configurations of a model's parts, as they lie in its folder.

    Args:
        pipeline_class: diffusers class name, as the model names it.
        parts: class name of every part that is there, by the part's name.
        scheduler, vae, denoiser: their own configurations; ``None`` when the model has no such part.
    """

    pipeline_class: str
    parts: Mapping[str, str]
    scheduler: Mapping[str, Any] | None
    vae: Mapping[str, Any] | None
    denoiser: Mapping[str, Any] | None

    @property
    def denoiser_part(self) -> str | None:
        """Return what the pipeline calls its one denoiser; ``None`` where it has none, or several."""
        return next((name for name in DENOISERS if name in self.parts), None)

    def side_multiple(self, vae: Mapping[str, Any] | None = None) -> int:
        """Return what height and width must be divisible by, in pixels, with ``vae`` or the model's own.

        The VAE's factor, times the denoiser's patch: transformers cut the latents into patches (``patch_size``), or are
        given them folded two by two (more input channels than the VAE has; diffusers' ``_pack_latents``).
        """
        factor = vae_factor(vae or self.vae)
        if self.denoiser is None or self.vae is None:
            return factor
        patch = self.denoiser.get("patch_size")
        folded, channels = self.denoiser.get("in_channels"), latent_channels(self.vae)
        fold = isqrt(folded // channels) if isinstance(folded, int) and channels and folded % channels == 0 else 1
        return factor * max(patch if isinstance(patch, int) else 1, fold, 1)

    @property
    def routes_to_experts(self) -> bool:
        """Say whether the denoiser hands the tokens of all rows to experts, which round by their company.

        HiDream does so (``num_routed_experts`` in its configuration). Nucleus-MoE's experts choose tokens row by row.
        """
        experts = (self.denoiser or {}).get("num_routed_experts")
        return isinstance(experts, int) and experts > 1

    def default_size(self, vae: Mapping[str, Any] | None = None) -> tuple[int, int] | None:
        """Return the height and width the model was trained for, in pixels; ``None`` where that is not told."""
        sample = (self.denoiser or {}).get("sample_size")
        sides = (sample, sample) if isinstance(sample, int) else sample
        if not (isinstance(sides, list | tuple) and len(sides) == 2 and all(isinstance(side, int) for side in sides)):
            return None
        factor = vae_factor(vae or self.vae)
        return sides[0] * factor, sides[1] * factor


def read_configuration(folder: Path, name: str) -> Configuration:
    """Read the configurations in ``folder``.

    Raises:
        InputError: when they are damaged, or name code of the model's own, which is never run.
    """
    index = read_json(folder / INDEX)
    pipeline_class = index.get("_class_name")
    if not isinstance(pipeline_class, str):
        raise _own_code(name, INDEX)
    parts: dict[str, str] = {}
    for part, value in index.items():
        if part.startswith("_") or not (isinstance(value, list) and len(value) == 2 and value[0]):
            continue
        if not _is_known(value[0]) or (folder / part / f"{value[0]}.py").is_file() or not isinstance(value[1], str):
            raise _own_code(name, part)
        parts[part] = value[1]

    def of(part: str, file: str = "config.json") -> Mapping[str, Any] | None:
        return read_json(folder / part / file) if part in parts and (folder / part / file).is_file() else None

    return Configuration(
        pipeline_class=pipeline_class,
        parts=parts,
        scheduler=of("scheduler", "scheduler_config.json"),
        vae=of("vae"),
        denoiser=of("unet") or of("transformer"),
    )


def clip_encoders(config: Configuration, folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return the configurations of the model's CLIP text encoders, by their names in the pipeline."""
    return {
        part: read_json(folder / part / "config.json")
        for part, kind in config.parts.items()
        if part.startswith("text_encoder") and kind.startswith("CLIPText")
    }


def _is_known(library: object) -> bool:
    """Tell whether a part is of a known library; diffusers would import a module of any other name."""
    return isinstance(library, str) and (library in ("diffusers", "transformers") or library in _pipeline_modules())


@lru_cache(maxsize=1)
def _pipeline_modules() -> frozenset[str]:
    """List the modules of ``diffusers.pipelines``, which have parts of their own. Imports none."""
    found = find_spec("diffusers")
    homes = [] if found is None else [Path(home) / "pipelines" for home in found.submodule_search_locations or ()]
    homes += [home / "deprecated" for home in homes]  # their parts are still declared by their old names
    found_in = (path for home in homes if home.is_dir() for path in home.iterdir())
    return frozenset(path.name for path in found_in if (path / "__init__.py").is_file())


def vae_factor(config: Mapping[str, Any] | None) -> int:
    """Return the pixels a latent stands for, along one side; 1 without a VAE, on pixels.

    Sources: ``vae_scale_factor`` in the pipelines' constructors, for AutoencoderKL and AutoencoderTiny (one halving
    between blocks), AutoencoderDC (``encoder_block_out_channels``), and the video VAEs that image models borrow.
    """
    if config is None:
        return 1
    if isinstance(config.get("spatial_compression_ratio"), int):
        return int(config["spatial_compression_ratio"])
    for key in ("block_out_channels", "encoder_block_out_channels"):
        if isinstance(config.get(key), list):
            return int(2 ** (len(config[key]) - 1))
    downsampled = config.get("temperal_downsample")
    return int(2 ** len(downsampled)) if isinstance(downsampled, list) else 8


def latent_channels(config: Mapping[str, Any]) -> int | None:
    """Return the channels of the VAE's latents; ``None`` when its configuration does not tell."""
    channels = config.get("latent_channels", config.get("z_dim"))
    if channels is None and config.get("_class_name") in {"AutoencoderKL", "AutoencoderTiny"}:
        return 4  # the default of both classes
    return channels if isinstance(channels, int) else None


def _own_code(name: str, where: str) -> InputError:
    return InputError(
        "model", name, problem=f"brings code of its own ({where}), which is never run",
        allowed="pipelines of diffusers itself", hint="promptlab models",
    )  # fmt: skip
