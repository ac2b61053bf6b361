"""The models that ship in the package, each a plain diffusers folder, loaded like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["DEFAULT_MODEL", "bundled", "bundled_models"]

DEFAULT_MODEL: Final = "mini"
"""What ``promptlab run`` uses when no model is named."""


def bundled_models() -> dict[str, Path]:
    """Name and folder of every bundled model and VAE: folders here that hold a diffusers configuration."""
    home = Path(__file__).parent
    return {
        folder.name: folder
        for folder in sorted(home.iterdir())
        if (folder / "model_index.json").is_file() or (folder / "config.json").is_file()
    }


def bundled(name: str) -> Path | None:
    """The folder of the bundled model or VAE called ``name``; ``None`` when there is none."""
    return bundled_models().get(name)
