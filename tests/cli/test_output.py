"""What strangers wrote is shown, and never obeyed by a terminal or computed by a spreadsheet."""

import csv
import io
import json
import re

import numpy as np
import pytest

from promptlab.cli.commands import COMMANDS as LISTED
from promptlab.cli.output import echo, styled, visible
from promptlab.cli.render.layout import shown_width
from promptlab.images.png import write_png
from tests.cli.test_inline_pictures import in_terminal

HOSTILE = "\x1b]52;c;eA==\x07 \x1b]0;mine\x07 \x1b[2J\x1b[31m \x08\r \x7f \x9b1m \x9d0;c\x9c \u202eevil\u202c \u2066x"
"""Sets the clipboard and the title, clears the screen, colours, goes back, and turns the line around."""

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def hostile(promptlab, workspace, tmp_path):
    """Such words in prompts, a note, names and a picture of another program's; and a formula."""
    promptlab("run", f"a fox {HOSTILE}", "=cmd|' /C calc'!A0", "--seeds", "0-1", "--negative", HOSTILE,
              "--note", HOSTILE, "--name", HOSTILE)  # fmt: skip
    promptlab("rerun", "1", "--append", f", snow {HOSTILE}", "--name", f"+{HOSTILE}")
    (workspace.root / "styles.csv").write_text(f'name,prompt\n"{HOSTILE}","{HOSTILE}"\n', encoding="utf-8")
    path = tmp_path / "their \x1b]0;mine\x07.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    write_png(path, pixels, {"parameters": f"owl {HOSTILE}\nSteps: 5, Sampler: {HOSTILE}, Seed: 1, Size: 32x64"})
    assert not OBEYED.search((said := promptlab("import", str(path))).out + said.err)
    return promptlab


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[2J", "a\\x1b[2J"), ("\r\n\t", "\\x0d\n\t"), ("\x9b\x7f", "\\u009b\\u007f"), ("\u202e", "\\u202e"),
     ("전사 é 🦊 \u200f\\x1b", "전사 é 🦊 \u200f\\x1b")],
)  # fmt: skip
def test_visible_shows_what_a_terminal_obeys(text, shown):
    """Line ends, tabs and the letters of every script stay; shown again it stays the same."""
    assert visible(text) == visible(shown) == shown
    assert shown_width("\x1b\u202e") == len("\\x1b\\u202e")


def test_visible_json_says_the_same():
    """JSON is escaped as JSON."""
    words = [HOSTILE, "\\\x9b", '"\x7f']
    assert json.loads(visible(json.dumps(words, ensure_ascii=False))) == words


def test_echo_writes_our_styles_and_shows_theirs(monkeypatch, capsys):
    """Styles are told apart from words that look like them, inside and outside of one another."""
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    echo(styled("bold \x1b[31m", bold=True) + "\x1b[1m")
    assert capsys.readouterr().out == "\x1b[1mbold \\x1b[31m\x1b[0m\\x1b[1m\n"


COMMANDS = ("config", "list", "show 1", "show 1/0", "show 2", "show 3", "search fox", "search evil", "plan",
            "diff 1 2", "tree", "tree 2/0", "best --by variant", "best --by word", "compare 1 --pairs 0",
            "doctor", "effect 1", "verify 1", "resume", "sync --all", "rerun 1 --dry-run", "rate 1/0 3",
            "favourite 1/0", "db current", "db backup", "models", "schedulers", "export 1 --to exported",
            "probe --batch-size 1")  # fmt: skip
ELSEWHERE = {
    "run": "what is kept is typed by the fixture", "import": "likewise", "ui": "goes on until it is stopped",
    "server": "likewise; its status holds no words", "open": "opens a window", "completion": "prints click's script",
    "schema": "prints what depends on no words", "score": "loads a model of others",
}  # fmt: skip
TABLES = ("list", "search evil", "show 1", "show 2/0", "show 3", "best --by variant", "effect 1")


@pytest.mark.mlflow
def test_commands_show_hostile_words_and_obey_none(hostile, tmp_path, monkeypatch):
    """No command that prints what was recorded writes a byte that a terminal obeys; the words are there to be read."""
    monkeypatch.chdir(tmp_path)  # where an export goes
    hostile("rate", "1/0", "5")
    hostile("rate", "1/2", "1")
    for typed in (*COMMANDS, *(f"{table} --csv" for table in TABLES), *(f"{table} --json" for table in TABLES)):
        words = [*typed.split(), *([HOSTILE] if typed == "plan" else [])]
        said = hostile(*words)
        assert OBEYED.findall(said.out + said.err) == [], typed
        assert said.code in (0, 1), typed
        if typed.split()[0] in ("config", "show", "search", "plan"):
            assert "\\u202eevil" in said.out, typed


def test_every_command_is_among_those_that_hostile_words_are_shown_to():
    """A new command is walked over as well, or has its reason."""
    assert {typed.split()[0] for typed in COMMANDS} | ELSEWHERE.keys() == set(LISTED)


