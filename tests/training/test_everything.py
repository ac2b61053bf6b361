"""Nothing of the package needs training, and its stages share one budget."""

import json
from pathlib import Path

import pytest

from training.__main__ import main
from training.everything import SHARES, budgets

pytestmark = pytest.mark.slow


def test_budget_is_spent_whole() -> None:
    """All minutes go to what is trained; without the autoencoder the others get its share."""
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(budgets(120, begun=False).values()) == pytest.approx(120)
    going_on = budgets(60, begun=True)
    assert "autoencoder" not in going_on
    assert sum(going_on.values()) == pytest.approx(60)


def test_training_from_parts_of_a_released_model_takes_only_these(tmp_path: Path) -> None:
    """Its tokenizer alone: the words are known, everything else is new."""
    assert main(["begin", "--work", str(tmp_path), "--parts", "tokenizer"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start", "tokenizer"]
    assert [path.name for path in (tmp_path / "start").iterdir()] == ["tokenizer"]


def test_checkpoints_of_other_latents_are_forgotten(tmp_path: Path) -> None:
    """A decoder of the old latents would decode the new ones, and be shipped; the denoiser goes on with turned ones."""
    from training.encoding import forget

    (tmp_path / "checkpoints").mkdir()
    for name in ("autoencoder", "denoiser", "decoder", "fine", "tiny"):
        (tmp_path / "checkpoints" / f"{name}.pt").touch()
    (tmp_path / "vae").mkdir()
    forget(tmp_path)
    assert {path.stem for path in (tmp_path / "checkpoints").iterdir()} == {"autoencoder", "denoiser"}
    assert (tmp_path / "vae-before").is_dir()


def test_decoder_beside_a_released_model_is_trained_on(tmp_path: Path) -> None:
    """Not the narrower one of the model itself, which would take its place."""
    from training.decoder import _fresh_fine
    from training.encoding import begin_from

    models = Path(__file__).parents[2] / "promptlab" / "models"
    begin_from(tmp_path, models / "mini")
    released = json.loads((models / "mini-vae-ft" / "config.json").read_text())
    assert list(_fresh_fine(tmp_path).config.block_out_channels) == released["block_out_channels"]


def test_training_help_names_every_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m training` with nothing, or with an unknown stage, says what there is."""
    with pytest.raises(SystemExit) as left:
        main(["paint"])
    assert left.value.code == 2
    assert "denoiser" in capsys.readouterr().err
