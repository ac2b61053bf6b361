"""``tree`` and ``diff`` as a person types them."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from promptlab.cli.render.layout import shown_width
from promptlab.cli.render.word_diff import Terminal, changed_words
from promptlab.images.png import read_pixels

CHIEF = "portrait photo of a old warrior chief"


@pytest.fixture
def story(begin_with, promptlab, monkeypatch):
    """The three lines of the story, in a terminal of 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    begin_with(
        ("run", CHIEF, "--seeds", "0-7", "--scheduler", "dpmsolver++", "--steps", "20", "--dtype", "float16"),
        ("rerun", "last", "--append", ", blue on red, side profile, looking away, serious eyes"),
        ("rerun", "last", "--seed", "1", "--steps", "25", "--replace", "a old=>{the oldest|a old|a|a young}"),
    )
    return promptlab


def without_seconds(text):
    """Lines up to the seconds, which no test knows."""
    return [line.partition(" s/image")[0].rpartition(" · ")[0] if " s/image" in line else line
            for line in text.splitlines()]  # fmt: skip


def test_tree_of_the_story_is_drawn(story):
    """Runs with box lines between them, words as they changed, each of four ages on its own line."""
    said = story("tree")
    assert (said.code, said.err) == (0, "")
    assert without_seconds(said.out) == [
        "promptlab",
        "1 · 8 images (seeds 0-7) · mini · DPMSolverMultistep · 20 steps · float16",
        f"│  {CHIEF}",
        "└─ 2 · rerun of 1 · 8 images (seeds 0-7)",
        f"   │  prompt: {CHIEF}{{+, blue on red, side profile, looking away,",
        "   │          serious eyes+}",
        "   └─ 3 · rerun of 2/1 · 4 images (4 prompts × seed 1)",
        "         steps: 20 → 25 · seeds: 0-7 → 1",
        "         prompts: a old => the oldest | a old | a | a young",
        "           the oldest: portrait photo of [-a old-] {+the oldest+} warrior chief, blue on red …",
        "           a old:      as it was",
        "           a:          portrait photo of a [-old-] warrior chief, blue on red …",
        "           a young:    portrait photo of a [-old-] {+young+} warrior chief, blue on red …",
    ]


def test_tree_of_a_run_marks_it_and_of_an_image_says_its_ancestors(story):
    """``tree 2`` marks the run; ``tree 3/2`` begins with the image's ancestors."""
    assert next(line for line in story("tree", "2").out.splitlines() if line.endswith("◀")).startswith("└─ 2 · ")
    head = ["image 3/2 (seed 1, a)", "  varied from 2/1", "  varied from 1/1", ""]
    assert story("tree", "3/2").out.splitlines()[:4] == head


def test_tree_sweep_is_one_line_until_all_is_asked_for(story):
    """Six runs are one entry; ``--all`` lists them; a rerun of one of them is under it, the others are counted."""
    story("run", "a fox", "--scheduler", "euler", "--scheduler", "unipc", "--steps", "5-7")
    lines = story("tree").out.splitlines()
    assert lines[-2:] == ["sweep 1 · scheduler × steps · 6 runs (4-9) · 1 image (seed 0) each", "   a fox"]
    assert "├─ 4 · scheduler euler · steps 5 · 1 image (seed 0)" in without_seconds(story("tree", "--all").out)
    story("rerun", "5", "--append", ", snow")
    out = story("tree", "sweep:1").out
    assert "│        prompt: a fox{+, snow+}" in out
    assert "└─ … and 5 more: promptlab show sweep:1" in out


def test_tree_many_changed_alike_are_said_once(story):
    """Words that were added to every prompt stand in one line; what was left out is named."""
    story("rerun", "3", "--append", ", rim light")
    assert "all 4 prompts: " in story("tree").out
    assert "{+, rim light+}" in story("tree").out
    story("rerun", "3/2")
    assert "left out: the oldest, a old, a young" in story("tree").out


def test_tree_negative_and_new_prompts_are_shown(story):
    """A negative prompt that came, and prompts that have nothing to do with the old ones."""
    story("rerun", "3", "--negative", "blurry, beard", "--prompt", "a fox", "--prompt", "a wolf", "--name", "beasts")
    out = story("tree").out
    assert "4 · beasts · rerun of 3 · 2 images (2 prompts × seed 1)" in out
    assert "negative: {+blurry, beard+}" in out


