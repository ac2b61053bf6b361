"""Pictures in a terminal: a real pseudo-terminal at one end, what a terminal would answer at the other."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SHOW = (
    "import sys; from pathlib import Path; from promptlab.cli.inline_pictures import show_picture; "
    "show_picture(Path(sys.argv[1]), {'yes': True, 'no': False, '': None}[sys.argv[2]]); print('after')"
)
LEAD = (  # a session's first process makes the terminal its own, as a login shell does, and becomes the program
    "import fcntl, os, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
SIXEL = (b"\x1b[c", b"\x1b[?62;4c")
KITTY = (re.compile(rb"\x1b_G[^\x1b]*a=q[^\x1b]*\x1b\\"), b"\x1b_Gi=%d;OK\x1b\\")
PLAIN = (b"\x1b[c", b"\x1b[?62c")


@pytest.fixture
def picture(tmp_path):
    """Red above, blue below; 60 × 40."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :, 0] = pixels[20:, :, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "two colours.png")
    return tmp_path / "two colours.png"


IN_THE_WAY = ("NO_COLOR", "TERM", "COLORTERM", "COLUMNS", "LINES")
"""What would tell a program otherwise than the terminal does."""


def in_terminal(*words, answers=(PLAIN,), columns=80, stdin=None, **environment):
    """What a program wrote to a terminal of 30 rows whose cells are 10 × 20 pixels, and which answers questions."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, columns * 10, 600))

    known = {key: value for key, value in os.environ.items() if key not in IN_THE_WAY}
    child = subprocess.Popen(
        [sys.executable, "-c", LEAD, *words], stdin=stdin or theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
        env=known | {"TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
    )  # fmt: skip
    os.close(theirs)
    said, waiting = b"", list(answers)
    waits = select.poll()  # select() counts to 1,024 files, and MLflow keeps every test's database open
    waits.register(ours, select.POLLIN)
    while True:
        try:
            piece = os.read(ours, 65536) if waits.poll(600_000) else b""
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        said += piece
        for question, answer in list(waiting):
            found = re.search(question if isinstance(question, re.Pattern) else re.escape(question), said)
            if found:
                number = re.search(rb"i=(\d+)", found[0])
                os.write(ours, answer % int(number[1]) if number and b"%d" in answer else answer)
                waiting.remove((question, answer))
    os.close(ours)
    assert child.wait(timeout=600) == 0, said
    return said.decode()


def test_show_picture_is_half_blocks_where_the_terminal_knows_no_pictures(picture):
    """Two pixels a character, in true colours, never enlarged."""
    said = in_terminal("-c", SHOW, str(picture), "")
    rows = [line for line in said.splitlines() if "▀" in line]
    assert len(rows) == 20
    assert {line.count("▀") for line in rows} == {60}
    assert "38;2;255;0;0;48;2;255;0;0" in rows[3]
    assert "38;2;0;0;255;48;2;0;0;255" in rows[-3]
    assert said.rstrip().endswith("after")


def test_show_picture_half_blocks_fit_the_width(picture):
    """A narrow terminal gets a smaller picture of the same proportions."""
    rows = [line for line in in_terminal("-c", SHOW, str(picture), "", columns=30).splitlines() if "▀" in line]
    assert (len(rows), rows[0].count("▀")) == (10, 30)


def test_show_picture_is_sixels_or_kittys_protocol_where_the_terminal_answers(picture):
    """Asked for what it can do, the terminal gets the picture's own pixels."""
    sixels = in_terminal("-c", SHOW, str(picture), "", answers=(SIXEL,))
    assert re.search(r'\x1bP[\d;]*q"1;1;60;40', sixels)
    kitty = in_terminal("-c", SHOW, str(picture), "", answers=(PLAIN, KITTY))
    assert "\x1b_G" in kitty.split(";OK")[-1]
    assert "▀" not in sixels + kitty


def test_show_picture_asks_nothing_of_a_terminal_that_cannot_answer(picture):
    """With its input taken from elsewhere, it gets half blocks and no question."""
    said = in_terminal("-c", SHOW, str(picture), "", stdin=subprocess.DEVNULL, answers=())
    assert said.count("▀") == 1200
    assert "\x1b[c" not in said