REFUSED = (
    [HOSTILE], ["show", HOSTILE], ["tree", HOSTILE], ["list", "--experiment", HOSTILE], ["list", "--limit", HOSTILE],
    ["list", f"--{HOSTILE}"], ["search", f"none{HOSTILE}"], ["run", "a", "--scheduler", HOSTILE],
    ["run", "a", "--seeds", HOSTILE], ["run", "a", "--set", HOSTILE], ["run", f"{{{HOSTILE}"], ["import", HOSTILE],
    ["ui", "--experiment", HOSTILE], ["best", "--by", HOSTILE],
)  # fmt: skip


def test_errors_show_hostile_words_and_obey_none(hostile):
    """Whatever is refused, unknown or not found is named in a sentence that nothing obeys."""
    for words in REFUSED:
        said = hostile(*words)
        assert OBEYED.findall(said.out + said.err) == [], words
        assert said.out + said.err


def test_json_says_hostile_words_as_they_are_kept(hostile, lab):
    """Only what is shown is escaped: records and what programs read of them are the words themselves."""
    told = json.loads(hostile("show", "1", "--json").out)
    assert told["run"]["note"] == lab.notebook.run(1).note
    assert told["run"]["spec"]["variants"][0]["negative_prompt"] == HOSTILE


def test_csv_and_export_hold_no_formula(hostile, tmp_path):
    """A prompt that a spreadsheet would compute is a text to it."""
    for words in (["show", "1", "--csv"], ["search", "cmd", "--csv"]):
        rows = csv.DictReader(io.StringIO(hostile(*words).out))
        assert "'=cmd|' /C calc'!A0" in {row["prompt"] for row in rows}
    assert hostile("export", "1", "--to", str(tmp_path / "out")).code == 0
    (*_, last) = csv.DictReader(io.StringIO((tmp_path / "out" / "images.csv").read_text(), newline=""))
    assert last["prompt"] == "'=cmd|' /C calc'!A0"


def test_csv_raw_holds_words_as_they_are_kept(hostile, tmp_path):
    """For programs; a terminal still obeys nothing of it."""
    for words in (["show", "1"], ["search", "cmd"]):
        said = hostile(*words, "--csv-raw")
        assert "=cmd|' /C calc'!A0" in {row["prompt"] for row in csv.DictReader(io.StringIO(said.out))}
        assert OBEYED.findall(said.out) == []
    assert hostile("export", "1", "--to", str(tmp_path / "out"), "--csv-raw").code == 0
    (*_, last) = csv.DictReader(io.StringIO((tmp_path / "out" / "images.csv").read_text(), newline=""))
    assert last["prompt"] == "=cmd|' /C calc'!A0"
    assert hostile("list", "--csv-raw", "--json").code == 2


def test_terminal_shows_our_colours_and_no_others(hostile, workspace):
    """In a terminal that shows colours, the sequences in a tree and among hits are ours alone."""
    for words in (["search", "evil", "m"], ["diff", "1", "2"], ["tree"]):
        said = in_terminal("-m", "promptlab", *words, PROMPTLAB_WORKSPACE=str(workspace.root))
        plain = re.sub(r"\x1b\[(0|1|2|9|31|32)m", "", said.replace("\r\n", "\n"))
        assert plain != said
        assert OBEYED.findall(plain) == []
        assert "\\u202e" in plain or "\\x1b" in plain


SHOW_PROGRESS = (
    "import sys; from promptlab.cli.progress import ProgressDisplay; from promptlab.lab.execution.events import *; "
    "from promptlab.engine import ModelLoading\n"
    "with ProgressDisplay() as show:\n"
    "    show(ModelLoading(what=sys.argv[1])); show._bars.refresh(); show(Progress(what=sys.argv[1], count=1, of=2)); "
    "show._bars.refresh(); show._say(sys.argv[1]); show(TrackingFailed(run_id=1, reason=sys.argv[1]))"
)


def test_progress_shows_hostile_words_and_obeys_none():
    """Bars and notes on standard error: neither the terminal nor rich's markup reads them."""
    said = in_terminal("-c", SHOW_PROGRESS, "\x1b]0;mine\x07 [bold]x[/] [/nothing] :fox: \x9b \u202e", columns=200)
    assert not re.search("\x1b\\]0|\x07|\x9b|\u202e", said)
    shown = "\\x1b]0;mine\\x07 [bold]x[/] [/nothing] :fox: \\u009b \\u202e"
    assert re.sub(r"\x1b\[[\d;?]*\w", "", said).count(shown) >= 4


@pytest.mark.parametrize("words", [("show",), ("rerun",), ("import",), ("run", "--like"), ("run", "-f"), ("diff", "1")])
def test_command_with_a_name_too_long_for_a_file_says_so_in_one_line(promptlab, words):
    """No file system has such names; that is no error of ours."""
    said = promptlab(*words, f"{'x' * 300}.png")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "unexpected" not in said.err
