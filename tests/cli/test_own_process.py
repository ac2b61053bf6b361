"""A command's process ends at once, with all done that a process does at its end."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, gc, sys, tempfile, threading, weakref
from promptlab import cli

class Ring:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("collected")

def late():
    threading.main_thread().join()
    print("thread joined")

ring, folder = Ring(), tempfile.TemporaryDirectory()
print(folder.name)
threading.Thread(target=late).start()
atexit.register(lambda: print("handler called", gc.isenabled(), gc.get_freeze_count() > 0))
sys.stdout.write("written ")
cli.main(ARGUMENTS)
"""


def ended(*words, own):
    """Run a command in a process; return its exit code and what it wrote into a pipe."""
    script = SCRIPT.replace("ARGUMENTS", "" if own else "sys.argv[1:]")
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)


def test_own_process_ends_with_all_but_its_garbage(tmp_path, monkeypatch):
    """Buffers are flushed, threads joined, handlers called, temporary folders removed; rings are left alone."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    said = ended("--version", own=True)
    assert said.returncode == 0, said.stderr
    assert "written promptlab" in said.stdout
    assert "thread joined" in said.stdout
    assert "handler called False True" in said.stdout
    assert said.stdout.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
def test_own_process_gives_the_commands_exit_code(monkeypatch, tmp_path):
    """As ever: 2 for what cannot be, 1 for a pipe that nobody reads any more."""
    assert ended("nothing-like-it", own=True).returncode == 2
    monkeypatch.setenv("PROMPTLAB_WORKSPACE", str(tmp_path))
    command = [sys.executable, "-m", "promptlab", "schedulers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate()
    assert (process.returncode, errors) == (1, b"")


def test_main_with_arguments_leaves_the_process_as_it_is():
    """A program that calls a command keeps its collector."""
    said = ended("--version", own=False)
    assert said.returncode == 0
    assert "handler called True False" in said.stdout
