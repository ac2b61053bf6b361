"""Stars and favourites in plain SQL say what whole records say, in a SQLite file and on a PostgreSQL server alike."""

from datetime import UTC, datetime, timedelta

import pytest

from promptlab.errors import StoreError
from promptlab.records import ImageRating, RunStatus
from promptlab.store.image_ratings import rate_images, read_ratings, runs_rated_since_told
from tests.store.test_notebook import begin, made


@pytest.fixture
def run(notebook):
    """A run of six images, of which the last is owed."""
    begun = begin(notebook)
    notebook.add_images(begun.id, [made(image) for image in begun.images[:5]])
    return begun


def test_ratings_agree_with_the_whole_record(database, notebook, run):
    """Stars replace stars, a favourite leaves them; votes are counted; an image without any has none."""
    rate_images(database, [(1, 0), (1, 1)], stars=2)
    rate_images(database, [(1, 0)], stars=5)
    rate_images(database, [(1, 0), (1, 2)], favourite=True)
    rate_images(database, [(1, 2)], favourite=False)
    notebook.add_vote((1, 0), (1, 1))
    notebook.add_vote((1, 0), (1, 2), tie=True)
    found = read_ratings(database, [(1, position) for position in range(5)])
    assert found[1, 0] == ImageRating(run_id=1, position=0, stars=5, favourite=True, votes_won=1)
    for image in notebook.run(1).images[:5]:
        assert found[1, image.position] == ImageRating(
            run_id=1, position=image.position, stars=image.stars, favourite=image.favourite,
            votes_won=image.votes_won, votes_lost=image.votes_lost,
        )  # fmt: skip


def test_ratings_of_a_link_are_those_of_its_image(database, notebook, run):
    """One picture is rated once, in whichever run it is seen."""
    other = begin(notebook)
    first = notebook.run(run.id).images[0]
    notebook.link_images(other.id, {0: first})
    rate_images(database, [(2, 0)], stars=3)
    assert {place: one.stars for place, one in read_ratings(database, [(1, 0), (2, 0)]).items()} == {
        (1, 0): 3,
        (2, 0): 3,
    }


def test_ratings_of_what_is_not_made_or_not_there_are_left_out(database, run):
    """Whoever asks then says what is wrong with it."""
    assert read_ratings(database, [(1, 5), (1, 6), (9, 0)]) == {}


def test_writing_that_fails_writes_nothing(database, run):
    """All or nothing: SQL that fails takes the rest of its transaction along, and is one line."""
    rate_images(database, [(1, 0)], stars=3)

    def write_badly():
        with database.writing("noting stars") as writing:
            writing.write("UPDATE promptlab_ratings SET stars = :stars", {"stars": 4})
            writing.write("UPDATE promptlab_nothing SET stars = :stars", {"stars": 4})

    with pytest.raises(StoreError, match=r"^the database failed while noting stars: "):
        write_badly()
    assert read_ratings(database, [(1, 0)])[1, 0].stars == 3


def test_runs_rated_since_told_are_told_once(database, notebook, run):
    """A run is owed to MLflow from the moment somebody rates it, also while it is being told of something else."""
    assert runs_rated_since_told(database) == ()
    notebook.end_run(run.id, RunStatus.FINISHED)
    rate_images(database, [(1, 0)], stars=3)
    assert runs_rated_since_told(database) == (1,)  # MLflow does not know the run itself yet
    read_at = datetime.now(UTC)
    notebook.mark_tracked(run.id, {}, at=read_at)
    assert runs_rated_since_told(database) == ()
    rate_images(database, [(1, 0)], favourite=True)
    assert runs_rated_since_told(database) == (1,)
    notebook.mark_tracked(run.id, {}, at=read_at)  # of what was read before
    assert runs_rated_since_told(database) == (1,)
    notebook.mark_tracked(run.id, {}, at=datetime.now(UTC) + timedelta(seconds=1))
    assert runs_rated_since_told(database) == ()
    notebook.add_vote((1, 1), (1, 2))
    notebook.mark_tracked(run.id, {}, at=read_at)
    assert runs_rated_since_told(database) == (1,)
