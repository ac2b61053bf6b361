"""Errors: equal after any journey, and spelled for whoever reads them."""

import inspect
import json
import pickle

import pytest

import promptlab.errors as errors
from promptlab.cli.spelling import spell
from promptlab.errors import (
    EngineError,
    InputError,
    MissingPackage,
    NotFound,
    OutOfMemory,
    PromptLabError,
    ServerError,
    StoreError,
    TrackerError,
    UnknownValue,
    WorkspaceError,
    from_dict,
    one_line,
    ref,
    ref_value,
    spell_in_python,
    spelled_by,
    to_dict,
)

SPELLINGS = {"python": spell_in_python, "terminal": spell}

OUT_OF_RANGE = InputError(
    "guidance_scale", -1.5, problem="is out of range", allowed="0 or more", hint=ref_value("guidance_scale", 7.5)
)
ONE_OF_EACH = [
    PromptLabError("nothing works"),
    EngineError(f"{ref('model')} did not load; type: {ref_value('dtype', 'float16')}"),
    OutOfMemory(rows=4),
    OutOfMemory(rows=1),
    TrackerError("MLflow does not answer"),
    StoreError("disk full"),
    ServerError("the server is gone"),
    OUT_OF_RANGE,
    InputError(f"{ref('append')}, column 3", "{", problem="is open"),
    UnknownValue("scheduler", "eulr", ("euler", "ddim"), hint="promptlab schedulers"),
    NotFound("run", 7, names=("1", "2"), allowed="1 to 2"),
    MissingPackage("org/model", "google"),
    WorkspaceError("database_url", "pg", problem="is no address", hint=ref_value("database_url", "postgresql://…")),
]  # fmt: skip
"""Errors with every kind of fact: at least one of each class that :mod:`promptlab.errors` has."""


@pytest.fixture(params=SPELLINGS)
def spelling(request):
    """Spell as one of the two kinds of readers has it."""
    with spelled_by(SPELLINGS[request.param]):
        yield request.param


def classes():
    """Return every class of error that :mod:`promptlab.errors` has."""
    return {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, PromptLabError) and kind.__module__ == errors.__name__
    }  # fmt: skip


def test_errors_of_every_class_are_tried_here():
    """Whoever adds a class adds one of it to the list."""
    assert {type(error) for error in ONE_OF_EACH} == classes()


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "journey", [lambda facts: facts, lambda facts: json.loads(json.dumps(facts))], ids=["dict", "json"]
)
def test_errors_facts_make_an_equal_error(error, journey, spelling):
    """Class, facts, sentence and exit code are the same on the other side of a pipe."""
    again = from_dict(journey(to_dict(error)))
    assert (type(again), again.facts, str(again), again.exit_code) == (
        type(error), error.facts, str(error), error.exit_code,
    )  # fmt: skip


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
def test_errors_pickled_are_equal(error, spelling):
    """So are they between processes, their fields and attributes included."""
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (type(error), vars(error), str(error))


def test_errors_notes_travel_with_them():
    """What to type next stands in the notes of an error, once something was begun."""
    error = EngineError("stopped")
    error.add_note("promptlab resume 3")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["promptlab resume 3"]


def test_errors_spelled_again_on_arrival(spelling):
    """An error that a worker pickled is spelled by the process that shows it."""
    with spelled_by(spell_in_python):
        sent = pickle.dumps(OUT_OF_RANGE)
    shown = {
        "python": "guidance_scale -1.5 is out of range; allowed: 0 or more; type: guidance_scale=7.5",
        "terminal": "--guidance -1.5 is out of range; allowed: 0 or more; type: --guidance 7.5",
    }
    assert str(pickle.loads(sent)) == shown[spelling]


@pytest.mark.parametrize(
    ("text", "python", "terminal"),
    [
        (ref("num_inference_steps"), "num_inference_steps", "--steps"),
        (ref_value("loras", "ink:0.8"), "loras=ink:0.8", "--lora ink:0.8"),
        (ref_value("embeddings", "cat:<cat>"), 'embeddings="cat:<cat>"', '--textual-inversion "cat:<cat>"'),
        (ref_value("replace", "a old=>b"), 'replace="a old=>b"', '--replace "a old=>b"'),
        (ref("arguments.eta"), "arguments.eta", "--set eta"),
        (ref_value("arguments.eta", 0.5), "arguments.eta=0.5", "--set eta=0.5"),
        (ref_value("vae_tiling", True), "vae_tiling=true", "--vae-tiling"),
        (ref_value("vae_tiling", False), "vae_tiling=false", "--no-vae-tiling"),
        (ref("prompts"), "prompts", "PROMPT"),
        (ref("database_url"), "database_url", "--database"),
        (ref("warrior.yaml, line 3, column 8: steps"), *["warrior.yaml, line 3, column 8: steps"] * 2),
        (ref(f"{ref('append')}, column 3"), "append, column 3", "--append, column 3"),
    ],
)  # fmt: skip
def test_fields_spelled_for_python_and_for_a_terminal(text, python, terminal):
    """The words of whoever sets them; what is no field stays as it is."""
    with spelled_by(spell_in_python):
        assert one_line(text) == python
    with spelled_by(spell):
        assert one_line(text) == terminal


def test_field_of_a_place_has_no_marks():
    """Whoever branches on ``error.field`` reads words only."""
    assert InputError(f"{ref('append')}, column 3", problem="is open").field == "append, column 3"


def test_from_dict_of_an_unknown_class_is_refused():
    """A newer PromptLab's error is no error of this one."""
    with pytest.raises(ValueError, match="no error of the class Fancy"):
        from_dict({"type": "Fancy", "message": "x"})
