"""Several drivers at one cluster: the example that shows it, as it is typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptlab.lab import Lab
from promptlab.testing import Painter
from promptlab.workspace import Workspace

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_two_users_share_a_cluster_a_database_and_a_tracker(postgresql_url, tmp_path):
    """Both runs are whole, each with its own pictures; nothing is owed, and everything agrees."""
    command = Path(sys.executable).with_name("promptlab")
    done = subprocess.run(
        ["sh", "examples/two_users.sh", command, tmp_path], cwd=REPOSITORY, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PROMPTLAB_DATABASE": postgresql_url,
             "PROMPTLAB_ENGINE": "painter"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cluster: 2 machines" in done.stdout
    assert "nothing is owed" in done.stdout
    assert "healthy: 2 runs, 32 pictures" in done.stdout
    lab = Lab(Workspace.at(tmp_path / "notebook", postgresql_url), engine=Painter())
    runs = [lab.notebook.run(summary.id) for summary in lab.history.list()]
    assert {run.experiment for run in runs} == {"ada", "grace"}
    assert all(run.complete and run.tracked_at is not None for run in runs)
