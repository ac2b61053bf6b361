"""Files, axes and plans as a person types them: nothing is made twice, and nothing is written to say what would be."""

import io
import json
import sys

import pytest

from promptlab.models import bundled_models

CHIEF = "portrait photo of a old warrior chief"
WARRIOR = """\
experiment: warrior
name: two by two
note: which scheduler?
prompts: portrait photo of __age__ warrior chief
lists:
  age: [a old, a young]
seeds: 0-3
guidance: 5
axes:
  scheduler: [euler, unipc]
  steps: [5, 10]
"""


@pytest.fixture
def warrior(tmp_path):
    file = tmp_path / "warrior.yaml"
    file.write_text(WARRIOR, encoding="utf-8")
    return file


def shown(promptlab, ref):
    return json.loads(promptlab("show", str(ref), "--json").out)


def new_images(promptlab, ref="last"):
    """How many images of a run were made for it, and how many it has."""
    images = shown(promptlab, ref)["run"]["images"]
    return sum(image["linked"] is None for image in images), len(images)


def runs(promptlab):
    return [run["id"] for run in json.loads(promptlab("list", "--json", "--limit", "0").out)]


def test_run_file_is_a_sweep(promptlab, workspace, warrior):
    """One run a combination, remembered as the file says; a short line each, and where the overview is."""
    said = promptlab("run", "-f", str(warrior))
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "sweep 1: 4 runs, 32 images (scheduler × steps)"
    assert lines[1].split() == ["RUN", "SCHEDULER", "STEPS", "IMAGES", "S/IMAGE"]
    assert [line.split()[:4] for line in lines[2:6]] == [
        ["1", "euler", "5", "8/8"], ["2", "euler", "10", "8/8"],
        ["3", "unipc", "5", "8/8"], ["4", "unipc", "10", "8/8"],
    ]  # fmt: skip
    assert lines[6].startswith("overview: ")
    assert lines[6].endswith("images/sweep-00001/grid-1.png") or "sweep-00001" in lines[6]
    assert workspace.sweep_grid(1, 1).is_file()
    assert lines[7].startswith("report: ")
    assert lines[8].startswith("next: promptlab open sweep:1 --report")
    run = shown(promptlab, 2)["run"]
    assert (run["experiment"], run["name"], run["note"]) == ("warrior", "two by two", "which scheduler?")
    assert (run["spec"]["call"]["num_inference_steps"], run["spec"]["call"]["guidance_scale"]) == (10, 5)
    assert run["sweep_values"] == [["scheduler", "euler"], ["steps", "10"]]
    assert "sweep        1 · scheduler euler · steps 10" in promptlab("show", "2").out


def test_show_sweep_lists_its_runs(promptlab, warrior):
    """``show sweep:1`` says all of its runs again, as text or JSON."""
    promptlab("run", "-f", str(warrior))
    said = promptlab("show", "sweep:1")
    assert said.out.splitlines()[0] == "sweep 1: 4 runs, 32 images (scheduler × steps)"
    assert [run["run_id"] for run in shown(promptlab, "sweep:1")["sweep"]["runs"]] == [1, 2, 3, 4]


def test_run_options_override_the_file(promptlab, warrior):
    """An option takes the place of the file's value or axis; PROMPTs that of its prompts."""
    words = ("--steps", "7", "--guidance", "3", "--experiment", "other", "--seeds", "5", "a fox", "a dog")
    assert promptlab("run", "-f", str(warrior), *words).code == 0
    assert runs(promptlab) == [2, 1]
    run = shown(promptlab, 1)["run"]
    assert run["experiment"] == "other"
    assert (run["spec"]["call"]["num_inference_steps"], run["spec"]["call"]["guidance_scale"]) == (7, 3)
    assert [variant["prompt"] for variant in run["spec"]["variants"]] == ["a fox", "a dog"]
    assert run["spec"]["seeds"] == [5]
    assert [name for name, _ in run["sweep_values"]] == ["scheduler"]
    assert promptlab("run", "-f", str(warrior), "--steps", "7", "--scheduler", "ddim").out.startswith("run 3: 8 images")


