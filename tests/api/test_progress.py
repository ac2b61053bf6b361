"""A bar in a notebook and in a terminal, none elsewhere; what one should know is said in a line."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from promptlab.api.progress import ProgressBar, watching
from promptlab.engine import ModelLoading, WorkerRefused
from promptlab.errors import InputError
from promptlab.lab.execution.events import (
    DefaultsChosen,
    ImagesGenerated,
    SweepStarted,
    TrackingFailed,
    TrackingStarted,
)

EVENTS = (SweepStarted(sweep_id=1, runs=2, images=8), ModelLoading(what="<mini>"), ImagesGenerated(count=3),
          TrackingStarted())  # fmt: skip


@pytest.fixture
def notebook(monkeypatch):
    """IPython's part in a notebook: what it was given to display."""
    shown = []

    def display(html, *, display_id):
        assert display_id is True
        shown.append(html._repr_html_())
        return SimpleNamespace(update=lambda html: shown.append(html._repr_html_()))

    ipython, of_display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    of_display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    return shown


def test_progress_in_a_notebook_is_a_bar_that_goes(notebook):
    """Each state takes the place of the last, and the end leaves nothing; words are no HTML."""
    with watching(None) as told:
        for event in EVENTS:
            told(event)
    assert notebook == [
        "",
        "<progress max='1' value='0'></progress> starting",
        "<progress max='8' value='0'></progress> 0 of 8 images · starting",
        "<progress max='8' value='0'></progress> 0 of 8 images · loading &lt;mini&gt;",
        "<progress max='8' value='3'></progress> 3 of 8 images",
        "<progress max='8' value='3'></progress> 3 of 8 images · telling MLflow",
        "",
    ]


def test_progress_of_a_program_is_no_bar_and_a_line_for_what_went_wrong(capsys):
    """Nothing is drawn into a file; what stays true is said when all is done, with no control character in it."""
    with watching(None, hints=["a hint"]) as told:
        for event in (*EVENTS, TrackingFailed(run_id=3, reason="gone\x1b[2J")):
            told(event)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "promptlab: a hint\n"
        "promptlab: run 3 is whole, but MLflow was not told: gone\\x1b[2J; lab.maintenance.sync() tells it\n"
    )


def test_progress_says_which_defaults_were_chosen_and_who_is_left_out(capsys):
    """As the command line does: a picture is otherwise than a reader of the code expects."""
    with watching(None) as told:
        told(DefaultsChosen(lines=("ink is an LCM LoRA: 4 steps", "guidance 1")))
        told(WorkerRefused(worker="2", reason="it has no weights"))
    assert capsys.readouterr().err == (
        "promptlab: ink is an LCM LoRA: 4 steps; guidance 1\npromptlab: worker 2 is left out: it has no weights\n"
    )


def test_progress_in_a_terminal_is_taken_away(monkeypatch, capsys):
    """A bar of rich on standard error."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with ProgressBar() as bar:
        for event in EVENTS:
            bar(event)
    assert capsys.readouterr().out == ""


def test_watch_of_a_program_stands_in_place_of_the_bar(notebook):
    """Who shows progress in an own way is told the events."""
    heard = []
    with watching(heard.append) as told:
        told(EVENTS[0])
    assert (heard, notebook) == ([EVENTS[0]], [])


def test_error_in_a_notebook_is_one_line(monkeypatch):
    """IPython asks an error how it is shown; with PROMPTLAB_DEBUG it is the traceback."""
    monkeypatch.delenv("PROMPTLAB_DEBUG", raising=False)
    error = InputError("guidance_scale", "\x1b", problem="is odd", hint="guidance_scale=7.5")
    assert error._render_traceback_() == ["InputError: guidance_scale '\\x1b' is odd; type: guidance_scale=7.5"]
    monkeypatch.setenv("PROMPTLAB_DEBUG", "1")
    assert len(error._render_traceback_()) >= 1
    assert error._render_traceback_()[-1].startswith("promptlab.errors.InputError: ")
