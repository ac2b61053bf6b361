"""Stars by many at once: MLflow hears of all of them; and votes that are taken back."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from promptlab.errors import InputError
from promptlab.lab import Lab
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.image_ratings import runs_rated_since_told
from promptlab.testing import Painter
from promptlab.tracking.rating_metrics import rating_tag
from promptlab.tracking.schema import database_uri

EIGHT = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=tuple(range(8)))


@pytest.mark.mlflow
def test_ratings_given_by_eight_at_once_are_all_told(lab):
    """Whoever tells MLflow tells it of what was written while others told it."""
    run, together = lab.run(EIGHT), Barrier(8)

    def rate(position):
        one = Lab(lab.workspace, engine=Painter())
        together.wait()
        one.ratings.rate([f"1/{position}"], position % 5 + 1)

    with ThreadPoolExecutor(8) as people:
        list(people.map(rate, range(8)))
    assert runs_rated_since_told(lab.context.database) == ()
    from mlflow import MlflowClient

    told = MlflowClient(database_uri(lab.workspace)).get_run(run.variants[0].mlflow_run_id).data.tags
    rated = lab.notebook.run(run.id).images
    assert [image.stars for image in rated] == [1, 2, 3, 4, 5, 1, 2, 3]
    assert told["promptlab.rating"] == rating_tag(rated)


def test_vote_taken_back_is_the_last_of_the_pair(lab):
    """Whichever of the two had won; a run that MLflow was told of with the vote is to be told anew."""
    lab.run(EIGHT)
    lab.ratings.vote("1/0", "1/1")
    lab.ratings.publish()
    lab.ratings.vote("1/1", "1/0")
    lab.ratings.take_back("1/0", "1/1")
    assert lab.notebook.untracked() == ()
    assert [image.votes_won for image in lab.notebook.run(1).images[:2]] == [1, 0]
    lab.ratings.take_back("1/0", "1/1")
    assert lab.notebook.untracked() == (1,)
    with pytest.raises(InputError, match="no vote beside 1/1"):
        lab.ratings.take_back("1/0", "1/1")
