"""Commands that are stopped, or fail, half-way: what was made stays, and the next command is said."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from promptlab.cli.progress import ProgressDisplay
from promptlab.engine import ModelLoading
from promptlab.errors import EngineError
from promptlab.lab.execution.events import ImagesGenerated, Interrupted
from promptlab.testing import Painter

KILLED = """
import os, signal, sys
from promptlab import cli
from promptlab.testing import Painter
from tests.tracking.without_mlflow import recording

paint = Painter._paint

def painted(self, request, **where):
    if request.seed == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return paint(self, request, **where)

Painter._paint = painted
with recording(in_mlflow=False):
    cli.main(sys.argv[1:])
"""

CLOSED = """
import fcntl, os, signal, sys, termios, threading
from promptlab import cli
from promptlab.testing import Painter
from tests.tracking.without_mlflow import recording

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
paint = Painter._paint

def painted(self, request, **where):
    if request.seed == 5:
        closed, hung_up = [], signal.getsignal(signal.SIGHUP)
        signal.signal(signal.SIGHUP, lambda *facts: (closed.append(True), hung_up(*facts)))
        os.write(int(sys.argv[1]), b"close me")
        while not closed:
            threading.Event().wait(0.02)
    return paint(self, request, **where)

Painter._paint = painted
with recording(in_mlflow=False):
    cli.main(sys.argv[2:])
