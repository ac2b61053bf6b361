"""``promptlab config`` shows, sets and unsets defaults; ``run`` takes them, and what inherits does not."""

import json

import pytest
from click.shell_completion import BashComplete

from promptlab.cli import promptlab as group
from promptlab.expand.defaults import user_file
from promptlab.lab import Lab


@pytest.fixture
def typed(promptlab, tmp_path, monkeypatch):
    """Type commands with a config folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return promptlab


@pytest.mark.quick
def test_config_shows_what_is_in_force_and_where_it_comes_from(typed, workspace):
    """Set for oneself, and for the workspace over it; taken back again."""
    assert "no defaults" in typed("config").out
    assert typed("config", "set", "steps", "30").out == f"steps is 30 in {user_file()}\n"
    assert typed("config", "set", "--here", "steps", "12").out == "steps is 12 in promptlab.toml\n"
    typed("config", "set", "--here", "negative", "blurry, text")
    (workspace.root / "styles.csv").write_text("name,prompt\noil,in oil\n", encoding="utf-8")
    shown = typed("config").out
    assert f"steps      12              promptlab.toml (over 30 of {user_file()})" in shown
    assert "negative   'blurry, text'  promptlab.toml" in shown
    assert "style oil  in oil          styles.csv" in shown
    assert json.loads(typed("config", "--json").out)["defaults"]["steps"] == {"value": "12", "file": "promptlab.toml"}
    said = typed("config", "unset", "steps").out
    assert said == f"steps is no longer set in {user_file()}\n  in this workspace it is 12, from promptlab.toml\n"
    assert typed("config", "unset", "steps").out == f"steps is not set in {user_file()}\n"
    assert typed("config", "path").out == f"{user_file()}\n"
    assert typed("config", "path", "--here").out == f"{workspace.root / 'promptlab.toml'}\n"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("stepps", "3"), "name 'stepps' is no setting (did you mean steps?)"),
        (("steps", "0"), "--steps 0 is too few; allowed: 1 or more; type: --steps 20"),
        (("scheduler", "eular"), "--scheduler 'eular' is unknown (did you mean euler?)"),
        (("allow-pickle", "true"), "name 'allow-pickle' is no default"),
        (("--here", "model", "/etc"), "lies outside of the workspace"),
    ],
)
def test_config_set_refuses_what_the_option_would(words, sentence, typed, workspace):
    """In the same sentences; nothing is written."""
    said = typed("config", "set", *words)
    assert (said.code, sentence in said.err) == (2, True), said.err
    assert not user_file().exists()
    assert not (workspace.root / "promptlab.toml").exists()


def test_defaults_are_taken_by_run_and_not_by_what_inherits(typed, workspace):
    """The record has the values as if they were typed; a rerun and a start from a picture have the parent's."""
    (workspace.root / "promptlab.toml").write_text(
        'steps = 7\nexperiment = "war"\n[styles.oil]\nprompt = "{prompt}, in oil"', encoding="utf-8"
    )
    said = typed("run", "a {red|blue} fox", "--style", "oil")
    assert "promptlab: defaults from promptlab.toml: steps 7, experiment war\n" in said.err
    (workspace.root / "promptlab.toml").write_text('steps = 9\nexperiment = "peace"', encoding="utf-8")
    assert "defaults" not in typed("rerun", "last", "--append", ", at night").err
    picture = str(workspace.run_folder(1) / "v00-seed0.png")
    assert "defaults" not in typed("run", "--like", picture, "an owl").err
    assert "defaults" not in typed("run", "a fox", "--steps", "3", "--experiment", "x").err
    runs = Lab(workspace).history.list()
    assert [(run.experiment, run.prompt) for run in runs] == [
        ("x", "a fox"), ("promptlab", "an owl"), ("war", "a red fox, in oil, at night"), ("war", "a red fox, in oil"),
    ]  # fmt: skip
    steps = [Lab(workspace).history.find(str(number)).run.spec.call.num_inference_steps for number in (1, 2, 3, 4)]
    assert steps == [7, 7, 7, 3]


@pytest.mark.quick
def test_completion_knows_styles_and_names_of_defaults(typed, workspace, monkeypatch):
    """With their words; a file that cannot be read offers nothing."""
    (workspace.root / "styles.csv").write_text("name,prompt\noil,in oil\n", encoding="utf-8")

    def offered(*words):
        monkeypatch.setenv("COMP_WORDS", " ".join(("promptlab", *words)))
        found = BashComplete(group, {}, "promptlab", "_PROMPTLAB_COMPLETE").get_completions([*words[:-1]], words[-1])
        return {item.value: item.help for item in found}

    assert offered("run", "--style", "") == {"oil": "in oil"}
    assert [*offered("config", "set", "ste")] == ["steps"]
    (workspace.root / "promptlab.toml").write_text("steps =", encoding="utf-8")
    assert offered("run", "--style", "") == {}
