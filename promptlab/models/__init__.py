"""Finds the models that ship in the package, each a plain diffusers folder, loaded like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["DEFAULT_MODEL", "bundled", "bundled_models", "bundled_vaes"]

DEFAULT_MODEL: Final = "mini"
"""What ``promptlab run`` uses when no model is named."""


def bundled_models() -> dict[str, Path]:
    """Return the folder of every bundled model by its name, which ``model`` takes."""
    return _folders_with("model_index.json")


def bundled_vaes() -> dict[str, Path]:
    """Return the folder of every bundled VAE by its name, which ``vae`` takes."""
    return _folders_with("config.json")


def bundled(name: str) -> Path | None:
    """Return the folder of the bundled model or VAE called ``name``, or None."""
    return bundled_models().get(name) or bundled_vaes().get(name)


def _folders_with(file: str) -> dict[str, Path]:
    return {folder.name: folder for folder in sorted(Path(__file__).parent.iterdir()) if (folder / file).is_file()}
