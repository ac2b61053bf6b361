"""Nothing lost, cut short or stuck: whatever a command was at when it was killed, typed again it comes to its end."""

import os
import subprocess
import sys

import pytest

from tests.house.source import ROOT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "commands"),
    [
        (2, ("import", "rate")),
        pytest.param(24, ("run", "sweep", "sync", "backup", "import", "rate", "first start", "db upgrade"),
                     marks=pytest.mark.exhaustive),
    ],
)  # fmt: skip
def test_command_killed_at_a_random_moment_is_whole_when_typed_again(count, commands):
    """Pictures, runs, stars, files and MLflow are those of a command that nobody killed."""
    words = [word for command in commands for word in ("--only", command)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.killing", str(count), *words], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
