"""What is odd about the words of a command is said in the terminal, once, and in its words."""

import json

import pytest


def test_run_and_rerun_say_what_is_plain_words_once(promptlab):
    """When it is typed, and not again with each rerun of it."""
    line = "promptlab: '(hat:1.5)' is plain words here, no weight"
    assert line in promptlab("run", "a (hat:1.5)", "--no-show").err
    assert line not in promptlab("rerun", "last", "--seeds", "1").err
    assert "'<lora:ink:1>' is plain words" in promptlab("rerun", "last", "--append", "<lora:ink:1>").err


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "words",
    [
        ("plan", "a fox in snow"),
        ("run", "a fox in snow", "--dry-run"),
        ("run", "{a king|a fox}", "--steps", "2-3", "--dry-run"),
        ("rerun", "last", "--prompt", "a fox in snow", "--dry-run"),
        ("rerun", "last", "--replace", "king=>fox", "--dry-run"),
    ],
)
def test_words_that_mean_nothing_to_the_bundled_model_are_said(words, begin_with, promptlab, monkeypatch):
    """In one line, whatever command they are typed for."""
    begin_with(("run", "a king", "--size", "128"))
    monkeypatch.delenv("PROMPTLAB_ENGINE")
    said = promptlab(*words)
    assert (said.code, said.err.count("\n")) == (0, 1)
    assert said.err.startswith("promptlab: the bundled model knows no word of 'a fox")


def test_seeds_of_more_than_32_bits_are_taken_and_said(promptlab):
    """As import takes them; the line says both numbers."""
    line = "promptlab: seed 1048378387411371 has more than 32 bits; its lower 32, 2640261547, are used\n"
    said = promptlab("run", "a", "--seeds", "1048378387411371", "--no-show")
    assert (said.code, said.err) == (0, line)
    assert "v00-seed2640261547" in promptlab("show", "last@seed:1048378387411371").out
    assert promptlab("rerun", "last", "--seed", "1048378387411371", "--append", " king", "--no-show").err == line


def test_image_is_found_by_the_longest_seed_that_is_taken(promptlab):
    """Of twenty digits, as it was typed; a longer one names nothing."""
    promptlab("run", "a", "--seeds", "18446744073709551615", "--no-show")
    assert "v00-seed4294967295" in promptlab("show", "last@seed:18446744073709551615").out
    assert promptlab("show", "last@seed:36893488147419103231").code == 2


def test_run_rerun_resume_and_plan_as_json_print_nothing_else(promptlab, workspace):
    """The records that show prints, and of a plan its figures: what a program needs to go on."""
    run = json.loads(promptlab("run", "a king", "--seeds", "0-1", "--json", "--show").out)
    assert (run["run"]["id"], len(run["run"]["images"]), run["grid"]) == (1, 2, str(workspace.grid(1)))
    assert run["run"] == json.loads(promptlab("show", "1", "--json").out)["run"]
    rerun = json.loads(promptlab("rerun", "1", "--seed", "1", "--append", ", red", "--json").out)
    assert (rerun["run"]["id"], rerun["run"]["parent_run_id"]) == (2, 1)
    sweep = json.loads(promptlab("run", "a king", "--steps", "2-3", "--json").out)
    assert [each["values"] for each in sweep["sweep"]["runs"]] == [[["steps", "2"]], [["steps", "3"]]]
    assert json.loads(promptlab("resume", "--json").out) == {"runs": []}
    planned = json.loads(promptlab("plan", "a king", "--steps", "2-4", "--json").out)["plan"]
    assert (planned["images"], planned["to_make"], planned["made_before"]) == (3, 1, 2)
    assert [(each["setting"], each["to_make"]) for each in planned["runs"]] == [
        ("steps 2", 0), ("steps 3", 0), ("steps 4", 1)
    ]  # fmt: skip
    assert json.loads(promptlab("rerun", "1", "--steps", "9", "--dry-run", "--json").out)["plan"]["to_make"] == 2
