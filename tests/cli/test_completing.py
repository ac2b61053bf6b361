"""Shells complete what the workspace holds, and the schedulers that fit the model."""

import pytest
from click.shell_completion import BashComplete

from promptlab.cli import promptlab as group


@pytest.fixture
def offered(monkeypatch, workspace):
    """What is offered behind words, of which the last is not whole yet."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "painter")
    monkeypatch.setenv("PROMPTLAB_WORKSPACE", str(workspace.root))

    def offers(*words):
        monkeypatch.setenv("COMP_WORDS", " ".join(("promptlab", *words)))
        found = BashComplete(group, {}, "promptlab", "_PROMPTLAB_COMPLETE").get_completions([*words[:-1]], words[-1])
        return {item.value: item.help for item in found}

    return offers


def test_completion_knows_runs_images_seeds_and_experiments(begin_with, offered):
    """Each with a few words that tell it from the others."""
    begin_with(("run", "a king", "--seeds", "3,11", "--experiment", "war"), ("run", "a queen"))
    runs = {"last": "a queen", "2": "a queen", "1": "a king"}
    assert offered("rerun", "") == offered("resume", "") == offered("diff", "1", "") == runs
    assert offered("rate", "1/0", "1/") == {"1/0": "seed 3: a king", "1/1": "seed 11: a king"}
    assert offered("show", "1@") == {"1@seed:3": "seed 3: a king", "1@seed:11": "seed 11: a king"}
    assert [*offered("rerun", "1", "--seed", "")] == ["3", "11"]
    assert [*offered("rerun", "1", "--seed", "1")] == ["11"]
    assert [*offered("list", "--experiment", "")] == [*offered("run", "a", "--experiment", "")] == ["promptlab", "war"]
    assert "unipc" in offered("rerun", "1", "--scheduler", "uni")


@pytest.mark.parametrize("words", [("rerun", ""), ("show", "7/"), ("rerun", "7", "--seed", ""), ("show", "x@")])
def test_completion_of_what_is_not_there_offers_nothing(words, offered, monkeypatch, tmp_path):
    """There is nobody to tell what went wrong, and no workspace is made by asking."""
    monkeypatch.setenv("PROMPTLAB_WORKSPACE", str(tmp_path / "nowhere"))
    assert offered(*words) == {}
    assert not (tmp_path / "nowhere").exists()


def test_completion_of_schedulers_offers_those_that_fit_the_model(offered):
    """The bundled model takes none of flow matching; of a model that is not there, all are offered."""
    assert offered("run", "a", "--scheduler", "flow") == {}
    assert "flow-euler" in offered("run", "a", "--model", "nothing", "--scheduler", "flow")
    assert offered("run", "a", "--scheduler", "euler")["euler"] == "EulerDiscreteScheduler"
