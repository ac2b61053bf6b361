"""Two versions of PromptLab on one machine: each has its own server, and none answers for the other."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

import promptlab
from promptlab import __version__
from promptlab.errors import ServerError
from promptlab.serving.connection import Endpoint, request
from promptlab.serving.discovery import ServerPlace, find_or_start
from promptlab.serving.remote_lab import RemoteLab
from promptlab.store.migrate import migrations_folder

pytestmark = pytest.mark.slow

OTHER = "99.0.0"
ASK = """
import sys
from pathlib import Path
from promptlab.errors import ServerError
from promptlab.serving.connection import Endpoint
from promptlab.serving.remote_lab import RemoteLab

try:
    print(RemoteLab(lambda _: Endpoint(socket=Path(sys.argv[1])), sys.argv[2]).resume())
except ServerError as error:
    print(error)
"""


@pytest.fixture
def other(tmp_path, runtime):
    """Type ``python …`` with a copy of PromptLab that says it is another version."""
    home = tmp_path / "other"
    shutil.copytree(
        Path(promptlab.__file__).parent, home / "promptlab", ignore=shutil.ignore_patterns("__pycache__", "mini*")
    )
    (home / "migrations").symlink_to(migrations_folder())
    about = home / "promptlab" / "__init__.py"
    text = about.read_text()
    about.write_text(text.replace(__version__, OTHER))
    assert about.read_text() != text

    def typed(*words):
        said = subprocess.run(
            [sys.executable, *words], env={**os.environ, "PYTHONPATH": str(home)}, cwd=tmp_path, capture_output=True,
            text=True,
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        return said.stdout

    typed.package = home / "promptlab"
    yield typed
    typed("-m", "promptlab", "server", "stop")


def status_of(socket):
    return request(Endpoint(socket=socket), "GET", "/status")["status"]


def test_two_versions_have_a_server_each_and_refuse_each_other(other, runtime, tmp_path):
    """Side by side; whoever asks the wrong one is told both versions; one that is upgraded ends after its job."""
    find_or_start(runtime)
    other("-m", "promptlab", "server", "start")
    (theirs,) = [socket for socket in runtime.folder.glob("*.sock") if socket != runtime.socket]
    assert (status_of(runtime.socket)["version"], status_of(theirs)["version"]) == (__version__, OTHER)
    assert json.loads(other("-m", "promptlab", "server", "status", "--json"))["pid"] == status_of(theirs)["pid"]

    refusal = f"the server has PromptLab {OTHER}, and this command is of {__version__}; type: pip install promptlab=="
    with pytest.raises(ServerError, match=refusal):
        RemoteLab(lambda _: Endpoint(socket=theirs), tmp_path / "new").resume()
    said = other("-c", ASK, str(runtime.socket), str(tmp_path / "new"))
    assert said.startswith(f"the server has PromptLab {__version__}, and this command is of {OTHER}; ")

    os.utime(other.package / "specs" / "__init__.py")
    assert other("-c", ASK, str(theirs), str(tmp_path / "new")) == "()\n"
    with FileLock(ServerPlace(folder=runtime.folder, name=theirs.stem).living):  # held for as long as it lives
        assert not theirs.exists()
    assert status_of(runtime.socket)["jobs_done"] == 0