@pytest.mark.parametrize(
    ("typed", "environment", "shown"),
    [("no", {}, False), ("", {"NO_COLOR": "1"}, False), ("yes", {"NO_COLOR": "1"}, True),
     ("yes", {"TERM": "dumb"}, False)],
    ids=["--no-show", "NO_COLOR", "--show before NO_COLOR", "TERM=dumb"],
)  # fmt: skip
def test_show_picture_who_wants_none_gets_none(picture, typed, environment, shown):
    """What was typed goes first; a terminal of letters only has no choice."""
    said = in_terminal("-c", SHOW, str(picture), typed, **environment)
    assert ("\x1b[38;2" in said) is shown
    assert shown or said == "after\r\n"


def test_show_picture_damaged_file_is_passed_over(tmp_path):
    """Showing is a courtesy: it says nothing and fails nothing."""
    (tmp_path / "grid.png").write_bytes(b"no picture")
    assert in_terminal("-c", SHOW, str(tmp_path / "grid.png"), "").endswith("after\r\n")
    assert in_terminal("-c", SHOW, str(tmp_path / "none.png"), "yes") == "after\r\n"


def test_show_picture_into_a_pipe_is_nothing(promptlab):
    """Not even when asked for: whoever reads the other end wants words."""
    ran = promptlab("run", "a fox", "--seeds", "0-1", "--show")
    assert ran.code == 0
    assert "▀" not in ran.out
    assert "\x1b" not in ran.out
    for words in (("show", "1", "--show"), ("show", "1/1", "--show"), ("rerun", "1", "--seed", "1", "--no-show")):
        said = promptlab(*words)
        assert (said.code, "\x1b" in said.out) == (0, False)


def test_show_shows_the_grid_above_its_words(lab, promptlab):
    """The command itself, in a terminal: the picture, then everything recorded; as JSON no picture."""
    promptlab("run", "a fox", "--seeds", "0-1")
    where = {"PROMPTLAB_WORKSPACE": str(lab.workspace.root)}
    said = in_terminal("-m", "promptlab", "show", "1", **where)
    assert 0 < said.index("▀") < said.index("run 1 · FINISHED")
    assert "▀" not in in_terminal("-m", "promptlab", "show", "1", "--json", **where)


@pytest.fixture
def viewer(tmp_path, monkeypatch):
    """A desktop whose ``xdg-open`` writes down what it was asked to open."""
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{tmp_path}/opened"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    return tmp_path / "opened"


def opened(*words, viewer, workspace):
    """In a process of its own: click leaves the viewer to itself."""
    viewer.unlink(missing_ok=True)
    said = subprocess.run(
        [sys.executable, "-m", "promptlab", "open", *words], capture_output=True, text=True,
        env={**os.environ, "PROMPTLAB_WORKSPACE": str(workspace.root)},
    )  # fmt: skip
    assert (said.returncode, said.stderr) == (0, "")
    for _ in range(500):
        if viewer.exists() and viewer.read_text():
            break
        select.select([], [], [], 0.02)
    return viewer.read_text(), said.stdout.strip()


def test_open_hands_the_file_to_the_system(promptlab, workspace, viewer):
    """The path is said, too."""
    promptlab("run", "a fox")
    file, said = opened("1", viewer=viewer, workspace=workspace)
    assert file == os.path.realpath(said) == str(workspace.grid(1))


def test_open_finds_grid_picture_report_and_overview(promptlab, workspace, monkeypatch):
    """Each kind of name has its file; without a screen only its path is said."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    promptlab("run", "a fox", "--seeds", "0-1")
    promptlab("run", "a fox", "--steps", "2", "--steps", "3")
    for words, path in {
        ("1",): workspace.grid(1),
        ("1/1",): workspace.run_folder(1) / "v00-seed1.png",
        ("last", "--report"): workspace.report(3),
        ("sweep:1",): workspace.sweep_grid(1, 1),
        ("sweep:1", "--report"): workspace.sweep_report(1),
    }.items():
        said = promptlab("open", *words)
        assert (said.code, os.path.realpath(said.out.strip())) == (1, str(path))


def test_open_without_a_screen_says_so(promptlab, workspace, monkeypatch):
    """The path all the same, and one honest line."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    promptlab("run", "a fox")
    said = promptlab("open", "last")
    assert said.code == 1
    assert os.path.realpath(said.out.strip()) == str(workspace.grid(1))
    assert said.err == (
        "promptlab: there is no screen here to open it on: neither DISPLAY nor WAYLAND_DISPLAY is set\n"
    )
    workspace.grid(1).unlink()
    said = promptlab("open", "1")
    assert (said.code, "does not exist; type: promptlab doctor" in said.err) == (2, True)
    assert "sweep 4 does not exist" in promptlab("open", "sweep:4").err
