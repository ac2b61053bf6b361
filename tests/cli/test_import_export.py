"""``promptlab import``, ``export`` and ``run --like``, as they are typed."""

import json
import shutil

import numpy as np
import pytest

from promptlab.images.png import write_png

A1111 = (
    "a fox <lora:x:0.5>\nNegative prompt: blur\nSteps: 25, Sampler: Euler a, CFG scale: 7, Seed: 123, Size: 32x64, "
    "Model: dreamshaper_8, Version: v1.9.0"
)


@pytest.fixture
def theirs(tmp_path):
    """A picture of AUTOMATIC1111's."""
    path = tmp_path / "theirs.png"
    write_png(path, np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8), {"parameters": A1111})
    return str(path)


def test_import_foreign_picture_is_shown_and_gone_on_from(promptlab, theirs):
    """What could not be carried over is listed at once and stays with the run; the next command is there to copy."""
    said = promptlab("import", theirs)
    assert said.code == 0
    assert said.out.startswith("run 1: theirs.png, made by AUTOMATIC1111\n  not carried over: Sampler: Euler a (")
    assert "\nnext: promptlab rerun 1 --model MODEL --workspace " in said.out
    shown = promptlab("show", "1").out
    assert "taken in  theirs.png, made by AUTOMATIC1111" in shown
    assert "not carried over\n  Sampler: Euler a" in shown
    assert "lora            x:0.5" in shown
    assert "(unknown)" in shown
    assert promptlab("rerun", "1", "--model", "mini", "--append", ", snow").code == 0
    assert promptlab("import", theirs).out.startswith("run 1: is here already")


def test_import_lost_database_is_written_anew(promptlab, workspace, tmp_path):
    """From the folder of pictures, run by run."""
    promptlab("run", "a {red|blue} fox", "--seeds", "0,1")
    promptlab("rerun", "last", "--seed", "1", "--append", ", snow")
    shutil.copytree(workspace.root / "images", tmp_path / "new" / "images")
    said = promptlab("import", str(tmp_path / "new" / "images"), "--workspace", str(tmp_path / "new"))
    assert said.out == "run 1: 4 pictures taken in (promptlab)\nrun 2: 2 pictures taken in (promptlab)\n"
    assert promptlab("verify", "--all", "--workspace", str(tmp_path / "new")).code == 0


def test_import_json_has_the_runs(promptlab, theirs):
    """Each run, or file, with what came of it."""
    (taken,) = json.loads(promptlab("import", theirs, "--json").out)
    assert (taken["files"], taken["run"]["origin"]["program"]) == (1, "AUTOMATIC1111")


def test_run_like_starts_from_a_picture(promptlab, workspace):
    """Words, seed and setting are the picture's; options go over them; the same again is linked."""
    promptlab("run", "a fox", "--seeds", "3,4", "--steps", "9", "--negative", "blur")
    picture = str(workspace.root / "images" / "00001" / "v00-seed4.png")
    said = promptlab("run", "--like", picture)
    assert "run 2: 1 image (1 variant × 1 seed); 1 of them made before" in said.out
    said = promptlab("run", "--like", picture, "--seeds", "0-1", "--steps", "3", "an owl")
    assert said.code == 0
    shown = json.loads(promptlab("show", "3", "--json").out)["run"]["spec"]
    assert (shown["seeds"], shown["call"]["num_inference_steps"]) == ([0, 1], 3)
    assert [(each["prompt"], each["negative_prompt"]) for each in shown["variants"]] == [("an owl", "blur")]
    assert promptlab("run", "--like", picture, "--steps", "2", "--steps", "4").code == 0
    for run in ("3", "4", "5"):
        assert json.loads(promptlab("show", run, "--json").out)["run"]["parent_run_id"] == 1


def test_run_like_takes_a_foreign_picture_too(promptlab, theirs, tmp_path):
    """Its model is the one it names, or the one that is typed; where it names none, that is asked for."""
    said = promptlab("run", "--like", theirs, "--model", "mini", "--dry-run")
    assert (said.code, "model           mini" in said.out) == (0, True)
    nameless = tmp_path / "nameless.png"
    write_png(nameless, np.zeros((8, 8, 3), np.uint8), {"parameters": A1111.replace("Model: dreamshaper_8, ", "")})
    said = promptlab("run", "--like", str(nameless))
    assert (said.code, "--model is missing: nameless.png does not say which it was" in said.err) == (2, True)


