"""What is in the wheel: a plain folder of safetensors under 20 MB, every part of it readable by anyone's diffusers."""

import json

import pytest

from promptlab.models import bundled, bundled_models

pytestmark = pytest.mark.slow

LIMIT = 20_000_000


def test_bundled_model_is_small_and_executes_nothing() -> None:
    """20 MB for all parts, weights as safetensors only."""
    home = bundled("mini")
    assert home is not None
    files = [path for path in home.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".md") <= LIMIT
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".md"}


def test_bundled_scheduler_clips_nothing() -> None:
    """Schedulers that are made from its configuration leave latents as they are."""
    home = bundled("mini")
    assert home is not None
    config = json.loads((home / "scheduler" / "scheduler_config.json").read_text())
    assert config["clip_sample"] is False
    assert config["prediction_type"] == "v_prediction"


def test_bundled_autoencoders_fit_the_models_latents() -> None:
    """Whatever else is bundled decodes the same channels at the same size."""
    home = bundled("mini")
    assert home is not None
    own = json.loads((home / "vae" / "config.json").read_text())
    for name, folder in bundled_models().items():
        if name != "mini":
            other = json.loads((folder / "config.json").read_text())
            assert other["latent_channels"] == own["latent_channels"]
            assert len(other["block_out_channels"]) == len(own["block_out_channels"])
