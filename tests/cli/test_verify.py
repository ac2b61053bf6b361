"""``promptlab verify``: its lines, its exit codes, and what ``show`` says afterwards."""

import json

import numpy as np
import pytest

from promptlab.images.png import read_pixels, read_text, write_png


@pytest.fixture
def run(promptlab):
    """Two wordings at two seeds."""
    promptlab("run", "a {red|blue} fox", "--seeds", "0,1")


def off_by_one(workspace):
    """Every second picture in the notebook becomes another one, by one level in one pixel."""
    import sqlite3
    from contextlib import closing

    from promptlab.images.png import pixel_sha256

    path = workspace.root / "images" / "00001" / "v00-seed0.png"
    pixels = read_pixels(path)
    pixels[0, 0, 0] ^= 1
    write_png(path, pixels, read_text(path))
    with closing(sqlite3.connect(workspace.database)) as connection, connection:
        connection.execute("UPDATE promptlab_images SET pixel_sha256 = ? WHERE position = 0", (pixel_sha256(pixels),))


def test_verify_exact_is_one_line_and_exit_code_0(promptlab, run):
    """Nothing to look at where everything is as it was."""
    said = promptlab("verify", "last")
    assert (said.code, said.err) == (0, "")
    assert said.out == "run 1: 4 of 4 pictures exact\n4 pictures: 4 exact\n"
    shown = promptlab("show", "1").out
    assert "verified     4 exact of 4, last " in shown
    assert "VERIFIED" in shown
    assert "verified      exact, 2" in promptlab("show", "1/0").out


def test_verify_close_is_measured_and_exit_code_1_unless_allowed(promptlab, run, workspace):
    """The difference in pixels, levels and dB; that nothing recorded has changed; and --allow close accepts it."""
    off_by_one(workspace)
    said = promptlab("verify", "1")
    assert said.code == 1
    assert "run 1: 3 of 4 pictures exact\n" in said.out
    assert "  1/0  close: 1 pixel differs, by 1 of 255 at most, " in said.out
    assert ", PSNR " in said.out
    assert "nothing that is recorded of the environment has changed" in said.out
    assert said.out.endswith("4 pictures: 3 exact, 1 close\n")
    assert promptlab("verify", "1", "--allow", "close").code == 0
    assert "verified     3 exact, 1 close of 4" in promptlab("show", "1").out


def test_verify_json_has_every_number(promptlab, run, workspace):
    """As a list of verdicts."""
    off_by_one(workspace)
    first = json.loads(promptlab("verify", "1", "--json").out)[0]
    assert (first["ref"], first["run_id"], first["problem"]) == ("1/0", 1, None)
    assert (first["verification"]["outcome"], first["verification"]["differing_pixels"]) == ("close", 1)


def test_verify_what_cannot_be_made_again_is_said_and_exit_code_1(promptlab, run, workspace):
    """One picture is gone: the others are compared."""
    (workspace.root / "images" / "00001" / "v00-seed1.png").unlink()
    said = promptlab("verify", "--all")
    assert said.code == 1
    assert "  1/1  not made again: picture '" in said.out
    assert said.out.endswith("4 pictures: 3 exact, 1 not made again\n")


def test_verify_all_of_an_empty_workspace_is_nothing(promptlab, tmp_path):
    """Nothing was made yet, and nothing is written."""
    said = promptlab("verify", "--all", "--workspace", str(tmp_path / "new"))
    assert (said.code, said.out) == (0, "0 pictures: nothing was made yet\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "RUN is missing; allowed: a run, an image, a file, last, or --all; type: promptlab verify last"),
        (("1", "--allow", "clos"), "--allow 'clos' is unknown (did you mean close?); allowed: exact, close"),
        (("--all", "--sample", "0"), "--sample 0 is too small; allowed: 1 or more; type: --sample 20"),
        (("9",), "run 9 does not exist; allowed: 1 to 1; type: promptlab list"),
        (("sweep:4",), "sweep 4 does not exist; allowed: none yet"),
        (("nowhere.png",), "image 'nowhere.png' does not exist"),
    ],
)
def test_verify_wrong_input_is_one_line_and_exit_code_2(promptlab, run, words, sentence):
    """What, which value, what is allowed, what to type next."""
    said = promptlab("verify", *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert sentence in said.err


def test_verify_picture_of_another_program_is_refused(promptlab, run, tmp_path):
    """It does not say how it was made."""
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {"parameters": "a fox\nSteps: 1"})
    said = promptlab("verify", str(tmp_path / "a.png"))
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "was not made in this workspace" in said.err
