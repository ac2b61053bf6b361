"""``promptlab effect`` as a person types it: a table, a plot, JSON and CSV, with and without a CLIP model."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from PIL import Image

from promptlab.models import bundled
from tests.engine.test_clip import tiny_clip  # noqa: F401 - a fixture

WORDS = "portrait photo of a {old|young} warrior chief"


@pytest.fixture(scope="session")
def mini():
    return bundled("mini")


def test_effect_prints_a_table_and_draws_a_plot(promptlab, workspace):
    """Each wording against the others, its interval, what it says; the plot is a picture."""
    promptlab("run", f"{WORDS}{{|, 8k}}", "--seeds", "0-5")
    said = promptlab("effect", "last")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "run 1: 4 wordings at 6 seeds"
    assert lines[2].split() == ["EFFECT", "IN", "WORDS", "WORDING"]
    assert [line.split()[0] for line in lines[3:7]] == ["0", "1", "2", "3"]
    assert sum(" and " in line for line in lines) == 6
    assert os.path.realpath(lines[-2].removeprefix("plot: ")) == str(workspace.effect(1))
    with Image.open(workspace.effect(1)) as plot:
        assert plot.width > 800


def test_effect_of_few_seeds_has_no_interval(promptlab):
    """Two seeds are enough for a figure and not for an interval; two wordings need no table of pairs."""
    promptlab("run", WORDS, "--seeds", "0-1")
    said = promptlab("effect", "1")
    assert "2 wordings at 2 seeds; four or more would say how sure it is" in said.out
    assert " to " not in said.out
    assert " and " not in said.out.replace("and promptlab", "")


def test_effect_clip_is_a_distance_and_a_score(promptlab, workspace, tiny_clip, monkeypatch):  # noqa: F811 - a fixture
    """Beside the pixels: another column, a score, other metrics."""
    promptlab("run", WORDS, "--seeds", "0-4")
    said = promptlab("effect", "1", "--clip-model", str(tiny_clip), "--score", "clip", "--device", "cpu")
    assert (said.code, said.err) == (0, "")
    assert "CLIP EFFECT" in said.out
    assert "CLIP SCORE" in said.out
    held = json.loads(workspace.effect(1).with_suffix(".json").read_text())["metrics"]
    assert set(held["0"]) >= {"effect", "effect_low", "clip_effect", "clip_effect_high", "clip_score"}
    monkeypatch.setenv("PROMPTLAB_CLIP_MODEL", str(tiny_clip))
    told = json.loads(promptlab("effect", "1", "--json").out)
    assert [one["kind"] for one in told["measured"]] == ["pixels", "clip"]
    assert (told["scores"], told["wordings"][1]["label"]) == ([], "young")
    assert set(told["wordings"][0]["says"]) == {"pixels", "clip"}


def test_effect_csv_is_one_line_a_figure(promptlab):
    """Long, so that a spreadsheet can sort it."""
    promptlab("run", f"{WORDS}{{|, 8k}}", "--seeds", "0-3")
    rows = list(csv.DictReader(io.StringIO(promptlab("effect", "1", "--csv").out)))
    assert [(row["wording"], row["other"]) for row in rows[:5]] == [(str(one), "") for one in range(4)] + [("0", "1")]
    assert len(rows) == 4 + 6
    assert float(rows[0]["low"]) <= float(rows[0]["effect"]) <= float(rows[0]["high"])
    assert rows[0]["prompt"] == "portrait photo of a old warrior chief"


def test_effect_of_a_sweep_answers_for_each_of_its_settings(promptlab, workspace):
    """Its tables, plots, JSON and CSV; and ``diff`` says how far two of its runs are apart."""
    axes = "--quantization none --quantization int8 --steps 2,3"
    promptlab("run", "a fox", "--seeds", "0-3", *axes.split())
    said = promptlab("effect", "last")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == (
        "sweep 1: 2 values of quantization at 4 seeds, the mean over 2 combinations of wording and other settings"
    )
    assert lines[2].split() == ["EFFECT", "PSNR", "IN", "WORDS", "QUANTIZATION"]
    assert [line.split()[-1] for line in lines[3:5]] == ["none", "int8"]
    assert "2 values of steps" in said.out
    for setting in ("quantization", "steps"):
        with Image.open(workspace.sweep_effect(1, setting)) as plot:
            assert plot.width > 800
    told = json.loads(promptlab("effect", "sweep:1", "--by", "quantization", "--json").out)
    (one,) = told["settings"]
    assert [each["value"] for each in one["values"]] == ["none", "int8"]
    assert f"{one['measured'][0]['pairs'][0]['psnr']:.1f} dB" in lines[3]
    rows = list(csv.DictReader(io.StringIO(promptlab("effect", "1", "--by", "steps", "--csv").out)))
    assert [(row["setting"], row["position"], row["value"]) for row in rows] == [
        ("steps", "0", "2"), ("steps", "1", "3"), ("steps", "0", ""),
    ]  # fmt: skip
    told = promptlab("diff", "1", "3").out
    assert "quantization: none → int8" in told
    assert " dB" in told


def test_effect_of_a_sweep_leaves_out_sizes_and_refuses_what_it_cannot_compare(promptlab):
    """What nobody asked for by name is left out in a line; what somebody did is refused in one."""
    axes = "--size 32x32 --size 64x64 --dtype float32 --dtype bfloat16"
    promptlab("run", "a fox", "--seeds", "0-1", *axes.split())
    said = promptlab("effect", "sweep:1")
    assert (said.code, said.err) == (0, "")
    assert "2 values of dtype at 2 seeds" in said.out
    assert "left out: sweep 1 has values of size whose pictures differ in size" in said.out
    wrong = {
        ("sweep:1", "--by", "size"): "sweep 1 has values of size whose pictures differ in size",
        ("last", "--by", "vae"): "--by 'vae' is unknown; allowed: dtype, size; type: promptlab effect",
        ("sweep:7",): "sweep 7 does not exist",
    }
    for words, sentence in wrong.items():
        refused = promptlab("effect", *words)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1), refused
        assert sentence in refused.err
    assert "dtype: float32 → bfloat16" in promptlab("diff", "1", "3").out


WRONG = {
    "no such run": (["9"], "run 9 does not exist"),
    "score": (["1", "--score", "blip"], "--score 'blip' is unknown"),
    "no model": (["1", "--score", "clip"], "--score 'clip' needs a CLIP model; type: --clip-model"),
    "json and csv": (["1", "--json", "--csv"], "--csv is said beside --json"),
    "no clip": (["1", "--clip-model", "nowhere"], "--clip-model 'nowhere' does not exist"),
    "one wording": (["2"], "run 2 has 1 wording"),
    "no sweep": (
        ["1", "--by", "steps"],
        "run 1 is no part of a sweep; allowed: a run of a sweep; type: promptlab rerun 1 --steps A --steps B",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_effect_wrong_input_is_one_line(case, promptlab, workspace):
    """Before anything is drawn."""
    promptlab("run", WORDS, "--seeds", "0-1")
    promptlab("run", "a fox", "--seeds", "0-1")
    words, sentence = WRONG[case]
    said = promptlab("effect", *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert sentence in said.err
    assert not workspace.effect(1).exists()