def test_tree_limit_says_what_it_left_out(story):
    """The newest stay; the line says how to see all."""
    out = story("tree", "--limit", "1").out
    assert out.startswith("… 2 older runs and sweeps: promptlab tree --limit 0")
    assert "\n3 · rerun of 2/1 · " in out


def test_tree_of_experiments_are_apart(story):
    """All of them, the newest last; one by its name; a rerun from another one says from which."""
    story("rerun", "1", "--steps", "30", "--experiment", "masks")
    out = story("tree").out
    assert out.index("promptlab\n") < out.index("\nmasks\n")
    assert "\n4 · rerun of 1 in promptlab · " in out
    assert story("tree", "masks").out.splitlines()[0] == "masks"
    assert "├─ 2 · " in story("tree", "4").out
    assert "└─ 4 · rerun of 1, in masks · " in story("tree", "4").out


def test_tree_no_line_is_wider_than_the_terminal(story, monkeypatch):
    """Long prompts are wrapped beside the tree's lines; wide characters count twice."""
    story("rerun", "2", "--prompt", "红色的狐狸在雪地里奔跑看着远方的山和海还有天空中的云彩" * 3, "--name", "雪" * 30)
    story("rerun", "last", "--prompt", "x" * 300, "--prompt", "狐" * 200)
    for columns in (40, 72, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        for words in (["tree"], ["diff", "2", "last", "--no-picture"]):
            lines = story(*words).out.splitlines()
            wrapped = [line for line in lines if "SEED" not in line and "/" not in line]
            assert [line for line in wrapped if shown_width(line) > columns] == []


def test_tree_that_is_deep_goes_on_below(story, monkeypatch):
    """Where there is no room to go deeper, the rest begins again at the margin, and every run is there once."""
    for number in range(4, 7):
        story("rerun", "last", "--append", f" {number}")
    monkeypatch.setenv("COLUMNS", "40")
    lines = story("tree", "last").out.splitlines()
    assert "┄ 4, continued" in lines
    titles = [line for line in lines if " · rerun of " in f"{line} "]
    assert [int(line.lstrip("│└├─ ").split(" ")[0]) for line in titles] == list(range(2, 7))
    assert any("◀" in line for line in lines)


def test_diff_colours_are_for_terminals_that_want_them(story, workspace):
    """Red and struck through, green: on a terminal without NO_COLOR, and nowhere else."""

    def shown(**environment):
        ours, theirs = pty.openpty()
        given = {
            **os.environ,
            "TERM": "xterm",
            "COLUMNS": "100",
            "PROMPTLAB_WORKSPACE": str(workspace.root),
        } | environment
        typed = [sys.executable, "-m", "promptlab", "tree"]
        with subprocess.Popen(typed, stdout=theirs, env={k: v for k, v in given.items() if v}) as process:
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 65536):
                    text += part
            except OSError:  # the other end is closed
                pass
        os.close(ours)
        assert process.returncode == 0
        return text.decode()

    coloured = shown(NO_COLOR="")
    assert "\x1b[31m\x1b[9mold\x1b[0m \x1b[32myoung\x1b[0m" in coloured
    assert "[-old-]" not in coloured
    assert "[-old-] {+young+}" in shown(NO_COLOR="1")
    assert "\x1b" not in story("tree").out


def test_tree_json_is_flat(story):
    """Flat: runs with their changes, the words that went and came, and their children."""
    told = json.loads(story("tree", "3/2", "--json").out)
    assert told["experiments"] == [{"name": "promptlab", "roots": [{"run": 1}]}]
    assert (told["marked"], [one["run_id"] for one in told["image"]]) == ({"run": 3}, [3, 2, 1])
    runs = {run["id"]: run for run in told["runs"]}
    assert runs[1]["children"] == [{"run": 2}]
    assert runs[3]["parent_image"] == [2, 1]
    assert [piece["text"] for piece in runs[3]["words"][3]["prompt"] if piece["kind"] == "added"] == [" young"]


def test_diff_says_fields_words_and_pixels(story, workspace):
    """Settings, words, a line for each pair of pictures, and where the picture is."""
    said = story("diff", "2", "3")
    assert (said.code, said.err) == (0, "")
    for words in (
        "run 2 → run 3", "  steps: 20 → 25", "  seeds: 0-7 → 1", "[-a old-] {+the oldest+}",
        "VARIANT     SEED  BEFORE  AFTER", "a young        1  2/1     3/3", "diff-00002-00003.png",
    ):  # fmt: skip
        assert words in said.out
    assert read_pixels(workspace.comparison((2, None), (3, None))).shape[2] == 3


