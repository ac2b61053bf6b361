"""Nothing of the package needs training, and its stages share one budget."""

import subprocess
import sys
from pathlib import Path

import pytest

from training.everything import SHARES, budgets


def test_the_budget_is_spent_whole() -> None:
    """All minutes go to what is trained; without the autoencoder the others get its share."""
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(budgets(120, begun=False).values()) == pytest.approx(120)
    going_on = budgets(60, begun=True)
    assert "autoencoder" not in going_on
    assert sum(going_on.values()) == pytest.approx(60)


@pytest.mark.slow
def test_training_begins_from_parts_of_a_released_model(tmp_path: Path) -> None:
    """Its tokenizer alone: the words are known, everything else is new."""
    done = subprocess.run(
        [sys.executable, "-m", "training", "begin", "--work", str(tmp_path), "--parts", "tokenizer"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["start", "tokenizer"]
    assert [path.name for path in (tmp_path / "start").iterdir()] == ["tokenizer"]


@pytest.mark.slow
def test_help_names_every_stage() -> None:
    """`python -m training` with nothing, or with an unknown stage, says what there is."""
    done = subprocess.run([sys.executable, "-m", "training", "paint"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "denoiser" in done.stderr
    assert "Traceback" not in done.stderr