def test_run_file_from_standard_input_is_read(promptlab, monkeypatch):
    """``-f -`` reads the file from there; what is wrong in it is said with its place."""
    for text, code in (("prompts: a fox\nseeds: 0-1\n", 0), ("prompts: a fox\nstps: 3\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        said = promptlab("run", "-f", "-")
        assert said.code == code
    assert "standard input, line 2, column 1" in said.err
    assert runs(promptlab) == [1]


WRONG_FILES = {
    "unknown key": (
        "prompts: a fox\n  \nsceduler: euler\n",
        ["line 3, column 1", "sceduler", "did you mean scheduler?"],
    ),
    "unknown axis": ("prompts: a\naxes:\n  stps: [1, 2]\n", ["line 3, column 3", "stps", "did you mean steps?"]),
    "bad YAML": ("prompts: [a, b\nseeds: 1\n", ["line 2"]),
    "no prompt": ("seeds: 0-3\n", ["names no prompt", "or PROMPT in the command"]),
    "empty": ("", ["says nothing"]),
    "steps": ("prompts: a\nsteps: many\n", ["line 2, column 8: steps", "'many' is not a whole number"]),
    "scheduler": ("prompts: a\naxes:\n  scheduler: [eulre]\n", ["line 3", "did you mean euler?"]),
    "template": ("prompts: a {b|c\n", ["line 1", "opens a brace that is never closed"]),
    "exclude": ("prompts: a\nexclude:\n - {steps: 3}\n", ["line 3", "exclude.steps"]),
}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("case", WRONG_FILES)
def test_run_wrong_file_is_one_line_with_its_place(case, command, promptlab, workspace, tmp_path):
    """File, line, column, what is allowed; exit code 2; and nothing is written."""
    text, sentences = WRONG_FILES[case]
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    said = promptlab(command, "-f", str(file))
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert [sentence for sentence in ["wrong.yaml", *sentences] if sentence not in said.err] == []
    assert runs(promptlab) == []
    assert not (workspace.root / "images").exists()


def test_run_option_given_several_times_is_an_axis(promptlab):
    """Two schedulers and two dtypes are four runs; a range is an axis, too; so is a call argument."""
    words = ("--scheduler", "euler", "--scheduler", "unipc", "--dtype", "float32", "--dtype", "bfloat16")
    said = promptlab("run", CHIEF, *words)
    assert said.out.splitlines()[0] == "sweep 1: 4 runs, 4 images (scheduler × dtype)"
    said = promptlab("run", CHIEF, "--steps", "5-15 (+5)", "--set", "eta=0", "--set", "eta=0.5", "--set", "clip_skip=1")
    assert said.out.splitlines()[0] == "sweep 2: 6 runs, 6 images (steps × arguments.eta)"
    spec = shown(promptlab, "last")["run"]["spec"]
    assert (spec["call"]["num_inference_steps"], spec["call"]["arguments"]) == (15, {"eta": 0.5})
    assert spec["call"]["clip_skip"] == 1


def test_run_seeds_given_several_times_are_columns(promptlab):
    """They are joined: one grid, and no sweep; in a rerun, too."""
    assert "(1 variant × 4 seeds)" in promptlab("run", CHIEF, "--seed", "1", "--seed", "5", "--seeds", "7-8").out
    assert "(1 variant × 2 seeds)" in promptlab("rerun", "last", "--seed", "5", "--seed", "8", "--steps", "9").out


def test_run_words_are_sampled_switched_and_put_in_order(promptlab):
    """``--sample`` draws, ``--fragment`` is on and off, ``--order`` permutes, ``--replace`` replaces."""

    def prompts(*words):
        assert promptlab("run", *words).code == 0
        return [variant["prompt"] for variant in shown(promptlab, "last")["run"]["spec"]["variants"]]

    template = "a {red|blue|green|grey} {fox|dog}"
    drawn = prompts(template, "--sample", "3", "--template-seed", "7")
    assert len(drawn) == 3
    assert prompts(template, "--sample", "3", "--template-seed", "7", "--steps", "3") == drawn
    assert prompts(template, "--sample", "3", "--template-seed", "8") != drawn
    assert prompts("a fox", "--fragment", "snow", "--fragment", "dusk") == [
        "a fox", "a fox, dusk", "a fox, snow", "a fox, snow, dusk"
    ]  # fmt: skip
    assert prompts("a fox, snow", "--order", ",") == ["a fox, snow", "snow, a fox"]
    assert prompts("a fox, snow, dusk", "--order", "snow", "--order", "dusk") == [
        "a fox, snow, dusk", "a fox, dusk, snow"
    ]  # fmt: skip
    assert prompts("a fox", "--replace", "fox=>{fox|dog}") == ["a fox", "a dog"]


def test_plan_says_all_and_writes_nothing(promptlab, workspace, warrior):
    """``plan`` and ``run --dry-run`` say the same: runs, images, batches, loads, order, time, disk, settings."""
    said = promptlab("plan", "-f", str(warrior), "--dtype", "float32", "--dtype", "bfloat16")
    assert (said.code, said.err) == (0, "")
    assert (
        said.out == promptlab("run", "--dry-run", "-f", str(warrior), "--dtype", "float32", "--dtype", "bfloat16").out
    )
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == "would make 64 images in 8 runs: scheduler (2) × steps (2) × dtype (2)"
    for line in ("batches 16", "model loads 2", "guidance 5", "seeds 0-3",
                 "order dtype → scheduler → steps (what takes longest to change, outermost)",
                 "variant 1 portrait photo of a young warrior chief",
                 "1 scheduler euler · steps 5 · dtype float32 8 images",
                 "5 scheduler euler · steps 5 · dtype bfloat16 8 images"):  # fmt: skip
        assert line in lines
    assert any(line.startswith("time about ") and "(a guess" in line for line in lines)
    assert any(line.startswith("disk about ") for line in lines)
    assert runs(promptlab) == []
    assert not (workspace.root / "images").exists()


def test_plan_of_many_runs_fits_on_a_screen(promptlab):
    """Two hundred runs are counted, not all listed."""
    said = promptlab("plan", "a fox", "--steps", "1-200")
    assert "would make 200 images in 200 runs: steps (200)" in said.out
    assert "… 160 more" in said.out
    assert len(said.out.splitlines()) < 70


def test_plan_counts_what_is_there(promptlab, warrior):
    """What was made before is not counted as work."""
    promptlab("run", "-f", str(warrior), "--scheduler", "euler")
    said = promptlab("plan", "-f", str(warrior))
    assert "would make 16 images of 32 in 4 runs" in said.out
    assert "already there" in said.out
    assert (
        "would make nothing: 16 images in 2 runs" in promptlab("plan", "-f", str(warrior), "--scheduler", "euler").out
    )
    again = promptlab("plan", "-f", str(warrior), "--scheduler", "euler", "--again")
    assert "would make 16 images in 2 runs" in again.out


def test_run_words_that_were_cut_are_kept_with_the_run(promptlab):
    """Runs and the runs of a sweep tell afterwards what their encoder did not see; of short words nothing is told."""
    long = " ".join(f"w{count}" for count in range(80))
    assert promptlab("run", "a fox", "--seeds", "0").code == 0
    assert promptlab("run", long, "--seeds", "0", "--steps", "3", "--steps", "4").code == 0
    assert "cut by" not in promptlab("show", "1").out
    for run in ("2", "3"):
        assert "cut by tokenizer: w75 w76 w77 w78 w79" in promptlab("show", run).out
    told = json.loads(promptlab("show", "2", "--json").out)
    assert told["run"]["cut"] == [{"prompt": long, "encoder": "tokenizer", "words": "w75 w76 w77 w78 w79"}]


def test_plan_words_that_would_be_cut_are_shown(promptlab):
    """The words behind what a text encoder reads, by prompt."""
    words = " ".join(f"w{number}" for number in range(80))
    said = promptlab("plan", words)
    assert "the text encoder does not see the last words of" in said.out
    assert "cut by tokenizer: w75 w76 w77 w78 w79" in said.out
    assert "text encoder" not in promptlab("plan", "a fox").out


def test_run_the_same_again_makes_nothing(promptlab):
    """A second identical run is the first one, and says so; ``--again`` makes it anew."""
    first = promptlab("run", CHIEF, "--seeds", "0-7")
    assert first.out.startswith("run 1: 8 images")
    said = promptlab("run", CHIEF, "--seeds", "0-7")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == (
        "nothing to make: run 1 has 8 images (1 variant × 8 seeds), made before; --again makes them anew"
    )
    assert runs(promptlab) == [1]
    assert promptlab("run", CHIEF, "--seeds", "0-7", "--again").out.startswith("run 2: 8 images")
    assert new_images(promptlab) == (8, 8)
    assert promptlab("rerun", "1", "--again").out.startswith("run 3: 8 images")


def test_run_the_same_sweep_again_makes_nothing(promptlab):
    """No run is written, and the sweep that is there is said."""
    words = ("run", CHIEF, "--seeds", "0-1", "--steps", "5", "--steps", "6")
    assert promptlab(*words).out.startswith("sweep 1: 2 runs, 4 images (steps)\n")
    assert promptlab(*words).out.startswith("nothing to make: sweep 1: 2 runs, 4 images (steps), made before; --again")
    assert runs(promptlab) == [2, 1]
    said = promptlab(*words, "--steps", "7")
    assert said.out.startswith("sweep 2: 3 runs, 6 images (steps); 4 of them made before\n")
    assert promptlab(*words, "--again").out.startswith("sweep 3: 2 runs, 4 images (steps)\n")


def test_run_makes_only_what_is_new_in_a_file(promptlab, tmp_path):
    """A seed and a prompt more: the other pictures are linked, marked, and shown as the same."""
    file = tmp_path / "foxes.yaml"
    file.write_text("prompts: [a red fox]\nseeds: 0-3\n", encoding="utf-8")
    promptlab("run", "-f", str(file))
    file.write_text("prompts: [a red fox, a dog]\nseeds: 0-4\n", encoding="utf-8")
    said = promptlab("run", "-f", str(file))
    assert said.out.splitlines()[0].startswith("run 2: 10 images (2 variants × 5 seeds)")
    assert said.out.splitlines()[0].endswith("; 4 of them made before")
    assert new_images(promptlab) == (6, 10)
    table = promptlab("show", "2").out
    assert "10 made, 4 of them before" in table
    assert "= 1/3" in table
    assert "same as       image 1/3, made before" in promptlab("show", "2/3").out
    assert "same as" not in promptlab("show", "2/4").out


def test_schema_is_json(promptlab):
    """Editors get a draft 2020-12 schema that offers the schedulers and models there are."""
    said = promptlab("schema")
    schema = json.loads(said.out)
    assert said.code == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "euler" in json.dumps(schema["properties"]["scheduler"])
    assert set(bundled_models()) <= set(json.dumps(schema["properties"]["model"]).replace('"', " ").split())
