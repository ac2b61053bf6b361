"""The full-text index: what is written is found, whatever is typed, and through every door by which words come in."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptlab.specs import Variant
from promptlab.store.image_ratings import rate_images
from promptlab.store.notebook import Notebook
from promptlab.store.text_search import SearchQuery, search, words_of
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace
from tests.store.test_notebook import RESOLVED, SPEC, begin, made
from tests.store.test_upgrade import older  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow


def written(notebook, *prompts, seeds=(1,), when=datetime(2026, 1, 2, tzinfo=UTC), **given):
    """A run of these prompts whose images are all made."""
    variants = tuple(one if isinstance(one, Variant) else Variant(prompt=one) for one in prompts)
    spec = dataclasses.replace(SPEC, variants=variants, seeds=seeds)
    run = begin(notebook, dataclasses.replace(RESOLVED, spec=spec), **given)
    notebook.add_images(run.id, [dataclasses.replace(made(image), made_at=when) for image in run.images])
    return notebook.run(run.id)


def refs(notebook, *typed, **options):
    return [one.ref for one in search(notebook.database, SearchQuery(words=words_of(typed), **options))]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ÉCOLE", ["1/2"]),
        ("b/w", ["1/2"]),
        ("w.png", ["1/2"]),
        ('"b w"', ["1/2"]),
        ('"rain because"', []),
        ("ärger", ["1/3"]),
        ("fox", ["1/0"]),
        ("FOX red", ["1/0"]),
        ("warr", ["1/1"]),
        ("cafe", ["1/2"]),
        ('"rim light"', ["1/1"]),
        ('"light rim"', []),
        ("blurry", ["1/0"]),
        ("oldest|young", ["1/1"]),
        ("여우", ["1/3"]),
        ("우가", ["1/3"]),
        ("서울 여우", ["1/3"]),
        ("東京", ["1/4"]),
        ("京の", ["1/4"]),
        ("because", ["1/0", "1/1", "1/2", "1/3", "1/4"]),
        ("zeppelin", []),
    ],
)
def test_search_finds_words_where_they_stand(notebook, typed, found):
    """In prompts, negatives, templates and notes; beginnings, phrases, without accents; Korean and Japanese inside."""
    written(
        notebook,
        Variant(prompt="a red fox", negative_prompt="blurry"),
        Variant(prompt="the oldest warrior, rim light", template="the {oldest|young} warrior, rim light"),
        "école, b/w.png, a café in the rain",
        "서울의 여우가 달린다, Ärger",
        "東京の夜",
        note="because it may",
        experiment="words",
    )
    assert sorted(refs(notebook, typed)) == found


def test_search_puts_the_best_match_first_then_the_newest(notebook):
    """A short prompt about foxes before a long one that names one; of equal ones the newest."""
    written(notebook, "a castle by the sea, storm, waves, birds, and somewhere behind it all a fox")
    written(notebook, "fox, fox", "fox, fox")
    assert refs(notebook, "fox") == ["2/1", "2/0", "1/0"]


def test_search_options_narrow_what_is_found(notebook):
    """Seed, setting, stars, favourites and time each leave out what does not fit; without words, newest first."""
    written(notebook, "a fox", seeds=(1, 2), experiment="one")
    new = written(notebook, "a fox", seeds=(1,), experiment="two", when=datetime.now(UTC))
    rate_images(notebook.database, [(1, 0), (2, 0)], stars=4)
    rate_images(notebook.database, [(1, 1)], stars=2, favourite=True)
    assert refs(notebook, "fox", seed=2) == ["1/1"]
    assert refs(notebook, "fox", rating=4) == ["2/0", "1/0"]
    assert refs(notebook, favourite=True) == ["1/1"]
    assert refs(notebook, "fox", experiment="one") == ["1/1", "1/0"]
    assert refs(notebook, since=datetime.now(UTC) - timedelta(days=1)) == [f"{new.id}/0"]
    setting = {"model": "SOME", "scheduler": "euler", "vae": "vae", "dtype": "bfloat16", "num_inference_steps": 7}
    assert refs(notebook, **setting, limit=1) == ["2/0"]
    assert refs(notebook, "fox", scheduler="pndm") == []
    (one,) = search(notebook.database, SearchQuery(words=("fox",), seed=2))
    assert (one.stars, one.favourite, one.experiment, one.prompt) == (2, True, "one", "a fox")


def test_search_leaves_out_owed_images(notebook):
    """There is nothing to look at yet."""
    begin(notebook)
    assert refs(notebook, "prompt") == []


def test_search_index_follows_what_is_written(notebook, execute):
    """Words put right, a note written later, a variant deleted: whoever writes the row has written the index."""
    run = written(notebook, "a fox")
    notebook.restore_words(run.id, 0, Variant(prompt="an owl"), "0" * 64)
    assert (refs(notebook, "fox"), refs(notebook, "owl")) == ([], ["1/0"])
    execute("UPDATE promptlab_runs SET note = 'for the cover'")
    assert refs(notebook, "cover") == ["1/0"]
    execute("DELETE FROM promptlab_images")
    execute("DELETE FROM promptlab_variants")
    assert execute("SELECT count(*) FROM promptlab_search") == [(0,)]


def test_search_in_an_upgraded_database_finds_old_and_new(older):  # noqa: F811 - the fixture
    """The index is filled from what is there, and new runs join it."""
    notebook = Notebook.of(older)
    assert {"1/0", "1/1", "1/2"} <= set(refs(notebook, "red", "한국어", limit=None))
    run = written(notebook, "a violet zeppelin")
    assert refs(notebook, "zeppelin") == [f"{run.id}/0"]


@given(typed=st.lists(st.text(max_size=20), max_size=4))
@settings(max_examples=60, deadline=None)
def test_search_of_any_text_is_no_error(searchable, typed):
    """Quotes, stars, parentheses, NEAR, columns, controls: text, all of it."""
    search(searchable, SearchQuery(words=words_of(typed)))


@pytest.mark.parametrize(
    "typed", ['"', 'a"b', "a*", "NEAR(a b)", "prompt:fox", "^fox", "a AND", "(fox", "{a b}:c", "-fox"]
)
def test_search_of_the_index_s_own_language_is_plain_text(searchable, typed):
    """What would mean something to FTS5 means itself here."""
    search(searchable, SearchQuery(words=words_of([typed])))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def searchable(request, tmp_path_factory):
    """A database with one run, only read."""
    url = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        server.create("searchable", template="prepared")
        url = server.url("searchable")
    notebook = Notebook.at(Workspace.at(tmp_path_factory.mktemp("searchable"), url))
    written(notebook, "a fox")
    yield notebook.database
    if url is not None:
        server.drop("searchable")


def test_search_where_nothing_was_made_finds_nothing(request, workspace):
    """No database, or none of our tables in it, is no error."""
    if workspace.database_url is not None:
        workspace = Workspace.at(workspace.root, request.getfixturevalue("empty_postgresql_url"))
    assert search(database_of(workspace), SearchQuery(words=("fox",))) == ()