"""


@pytest.fixture
def at_seed(monkeypatch):
    """Have something happen while the picture of a seed is painted."""
    paint = Painter._paint

    def arrange(seed, happens):
        def painted(self, request, **where):
            if request.seed == seed:
                happens()
            return paint(self, request, **where)

        monkeypatch.setattr(Painter, "_paint", painted)

    yield arrange
    monkeypatch.setattr(Painter, "_paint", paint)


def statuses(promptlab, ref):
    said = promptlab("show", str(ref), "--json")
    assert said.code == 0, said.err
    run = json.loads(said.out)["run"]
    return run["status"], sum(image["status"] == "MADE" for image in run["images"]), len(run["images"])


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.exhaustive),
        pytest.param(signal.SIGHUP, id="SIGHUP", marks=pytest.mark.exhaustive),
    ],
)
def test_run_stopped_finishes_the_batch_and_says_how_to_go_on(sign, promptlab, workspace, at_seed, monkeypatch):
    """One line when it is pressed, one at the end; the batch in flight is whole; resume makes the rest."""
    monkeypatch.chdir(workspace.root)
    at_seed(5, lambda: os.kill(os.getpid(), sign))
    said = promptlab("run", "a fox", "--seeds", "0-11")
    assert said.code == 130
    lines = [line for line in said.err.splitlines() if line]
    assert lines == [
        "finishing the pictures under way; Ctrl-C again stops at once",
        "promptlab: stopped; what was made stays; type: promptlab resume 1",
    ]
    assert statuses(promptlab, 1) == ("KILLED", 8, 12)
    at_seed(99, lambda: None)
    said = promptlab("resume", "1")
    assert (said.code, said.out.splitlines()[0].startswith("run 1: 12 images")) == (0, True)
    assert statuses(promptlab, 1) == ("FINISHED", 12, 12)
    assert promptlab("resume").out == "nothing is owed: every run has all its images\n"
    assert promptlab("resume", "last").out == "nothing is owed: last has all its images\n"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_main_puts_the_handler_of_a_signal_back(promptlab, sign):
    """A program that calls ``main`` keeps its own."""
    before = signal.getsignal(sign)
    promptlab("list")
    assert signal.getsignal(sign) is before


def test_run_under_nohup_goes_on_when_the_terminal_is_closed(promptlab, at_seed):
    """A signal that is ignored stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        at_seed(5, lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert promptlab("run", "a fox", "--seeds", "0-7").code == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert statuses(promptlab, 1) == ("FINISHED", 8, 8)


def test_run_whose_terminal_is_closed_finishes_the_batch(promptlab, workspace):
    """The system sends SIGHUP, and what is said afterwards cannot be written: the run ends as with Ctrl-C."""
    environment = {**os.environ, "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_WORKSPACE": str(workspace.root)}
    (ours, theirs), (heard, says) = pty.openpty(), os.pipe()
    words = ("run", "a fox", "--seeds", "0-11")
    child = subprocess.Popen(
        [sys.executable, "-c", CLOSED, str(says), *words], env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, pass_fds=[says],
    )  # fmt: skip
    os.close(theirs)
    os.close(says)
    while heard not in select.select([heard, ours], [], [])[0]:
        os.read(ours, 4096)
    os.close(ours)
    assert os.read(heard, 4096) == b"close me"
    os.close(heard)
    assert child.wait(timeout=600) == 130
    status, made, images = statuses(promptlab, 1)
    assert (status, images) == ("KILLED", 12)
    assert 4 <= made < 12


def test_progress_on_a_closed_terminal_goes_nowhere(monkeypatch):
    """Something may be written there before the signal has arrived that says so: the pictures go on."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with suppress(OSError), os.fdopen(theirs, "w") as terminal:  # what it still holds cannot be written
        monkeypatch.setattr(sys, "stderr", terminal)
        with ProgressDisplay() as progress:
            os.close(ours)
            progress(ModelLoading(what="a model"))
            progress(Interrupted())
            progress(ImagesGenerated(count=3))
    assert progress.made == 3


def test_resume_stopped_sweep_is_made_to_the_end(promptlab, workspace, at_seed):
    """The hint names the sweep; nothing that was made is made again, and the workspace is named where it must be."""
    presses = iter([True])

    def press():
        if next(presses, False):
            os.kill(os.getpid(), signal.SIGINT)

    at_seed(1, press)
    words = ("run", "a fox", "--seeds", "0-7", "--steps", "5", "--steps", "6")
    said = promptlab(*words)
    assert said.code == 130
    assert "type: promptlab resume sweep:1 --workspace " in said.err
    assert statuses(promptlab, 1) == ("KILLED", 4, 8)
    said = promptlab("resume", "sweep:1")
    assert said.code == 0, said.err
    assert [statuses(promptlab, ref) for ref in (1, 2)] == [("FINISHED", 8, 8)] * 2
    assert workspace.sweep_grid(1, 1).is_file()
    assert promptlab(*words).out.startswith("nothing to make: sweep 1: 2 runs, 16 images")


def test_run_failure_says_how_to_go_on(promptlab, workspace, at_seed, monkeypatch):
    """The error is one line with the next command behind it; what could be made is made."""
    monkeypatch.chdir(workspace.root)

    def fail():
        raise EngineError("the paint ran out")

    at_seed(6, fail)
    said = promptlab("run", "a fox", "--seeds", "0-11")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "the paint ran out" in said.err
    assert said.err.endswith("; type: promptlab resume 1\n")
    assert statuses(promptlab, 1) == ("FAILED", 11, 12)
    at_seed(99, fail)
    assert promptlab("resume").out.startswith("run 1: 12 images")


def test_resume_killed_run_is_made_to_the_end(promptlab, workspace):
    """``kill -9`` in the middle: resume completes it, and so does the same command again."""
    environment = {**os.environ, "PROMPTLAB_ENGINE": "painter", "PROMPTLAB_WORKSPACE": str(workspace.root)}
    for number, prompt in enumerate(("a fox", "a dog"), 1):
        words = ("run", prompt, "--seeds", "0-15")
        killed = subprocess.run([sys.executable, "-c", KILLED, *words], env=environment, capture_output=True)
        assert killed.returncode == -signal.SIGKILL
        status, made, images = statuses(promptlab, number)
        assert (status, images) == ("RUNNING", 16)
        assert made <= 8
        said = promptlab("resume") if number == 1 else promptlab(*words)
        assert said.out.startswith(f"run {number}: 16 images"), said.err
        assert statuses(promptlab, number) == ("FINISHED", 16, 16)


def test_run_wrong_before_anything_began_has_no_such_hint(promptlab):
    """There is nothing to resume."""
    assert "resume" not in promptlab("run", "a fox", "--device", "cuda").err
