"""The same bytes from a server, whether it has just started or is warm, as from the command itself."""

import json
import os
import subprocess
import sys

import pytest

from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab
from tests.serving.running import short_folder

pytestmark = pytest.mark.slow

COMMAND = ("run", "a wizard", "--seeds", "0-1", "--steps", "2", "--size", "64", "--again", "--scheduler", "euler-a")


def test_bytes_of_a_server_are_those_of_a_command_alone(workspace):
    """Cold, in a server's first job and in its next: one recipe, one environment, one picture each."""
    with short_folder() as folder:
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_RUNTIME_DIR": str(folder), "PROMPTLAB_KEEP_ALIVE": "5",
                   "PROMPTLAB_WORKSPACE": str(workspace.root)}  # fmt: skip
        environ.pop("PROMPTLAB_ENGINE", None)

        def typed(*words):
            done = subprocess.run(
                [sys.executable, "-m", "promptlab", *words], env=environ, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        typed(*COMMAND, "--no-server")
        typed(*COMMAND)
        typed(*COMMAND)
        assert json.loads(typed("server", "status", "--json"))["jobs_done"] == 2
        typed("server", "stop")
    history = Lab(workspace).history
    cold, first, warm = (history.find(str(number)).run for number in (1, 2, 3))
    assert cold.environment == first.environment == warm.environment
    made = [
        [pixel_sha256(read_pixels(workspace.root / image.path)) for image in run.images] for run in (cold, first, warm)
    ]
    assert made[0] == made[1] == made[2]
    assert [image.pixel_sha256 for image in warm.images] == made[0]
    assert len(set(made[0])) == 2
    assert not any(image.linked for image in warm.images)
