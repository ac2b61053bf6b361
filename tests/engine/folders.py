"""Folders as the engine meets them: configurations, weights that hold nothing, a Hub cache."""

import json
import shutil
import struct
from pathlib import Path


def write_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_safetensors(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", 2) + b"{}")


def write_hub_cache(cache: Path, name: str, folder: Path, commit: str = "c" * 40, branch: str = "main") -> Path:
    """Put ``folder`` into a Hub cache as huggingface_hub lays it out."""
    home = cache / f"models--{name.replace('/', '--')}"
    (home / "refs").mkdir(parents=True, exist_ok=True)
    (home / "refs" / branch).write_text(commit, encoding="utf-8")
    return Path(shutil.copytree(folder, home / "snapshots" / commit))
