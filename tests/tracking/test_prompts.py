"""MLflow's registry of prompts: a line of work is a prompt, what was tried are its versions, runs point at them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from promptlab.specs import Variant
from promptlab.tracking import MlflowTracker
from promptlab.tracking.internals import LINK_TAG
from promptlab.tracking.prompts import MOST, prompt_name
from promptlab.workspace import Workspace
from tests.tracking.painting import paint_run, spec
from tests.tracking.test_tracker import client_of, shown

pytestmark = pytest.mark.mlflow

CHIEF = "portrait photo of a old warrior chief"
AGES = "portrait photo of {the oldest|a young} warrior chief"
NAME = "portrait-photo-of-a-old-warrior-chief"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, all_tables):
    """A workspace whose MLflow has a chief, two ages of it, and the same ages at other steps. Not to be changed."""
    workspace = Workspace.at(tmp_path_factory.mktemp("recorded"))
    workspace.database.write_bytes(all_tables.read_bytes())
    tracker = MlflowTracker(workspace)
    ages = [
        Variant(prompt=AGES.replace("{the oldest|a young}", age), label=age, template=AGES, source=0)
        for age in ("the oldest", "a young")
    ]
    first = paint_run(workspace, 1, spec([CHIEF], [1, 2]))
    second = paint_run(workspace, 2, spec(ages, [1]), parent=first)
    third = paint_run(workspace, 3, spec(ages, [1], num_inference_steps=9), parent=second)
    for run, parent in ((first, None), (second, first), (third, second)):
        tracker.record(run, parent=parent, thumbnail=b"")
    return workspace


@pytest.fixture
def story(workspace, recorded):
    """A copy of what is recorded, in the test's own workspace; and how to record a run."""
    with closing(sqlite3.connect(recorded.database)) as source, closing(sqlite3.connect(workspace.database)) as own:
        source.backup(own)
    tracker = MlflowTracker(workspace)

    def record(run, parent=None):
        tracker.record(run, parent=parent, thumbnail=b"")
        return run

    return record


def versions(workspace, name=NAME):
    """Alias and text of each version, the oldest first."""
    client = client_of(workspace)
    found = [client.get_prompt_version(name, one.version) for one in client.search_prompt_versions(name)]
    return [(*one.aliases, one.template) for one in reversed(found)]


def links(workspace, experiment="warrior chief"):
    told = shown(workspace, experiment)
    return [[(link["name"], link["version"]) for link in json.loads(one.data.tags.get(LINK_TAG, "[]"))] for one in told]


def test_prompt_of_a_line_of_reruns_is_one(workspace, story):
    """Versions in the order in which they were tried, a template as it was typed; every run points at its own."""
    assert versions(workspace) == [("run-1", CHIEF), ("run-2", AGES)]
    assert links(workspace) == [[(NAME, "1")], [(NAME, "2")], [(NAME, "2")], [(NAME, "2")], [(NAME, "2")]]
    client = client_of(workspace)
    assert client.get_prompt_version_by_alias(NAME, "run-1").template == CHIEF
    assert client.get_prompt_version_by_alias(NAME, "latest").version == 2
    assert client.get_prompt_version(NAME, 2).commit_message == "run 2, varied from run 1"


def test_prompt_recorded_again_gets_no_version(workspace, story):
    """Nor by typing the same words anew in another run."""
    story(paint_run(workspace, 4, spec([CHIEF], [7])))
    before = versions(workspace), links(workspace)
    run = paint_run(workspace, 5, spec([CHIEF], [8]))
    for _ in range(2):
        story(run)
    assert versions(workspace) == before[0]
    assert links(workspace) == [*before[1], [(NAME, "1")]]


def test_prompt_of_an_earlier_promptlab_gets_no_version_twice(workspace, story):
    """Its versions have no hashes of their texts, and are read; what comes new is a version as ever."""
    client = client_of(workspace)
    client.delete_prompt_tag(NAME, "promptlab.text")
    for one in client.search_prompt_versions(NAME):
        client.delete_prompt_version_tag(NAME, one.version, "promptlab.text")
    before = versions(workspace)
    parent = story(paint_run(workspace, 8, spec([CHIEF], [1])))
    assert versions(workspace) == before
    story(paint_run(workspace, 9, spec(["another"], [1]), parent=parent), parent)
    assert versions(workspace) == [*before, ("run-9", "another")]


def test_prompt_is_listed_in_the_pages_of_its_experiment(workspace, story):
    """Each experiment that a line of work touches."""
    story(paint_run(workspace, 4, spec([CHIEF], [7]), experiment="elsewhere"))
    client = client_of(workspace)
    for name in ("warrior chief", "elsewhere"):
        experiment = client.get_experiment_by_name(name).experiment_id
        assert [one.name for one in client.search_prompts(f'experiment_id = "{experiment}"')] == [NAME]


def test_prompt_of_a_list_of_many_is_not_registered(workspace, story):
    """Many texts in one run stay out of the registry, and so does an empty one."""
    story(paint_run(workspace, 4, spec([f"prompt {at}" for at in range(MOST + 1)], [1]), experiment="list"))
    story(paint_run(workspace, 5, spec([Variant(prompt="", label="empty")], [1]), experiment="list"))
    assert links(workspace, "list") == [[]] * (MOST + 2)
    assert [one.name for one in client_of(workspace).search_prompts()] == [NAME]


def test_prompt_texts_of_one_run_are_versions(workspace, story):
    """Each with an alias; every variant points at its own."""
    story(paint_run(workspace, 4, spec(["A red fox!", "a blue fox", "a red fox, at night"], [1]), experiment="foxes"))
    assert versions(workspace, "a-red-fox") == [
        ("run-4-1", "A red fox!"), ("run-4-2", "a blue fox"), ("run-4-3", "a red fox, at night"),
    ]  # fmt: skip
    assert links(workspace, "foxes") == [[("a-red-fox", "1")], [("a-red-fox", "2")], [("a-red-fox", "3")]]


def test_prompt_registry_that_fails_costs_only_the_link(workspace, story):
    """A registered model has the name already: the run is told all the same."""
    client_of(workspace).create_registered_model("a-cat")
    story(paint_run(workspace, 4, spec(["a cat"], [1]), experiment="cats"))
    assert links(workspace, "cats") == [[]]
    assert shown(workspace, "cats")[0].info.status == "FINISHED"


def test_prompt_deleted_comes_back_when_recorded_again(workspace, story):
    """As deleted runs do."""
    client = client_of(workspace)
    for version in (1, 2):
        client.delete_prompt_version(NAME, version)
    client.delete_prompt(NAME)
    run = replace(paint_run(workspace, 4, spec([CHIEF], [1])))
    story(run)
    assert versions(workspace) == [("run-4", CHIEF)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (CHIEF, NAME),
        ("  A Fox, (masterpiece:1.2) ", "a-fox-masterpiece-1-2"),
        ("word " * 40, "-".join(["word"] * 12)),
        ("w" * 90, "w" * 60),
        ("한국어", "prompt-ea325228"),
        ("?", "prompt-8a8de823"),
    ],
)
def test_prompt_name_is_made_of_its_words(text, name):
    """At most sixty signs, of those that MLflow allows; where none are left, a hash."""
    assert prompt_name(text) == name