def test_diff_without_a_picture_or_common_seeds_says_so(story, workspace):
    """Nothing is drawn when it is not wanted, or when no seed is on both sides; both is said."""
    assert "side by side: " not in story("diff", "1", "2", "--no-picture").out
    story("rerun", "1", "--seeds", "100-102")
    out = story("diff", "1", "4").out
    assert "no seed in common (0-7 and 100-102): no pictures to put side by side" in out
    assert not list((workspace.root / "images").glob("diff-*"))


def test_diff_of_equal_runs_says_so(story):
    """A run against itself, and an image against itself."""
    out = story("diff", "1", "1").out
    assert "same setting, same words, same environment" in out
    assert out.count("identical") == 8
    assert story("diff", "3/0", "3/0", "--no-picture").out.count("identical") == 1


def test_diff_environment_is_compared_fact_by_fact(story, workspace):
    """A fact that is not what it was is named with both values."""
    story("rerun", "1", "--steps", "9")
    with closing(sqlite3.connect(workspace.database)) as connection:
        row = connection.execute("SELECT facts FROM promptlab_environments").fetchone()
        facts = json.dumps({**json.loads(row[0]), "torch": "9.9"})
        insert = "INSERT INTO promptlab_environments SELECT 99, 'x', created_at, ? FROM promptlab_environments"
        connection.execute(insert, (facts,))
        connection.execute("UPDATE promptlab_runs SET environment_id = 99 WHERE id = 4")
        connection.commit()
    out = story("diff", "1", "4", "--no-picture").out
    assert "\nenvironment\n  torch: " in out
    assert " → 9.9\n" in out


def test_diff_json_has_words_and_pixels(story):
    """Every number, for every pair; the words as pieces."""
    told = json.loads(story("diff", "1", "2", "--json").out)
    assert [one["before"] for one in told["pictures"]] == [f"1/{place}" for place in range(8)]
    assert told["pictures"][0]["difference"]["pixels"] == 1024
    assert told["words"][0]["prompt"][-1]["kind"] == "added"
    assert told["picture"].endswith("diff-00001-00002.png")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tree", "9"], "run 9 does not exist; allowed: 1 to 3; type: promptlab list"),
        (["tree", "promptlib"], "experiment 'promptlib' does not exist (did you mean promptlab?); allowed: promptlab"),
        (["tree", "--limit", "-1"], "--limit -1 is too small; allowed: 0 (for all) or more; type: --limit 40"),
        (["diff", "1", "9"], "run 9 does not exist"),
        (["diff", "1", "never"], "names no run and no image"),
    ],
)
def test_tree_and_diff_wrong_input_is_one_line(words, sentence, story):
    """What, which value, what is there, what to type; exit code 2."""
    said = story(*words)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert sentence in said.err


def test_tree_of_an_empty_workspace_says_what_to_type(promptlab, tmp_path):
    """There is no tree yet, which is no error."""
    said = promptlab("tree", "--workspace", str(tmp_path / "new"))
    assert (said.code, said.out.startswith("no runs yet; type: promptlab run")) == (0, True)


def test_tree_imported_run_says_where_it_came_from(story, workspace):
    """The program and the file stand in its title."""
    with closing(sqlite3.connect(workspace.database)) as connection:
        origin = json.dumps({"program": "ComfyUI", "file": "old/fox.png", "lost": []})
        connection.execute("UPDATE promptlab_runs SET origin = ? WHERE id = 1", (origin,))
        connection.commit()
    assert "\n1 · imported from ComfyUI (fox.png) · 8 images" in story("tree").out


def test_word_diff_wraps_between_words_and_long_ones_inside():
    """Marks stay with their words; a word longer than a line is broken; nothing is lost."""
    lines = changed_words("a b", "a " + "x" * 90 + " c", Terminal(width=40), title="prompt: ")
    assert all(len(line) <= 40 for line in lines)
    assert "".join(line.strip() for line in lines).count("x") == 90
    assert changed_words("", "b, c", Terminal(width=40)) == ["{+b, c+}"]
    assert changed_words("a old fox", "the fox", Terminal(width=60)) == ["[-a old-] {+the+} fox"]
    assert changed_words("狐狸跑", "狼跑", Terminal(width=60)) == ["[-狐狸-] {+狼+}跑"]
