"""``promptlab server``, and commands that are carried out by one: what they say is what they say without it."""

import json
import os
import re
import signal
from functools import partialmethod

import pytest

from promptlab.serving.discovery import ServerPlace, find
from promptlab.testing import Painter
from tests.serving.running import running_server, server_process


@pytest.fixture
def warm(runtime, promptlab, painter):
    """Type commands with a server that runs on a thread of this process, found as any other."""
    with running_server(painter, place=runtime):
        yield promptlab


@pytest.mark.mlflow
def test_server_commands_say_what_it_is_at(warm, painter):
    """Status in words and as JSON, and in what doctor says; a picture is made by the server, not here."""
    said = warm("run", "a fox", "--seeds", "0-1")
    assert (said.code, said.err) == (0, "")
    assert len(painter.painted) == 2
    said = warm("server", "status").out.splitlines()
    assert re.search(r"PromptLab 0\.1\.0, ends in [45]:\d\d minutes$", said[0])
    assert "model mini loaded" in said[1]
    assert "1 job done" in said[1]
    assert json.loads(warm("server", "status", "--json").out)["jobs_done"] == 1
    assert "model mini loaded" in warm("doctor").out
    assert json.loads(warm("doctor", "--json").out)["server"]["model"] == "mini"


def test_server_start_of_one_that_runs_says_that_its_time_is_as_it_was(warm):
    """What was typed would be ignored without a word."""
    assert warm("server", "start").err == ""
    said = warm("server", "start", "--keep-alive", "9")
    assert said.err.startswith("promptlab: it was running, and stays as long as it was told then")


def test_server_whose_code_is_gone_ends_as_one_whose_code_has_changed(runtime, monkeypatch, tmp_path):
    """While pip puts another version in its place there is nothing to look at."""
    from promptlab.cli.server import lab_server

    server = lab_server(5.0)
    assert not server._is_outdated()
    monkeypatch.setattr("promptlab.serving.environment_key.__file__", str(tmp_path / "gone" / "serving" / "it.py"))
    assert server._is_outdated()


COMMANDS = [
    ("run", "a {red|blue} fox", "--seeds", "0-1"),
    ("run", "a {red|blue} fox", "--seeds", "0-1"),
    ("run", "a fox", "--steps", "5", "--steps", "6", "--seeds", "3"),
    ("rerun", "1", "--seed", "1", "--append", ", at dusk"),
    ("rerun", "1/1", "--replace", "fox=>dog", "--note", "why"),
    ("rerun", "1", "--seed", "1", "--steps", "7"),
    ("rerun", "9"),
    ("rerun", "9", "--steps", "7"),
    ("rerun", "last", "--device", "cuda"),
    ("plan", "a fox", "a dog", "--steps", "5,6"),
    ("rerun", "last", "--append", " x", "--dry-run"),
    ("rerun", "last", "--seed", "77"),
    ("run", "a fox", "--device", "cuda"),
    ("run", "word " * 90),
    ("resume",),
    ("resume", "7"),
    ("verify", "last"),
    ("verify", "last", "--json", "--sample", "1"),
    ("verify", "sweep:1"),
    ("probe", "--batch-size", "1,2", "--json"),
    ("effect", "1"),
]


BAD_DAYS = [
    ("run", "a {red|ugly} fox", "--seeds", "0-3"),
    ("run", "a {red|ugly} fox", "--seeds", "0-3", "--exact"),
    ("resume",),
    ("run", "a dog", "--seeds", "0-3", "--tracking-uri", "http://127.0.0.1:PORT"),
    ("rerun", "last", "--append", "x", "--tracking-uri", "http://127.0.0.1:PORT"),
    ("sync", "--tracking-uri", "http://127.0.0.1:PORT"),
    ("sync",),
    ("plan", "word " * 90),
    ("probe", "--batch-size", "1-4"),
    ("list",),
]


