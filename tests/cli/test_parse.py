"""What click read becomes one value, and that an experiment or changes; texts are understood once, by ``expand``."""

from __future__ import annotations

import dataclasses

import pytest

from promptlab.cli import promptlab as group
from promptlab.cli.parse import RunOptions, changes_of, experiment_of, prompt_edit_of, sweep_of, takes_run_options
from promptlab.errors import InputError


@pytest.fixture
def read():
    """Read a command line as ``run`` and its kin do: ``read("rerun", "last", "--steps", "3")``."""

    def reading(name, *words):
        params = group.commands[name].make_context(name, list(words), **group.context_settings).params
        return takes_run_options(lambda options, **_: options)(**params)

    return reading


def test_run_options_hold_only_what_was_typed(read):
    """A setting that is not named is not there; what was typed is text as it was typed."""
    options = read("run", "a fox", "--steps", "2-4", "--no-compile", "--compile", "--set", "eta=0.5", "--again")
    assert dict(options.settings) == {"steps": ("2-4",), "compile": (False, True)}
    assert options.arguments == (("eta", 0.5),)
    assert (options.prompts, options.again, options.dry_run, options.show) == (("a fox",), True, False, None)


def test_run_options_cannot_be_changed(read):
    """Nobody takes a key out of what was typed."""
    options = read("run", "a fox", "--steps", "2")
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.again = True
    with pytest.raises(TypeError):
        options.settings["steps"] = ("3",)


def test_experiment_of_several_values_is_a_sweep_in_the_order_of_the_table(read):
    """Axes do not depend on the order in which options were typed."""
    sweep = sweep_of(experiment_of(read("run", "a fox", "--steps", "2", "--steps", "3", "--scheduler", "euler",
                                        "--scheduler", "unipc")))  # fmt: skip
    assert [[axis.field for axis in axes] for axes in sweep.dimensions] == [["scheduler"], ["steps"]]


def test_changes_of_a_rerun_are_fields_of_the_spec(read):
    """Only what was typed is there; the negative prompt is one of the words."""
    options = read("rerun", "last", "--steps", "3", "--size", "64x96", "--weighting", "--set", "eta=0.5",
                   "--negative", "blur", "--scheduler", "euler")  # fmt: skip
    changes = changes_of(options)
    assert str(changes.pop("scheduler")) == "EulerDiscreteScheduler"
    assert changes == {
        "num_inference_steps": 3, "width": 64, "height": 96, "weighting": True, "arguments": (("eta", 0.5),),
    }  # fmt: skip
    assert prompt_edit_of(options).negative_prompt == "blur"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--steps", "2", "--steps", "3"), 'type: promptlab run "…" --steps 2 --steps 3'),
        (("--weighting", "--no-weighting"), 'type: promptlab run "…" --weighting --no-weighting'),
    ],
)
def test_changes_of_several_values_say_what_to_type_instead(words, sentence, read):
    """A rerun is one run; the hint can be typed as it stands."""
    with pytest.raises(InputError, match="has 2 values") as found:
        changes_of(read("rerun", "last", *words))
    assert sentence in str(found.value)


def test_run_options_defaults_are_nothing():
    """A command without an option of that name leaves it unsaid."""
    options = RunOptions(settings={})
    assert all(not getattr(options, field.name) for field in dataclasses.fields(options))