def test_run_like_lists_what_import_lists(promptlab, theirs):
    """The same losses in the same words, before anything is made."""
    taken = [line for line in promptlab("import", theirs).out.splitlines() if "not carried over" in line]
    said = promptlab("run", "--like", theirs, "--model", "mini", "--dry-run").err.splitlines()
    assert len(taken) > 1
    assert said == ["like theirs.png, made by AUTOMATIC1111", *taken]


def test_show_file_of_elsewhere_says_what_it_says(promptlab, workspace, theirs, tmp_path):
    """Of another workspace or another program: what it was made from, and how to take it in; here it is a picture."""
    promptlab("run", "a fox", "--seeds", "3,4", "--steps", "9")
    picture = workspace.root / "images" / "00001" / "v00-seed4.png"
    away = ("--workspace", str(tmp_path / "away"))
    said = promptlab("show", str(picture), *away)
    assert (said.code, f"{picture} was made in another workspace, and says:\n" in said.out) == (0, True)
    assert "prompt      a fox" in said.out
    assert said.out.endswith(f"next: promptlab import {picture}\n")
    assert "run 1" in promptlab("show", str(picture.with_name("grid.png")), *away).out
    assert promptlab("show", str(picture)).out.startswith("image 1/1 ")
    told = promptlab("show", theirs, *away).out
    assert told.startswith(f"{theirs}, made by AUTOMATIC1111\n  not carried over: ")
    assert 'text: "a fox"' in told
    assert json.loads(promptlab("show", theirs, "--json", *away).out)["says"]["program"] == "AUTOMATIC1111"
    assert not (tmp_path / "away").exists()


def test_show_overview_of_elsewhere_says_its_runs(promptlab, workspace, tmp_path):
    """A sweep of another workspace is named with its axes and runs; in its own it is shown as ever."""
    promptlab("run", "a fox", "--seeds", "0", "--steps", "5", "--steps", "9")
    overview = str(workspace.sweep_grid(1, 1))
    said = promptlab("show", overview, "--workspace", str(tmp_path / "away"))
    assert said.out.startswith(
        f"{overview} is the overview of a sweep of another workspace, and says:\nsweep 1: 2 runs"
    )
    assert "STEPS" in said.out
    assert said.out.endswith(f"next: promptlab import {overview}\n")
    assert promptlab("show", overview).out.startswith("sweep 1: 2 runs, 2 images")
    assert not (tmp_path / "away").exists()


def test_export_says_where_it_went(promptlab, tmp_path, monkeypatch):
    """A folder for a run; the format of a picture is the one that its name ends in."""
    monkeypatch.chdir(tmp_path)
    promptlab("run", "a fox", "--seeds", "0,1")
    assert promptlab("export", "last").out == "2 pictures: run-00001\n"
    assert promptlab("export", "1/1", "--to", "a.jpeg").out == "1 picture: a.jpeg\n"
    assert (tmp_path / "a.jpeg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert promptlab("export", "1", "--to", "a.zip", "--format", "webp").out == "2 pictures: a.zip\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("import",), "FILE is missing; allowed: pictures, or folders of them; type: promptlab import picture.png"),
        (("import", "nowhere.png"), "picture 'nowhere.png' does not exist; type: promptlab import FILE or FOLDER"),
        (("import", __file__), "is not a PNG, JPEG or WebP; allowed: pictures that say how they were made"),
        (("export", "1"), "run 1 does not exist; allowed: none yet"),
        (("export", "1", "--format", "gif"), "--format 'gif' is unknown; allowed: png, jpeg, webp"),
        (("run", "--like", "nowhere.png"), "picture 'nowhere.png' does not exist"),
        (("run", "--like", __file__), "is not a PNG, JPEG or WebP"),
        (("run", "--like", "a.png", "-f", "b.yaml"), "--like 'a.png' is said beside --file; allowed: one of the two"),
    ],
)
def test_import_and_export_wrong_input_is_one_line_and_exit_code_2(promptlab, words, sentence):
    """What, which value, what is allowed, what to type next."""
    said = promptlab(*words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert sentence in said.err