def without_what_differs(said):
    """Times of the clock (minutes of a list too), seconds and memory."""
    lines = [line for line in said.out.splitlines() if not any(word in line for word in ("_at", "seconds", "second"))]
    return said.code, [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d|  \d+\.\d\d  ", "…", line) for line in lines], said.err


@pytest.mark.parametrize(
    "commands", [COMMANDS, pytest.param(BAD_DAYS, marks=pytest.mark.mlflow)], ids=["usual", "bad days"]
)
def test_commands_with_and_without_a_server_say_the_same(
    commands, promptlab, runtime, workspace, tmp_path, monkeypatch, unused_port
):
    """Standard output, standard error and exit codes: results, refusals, words that are cut, nothing to do.

    And on bad days: a batch that does not fit, pictures that fail, an MLflow server that is away.
    """
    if commands is BAD_DAYS:
        monkeypatch.setattr(Painter, "__init__", partialmethod(Painter.__init__, most_rows=2, fail_on="ugly"))
    said = {}
    for where in ("here", "there"):
        folder = tmp_path / where / "space"
        folder.mkdir(parents=True)
        (folder / "mlflow.db").write_bytes(workspace.database.read_bytes())
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PROMPTLAB_WORKSPACE", str(folder))
        monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", "0" if where == "here" else "5")
        with running_server(Painter(), place=runtime):
            said[where] = [
                without_what_differs(promptlab(*(word.replace("PORT", str(unused_port)) for word in command)))
                for command in commands
            ]
    for command, here, there in zip(commands, said["here"], said["there"], strict=True):
        assert (command, there) == (command, here)


def test_command_whose_server_is_killed_says_what_to_type(promptlab, runtime, workspace, monkeypatch):
    """One line, with the command that makes the rest; that command starts another server."""
    monkeypatch.chdir(workspace.root)
    with server_process(runtime, seed=5, happens="kill"):
        said = promptlab("run", "a fox", "--seeds", "0-7")
    assert said.code == 1
    assert said.err == (
        f"promptlab: the server is gone before the end (its log: {runtime.log}); what was made stays; "
        "type: promptlab resume 1\n"
    )
    monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", "0")
    assert promptlab("resume", "1").out.startswith("run 1: 8 images")


@pytest.mark.exhaustive
def test_command_stopped_by_its_server_ends_as_by_ctrl_c(promptlab, runtime, workspace, monkeypatch):
    """SIGTERM of the server is Ctrl-C of its client."""
    monkeypatch.chdir(workspace.root)
    with server_process(runtime, seed=5, happens="end"):
        said = promptlab("run", "a fox", "--seeds", "0-39")
    assert said.code == 130
    assert [line for line in said.err.splitlines() if line] == [
        "finishing the pictures under way; Ctrl-C again stops at once",
        "promptlab: stopped; what was made stays; type: promptlab resume 1",
    ]


def test_command_that_cannot_start_a_server_makes_its_pictures_itself(promptlab, workspace, tmp_path, monkeypatch):
    """It says so once; with --no-server there is nothing to say."""
    (tmp_path / "promptlab").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", "5")
    said = promptlab("run", "a fox", "--seeds", "0")
    assert said.code == 0
    assert said.err == (
        f"promptlab: without a server, because {tmp_path}/promptlab cannot be used: File exists; "
        "--no-server says nothing of it\n"
    )
    assert promptlab("run", "a dog", "--seeds", "0", "--no-server").err == ""


def test_first_command_starts_a_server_and_the_next_finds_it(promptlab, runtime, workspace, tmp_path, monkeypatch):
    """A workspace is found wherever the server stands; it ends when it is told to."""
    monkeypatch.chdir(workspace.root)
    assert promptlab("server", "status").out.startswith("no server is running")
    assert promptlab("resume", "--workspace", ".").out == "nothing is owed: every run has all its images\n"
    first = json.loads(promptlab("server", "status", "--json").out)
    assert (first["jobs_done"], first["keep_alive"]) == (1, 5.0)
    promptlab("resume", "--workspace", "new")
    second = json.loads(promptlab("server", "status", "--json").out)
    assert (second["pid"], second["jobs_done"]) == (first["pid"], 2)
    assert not (workspace.root / "new").exists()
    assert promptlab("server", "start").out.startswith(f"server: process {first['pid']}")
    assert promptlab("server", "stop").out == "stopping; pictures under way are finished first\n"


@pytest.mark.parametrize(("typed", "code"), [("soon", 2), ("-1", 2), ("nan", 2)])
def test_keep_alive_that_is_no_time_is_refused(promptlab, runtime, monkeypatch, typed, code):
    """Before a server is started."""
    monkeypatch.setenv("PROMPTLAB_KEEP_ALIVE", typed)
    said = promptlab("run", "a fox")
    assert said.code == code
    assert said.err == (
        f"promptlab: PROMPTLAB_KEEP_ALIVE '{typed}' is no time; allowed: minutes, 0 or more, or forever; "
        "type: PROMPTLAB_KEEP_ALIVE=15\n"
    )
    assert find(ServerPlace.here()) is None


def test_server_on_another_machine_asks_for_its_token(promptlab, workspace, unused_port, monkeypatch):
    """401 is one line; with the token pictures are made there. The token is in no output."""
    monkeypatch.setenv("PROMPTLAB_SERVER_TOKEN", "secret")
    with running_server(Painter(), port=unused_port):
        url = f"http://127.0.0.1:{unused_port}"
        said = promptlab("run", "a fox", "--seeds", "0", "--server", url)
        assert (said.code, said.err) == (0, "")
        assert "secret" not in promptlab("server", "status", "--server", url).out
        monkeypatch.setenv("PROMPTLAB_SERVER", url)
        monkeypatch.setenv("PROMPTLAB_SERVER_TOKEN", "guessed")
        said = promptlab("rerun", "last", "--append", "x")
        assert said.code == 1
        assert said.err == (
            f"promptlab: {url} refuses: the token is missing or wrong; "
            "set PROMPTLAB_SERVER_TOKEN to that of the server\n"
        )


def test_server_that_was_named_and_is_away_is_an_error(promptlab, unused_port):
    """Pictures are not made elsewhere than was asked."""
    said = promptlab("run", "a fox", "--server", f"http://127.0.0.1:{unused_port}")
    assert said.code == 1
    assert said.err.startswith(f"promptlab: the server at http://127.0.0.1:{unused_port} does not answer: ")
    assert promptlab("run", "a fox", "--server", "box").code == 2


@pytest.mark.parametrize(
    "sign",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.exhaustive) for each in (signal.SIGINT, signal.SIGHUP))],
)
def test_ctrl_c_in_a_command_stops_its_job(sign, promptlab, runtime, workspace, monkeypatch):
    """As without a server: one line when it is pressed, one at the end. A terminal that is closed presses it, too."""
    from promptlab.cli.progress import ProgressDisplay
    from promptlab.lab.execution.events import ImagesGenerated

    monkeypatch.chdir(workspace.root)
    show = ProgressDisplay.__call__

    def press(self, event):
        if event == ImagesGenerated(count=5):
            os.kill(os.getpid(), sign)
        show(self, event)

    monkeypatch.setattr(ProgressDisplay, "__call__", press)
    with server_process(runtime):
        said = promptlab("run", "a fox", "--seeds", "0-39")
    assert said.code == 130
    assert [line for line in said.err.splitlines() if line] == [
        "finishing the pictures under way; Ctrl-C again stops at once",
        "promptlab: stopped; what was made stays; type: promptlab resume 1",
    ]
