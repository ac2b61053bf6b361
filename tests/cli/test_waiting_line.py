"""What a command waits for is one quiet line, with its seconds; what is counted has a bar."""

import io
import sys
import threading

import pytest
from rich.console import Console
from rich.progress import Progress

from promptlab.cli.progress_columns import progress_columns
from promptlab.cli.waiting_line import WaitingLine, waited


class Terminal(io.StringIO):
    """A terminal that says when it was written to."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def isatty(self):
        return True

    def flush(self):
        self.written.set()


@pytest.mark.parametrize(("seconds", "text"), [(0.9, "loading"), (1, "loading · 1 s"), (75.9, "loading · 75 s")])
def test_waited_says_seconds_once_there_are_any(seconds, text):
    """Whole ones: a line that changes ten times a second is not quiet."""
    assert waited("loading", seconds) == text


def test_waiting_line_is_written_to_a_terminal_alone(capsys):
    """In a pipe no thread is begun."""
    line = WaitingLine("starting")
    line.start()
    assert line._thread is None
    line.stop()
    assert capsys.readouterr() == ("", "")


def test_waiting_line_is_wiped_before_anything_else_is_said(monkeypatch):
    """However long it took; nothing of it is left on the terminal."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    line = WaitingLine("starting torch and diffusers")
    line.start()
    assert terminal.written.wait(60)
    line.stop()
    said = terminal.getvalue()
    assert said.startswith("\r\x1b[2K\x1b[2mstarting torch and diffusers")
    assert said.endswith("\x1b[0m\r\x1b[2K")
    line.stop()
    assert terminal.getvalue() == said


def test_progress_columns_draw_no_bar_of_what_cannot_be_counted():
    """Neither a question mark nor an unknown time."""
    shown = io.StringIO()
    bars = Progress(*progress_columns(), console=Console(file=shown, width=80))
    bars.add_task("loading [b]mini[/b]", total=None)
    bars.add_task("images", total=4)
    bars.console.print(bars.make_tasks_table(bars.tasks))
    first, second = shown.getvalue().splitlines()
    assert first.strip() == "loading [b]mini[/b]"
    assert second.split()[0] == "images"
    assert second.split()[-1] == "0/4"
