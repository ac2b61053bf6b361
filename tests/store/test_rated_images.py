"""Stars and votes read back with their settings, from a SQLite file and a PostgreSQL server alike."""

import dataclasses

from promptlab.store.image_ratings import rate_images
from promptlab.store.rated_images import Vote, read_rated_images
from tests.store.test_notebook import RESOLVED, SPEC, begin, made


def test_opinions_of_rated_runs_have_their_settings(database, notebook):
    """Runs of one setting share it; another option of the scheduler is another."""
    other = SPEC.vary(scheduler=dataclasses.replace(SPEC.pipeline.scheduler, options=()), weighting=True)
    for spec in (SPEC, SPEC.vary(seeds=(8,)), other):
        run = begin(notebook, dataclasses.replace(RESOLVED, spec=spec))
        notebook.add_images(run.id, [made(image) for image in run.images])
    rate_images(database, [(1, 0), (2, 0), (3, 0)], stars=4)
    notebook.add_vote((1, 0), (3, 0))
    found = read_rated_images(database)
    pictures = {one.ref: one for one in found.images.values()}
    assert {(ref, one.stars, one.negative_prompt) for ref, one in pictures.items()} == {
        ("1/0", 4, "no"), ("2/0", 4, "no"), ("3/0", 4, "no"),
    }  # fmt: skip
    first, second, third = (pictures[ref] for ref in ("1/0", "2/0", "3/0"))
    assert first.setting_key == second.setting_key != third.setting_key
    for one, spec in ((first, SPEC), (third, other)):
        setting = found.settings[one.setting_key]
        assert (setting.spec.pipeline, setting.spec.call) == (spec.pipeline, spec.call)
        assert (setting.model_identity, setting.vae_identity) == ("commit:c0ffee", "sha256:1")
    assert found.votes == (Vote(winner=first.source, loser=third.source, tie=False),)
    assert read_rated_images(database, experiment="none").settings == {}
    assert len(read_rated_images(database, runs=[1, 3], every=True).images) == 12
