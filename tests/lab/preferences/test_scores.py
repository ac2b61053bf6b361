"""Scores through the Python API: of what is named, once, in the report as well, and in MLflow as a metric."""

from __future__ import annotations

import pytest

from promptlab.errors import InputError, NotFound
from promptlab.lab.execution.events import Progress
from promptlab.models import bundled
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.image_ratings import runs_rated_since_told
from promptlab.store.image_scores import read_scores, write_scores
from tests.engine.test_clip import tiny_clip  # noqa: F401 - a fixture


@pytest.fixture(scope="session")
def mini():
    return bundled("mini")


@pytest.fixture
def run(lab):
    variants = (Variant(prompt="a fox", label="a fox"), Variant(prompt="an owl", label="an owl"))
    return lab.run(RunSpec(pipeline=PipelineSpec(model="mini"), variants=variants, seeds=(1, 2)))


def test_score_of_one_image_leaves_the_others(lab, run, tiny_clip):  # noqa: F811 - a fixture
    """Named images are scored, each once; the rest of the run when it is named, and all anew with ``again``."""
    scorer = [f"clip={tiny_clip}"]
    first = lab.score([f"{run.id}/1", f"{run.id}/2"], scorer, device="cpu")
    assert (first.new, first.images, first.changed) == (2, ((1, 1), (1, 2)), (1,))
    assert [sorted(image.scores) for image in first.runs[0].images] == [[], ["clip"], ["clip"], []]
    assert lab.score([f"{run.id}/1"], scorer).changed == ()
    whole = lab.score([str(run.id), f"{run.id}/1"], scorer, device="cpu")
    assert (whole.new, len(whole.images)) == (2, 4)
    anew = lab.score([], scorer, again=True, device="cpu")
    assert anew.new == 4
    assert [image.scores for image in anew.runs[0].images] == [image.scores for image in whole.runs[0].images]
    assert '"scores":{"clip":' in lab.workspace.report(run.id).read_text(encoding="utf-8").replace(" ", "")


def test_score_of_many_images_reads_some_at_a_time_and_tells_how_far_it_is(lab, tiny_clip):  # noqa: F811 - a fixture
    """All of a large run would fill the memory; what is known counts as done."""
    spec = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(*range(34),))
    run, heard = lab.run(spec), []
    scorer = [f"clip={tiny_clip}"]
    lab.score([f"{run.id}/0"], scorer, device="cpu")
    found = lab.score([str(run.id)], scorer, device="cpu", watch=heard.append)
    told = [(each.count, each.of) for each in heard if isinstance(each, Progress)]
    assert (found.new, told) == (33, [(33, 34), (34, 34)])


def test_score_of_what_is_not_there_is_refused(lab, run):
    """Before a model is looked for; and a model before it is loaded."""
    with pytest.raises(NotFound, match="run 9 does not exist"):
        lab.score(["9"], ["clip=nowhere"])
    with pytest.raises(InputError, match="score 'nowhere' does not exist"):
        lab.score([str(run.id)], ["clip=nowhere"])


def test_scores_are_told_to_mlflow_with_the_next_ratings(lab, run):
    """Whoever scored and was killed before MLflow heard: it counts as a rating that MLflow does not know."""
    lab.ratings.publish()
    assert runs_rated_since_told(lab.database) == ()
    write_scores(lab.database, {(run.id, 0): 20.5}, scorer="clip", model="some/model")
    assert read_scores(lab.database, [run.id], scorer="clip") == {(run.id, 0): "some/model"}
    assert runs_rated_since_told(lab.database) == (run.id,)
    write_scores(lab.database, {(run.id, 0): 21.5}, scorer="clip", model="other/model")
    assert lab.notebook.run(run.id).images[0].scores == {"clip": 21.5}
    assert [one.scores for one in lab.history.list()] == [{"clip": 21.5}]
