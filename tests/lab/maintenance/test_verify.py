"""Verify: what is kept is made again as recorded and compared; nothing is claimed that was not compared."""

import dataclasses
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from promptlab.engine import ImageDone
from promptlab.errors import EngineError, InputError, NotFound
from promptlab.images.metadata import CHUNK, self_description
from promptlab.images.png import pixel_sha256, read_pixels, read_text, write_png
from promptlab.lab import Lab, PromptEdit, RunOrImage
from promptlab.records import Outcome
from promptlab.specs import Change, PipelineSpec, RunSpec, Variant
from promptlab.testing import Painter

SPEC = RunSpec(
    pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a"), Variant(prompt="b")), seeds=(0, 1, 2),
    batch_size=4,
)  # fmt: skip


class Elsewhere(Painter):
    """A painter in another place: other facts, and pixels that are off by what ``noise`` says, up or down."""

    def __init__(self, noise=0, **facts):
        super().__init__(facts=facts)
        self.noise, self.calls = noise, []

    def generate(self, requests, **given):
        self.calls.append([(request.prompt, request.seed) for request in requests])
        return [self.off(event) for event in super().generate(requests, **given)]

    def off(self, event):
        if not isinstance(event, ImageDone):
            return event
        off = np.random.default_rng(1).integers(-self.noise, self.noise + 1, event.pixels.shape)
        return dataclasses.replace(event, pixels=np.clip(event.pixels + off, 0, 255).astype(np.uint8))


def in_another_place(lab, **about):
    return Lab(lab.workspace, engine=Elsewhere(**about), tracker=lab.tracker)


@pytest.fixture
def run(begin_from, lab):
    """Six pictures, as they were made by the same painter in the same place."""
    begin_from(make_run)
    return lab.notebook.run(1)


def make_run(lab):
    lab.run(SPEC)


def outcomes(verdicts):
    return [verdict.verification and verdict.verification.outcome for verdict in verdicts]


@pytest.mark.mlflow
@pytest.mark.quick
def test_verify_the_same_pixels_is_exact_and_stored(lab, run):
    """Every picture of the run, its row says so afterwards, and so does MLflow."""
    verdicts = lab.verify(["last"])
    assert outcomes(verdicts) == [Outcome.EXACT] * 6
    assert [verdict.ref for verdict in verdicts] == [image.ref for image in run.images]
    after = lab.notebook.run(run.id)
    assert [image.verified for image in after.images] == [verdict.verification for verdict in verdicts]
    assert after.images[0].verified.pixel_sha256 == run.images[0].pixel_sha256
    assert after.images[0].verified.changes == ()
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{lab.workspace.database}")
    told = client.get_run(after.variants[0].mlflow_run_id).data.tags
    assert told["promptlab.verified"].startswith("3 exact of 3, ")
    assert "Verified" in told["mlflow.note.content"]


@pytest.mark.quick
def test_verify_a_small_difference_is_close_and_measured(lab, run):
    """How many pixels, how far, and what changed in the environment; nothing is called exact that is not."""
    (verdict,) = in_another_place(lab, noise=1, torch="9.9", threads=7).verify([f"{run.id}/0"])
    found = verdict.verification
    assert found.outcome is Outcome.CLOSE
    assert 0 < found.differing_pixels <= 512 * 512
    assert found.greatest_difference == 1
    assert 0 < found.mean_difference < 1
    assert found.psnr > 45
    assert Change(field="torch", before=None, after="9.9") in found.changes
    assert Change(field="threads", before=None, after=7) in found.changes
    assert lab.notebook.run(run.id).images[0].verified == found


def test_verify_another_picture_is_different(lab, run):
    """Noise as strong as another seed's is not called close."""
    assert outcomes(in_another_place(lab, noise=120).verify(["1/0"])) == [Outcome.DIFFERENT]


def test_verify_makes_an_image_again_among_its_neighbours(lab, run):
    """The whole batch in the order of its slots is made again, however few of it are asked for."""
    again = in_another_place(lab)
    verdicts = again.verify(["1/4", "1/1"])
    assert {verdict.ref for verdict in verdicts} == {"1/1", "1/4"}
    assert sorted(again.engine.calls) == [[("a", 0), ("a", 1), ("a", 2), ("b", 0)], [("b", 1), ("b", 2)]]


def test_verify_a_linked_picture_verifies_its_original(lab):
    """A link has no pixels of its own: the picture it leads to is made again, once."""
    lab.run(SPEC, experiment="one")
    lab.run(SPEC.vary(seeds=(1,)), experiment="two")
    verdicts = lab.verify(["2", "1/1"])
    assert [verdict.ref for verdict in verdicts] == ["1/1", "1/4"]


def test_verify_everything_or_a_sample_takes_each_once(lab, run):
    """All that was made here; or as many of them as asked for, each once."""
    lab.rerun(lab.history.find("1"), edit=PromptEdit(append=(" c",)))
    assert len(lab.verify(everything=True)) == 12
    some = lab.verify(everything=True, sample=5)
    assert len({verdict.ref for verdict in some}) == len(some) == 5


def test_verify_model_changed_makes_nothing(lab, run):
    """Told before generating, with both identities; the picture counts as not verified."""
    with closing(sqlite3.connect(lab.workspace.database)) as connection, connection:
        connection.execute("UPDATE promptlab_runs SET model_identity = 'sha256:other'")
    again = in_another_place(lab)
    verdicts = again.verify(["last"])
    assert outcomes(verdicts) == [None] * 6
    assert "is not what run 1 was made by (sha256:other then, " in verdicts[0].problem
    assert again.engine.calls == []


def test_verify_a_file_painted_over_is_not_called_different(lab, run):
    """The file is not what was made: that is said, whatever the engine makes now."""
    path = lab.workspace.root / run.images[0].path
    write_png(path, 255 - read_pixels(path), read_text(path))
    first, *others = lab.verify(["last"])
    assert first.verification is None
    assert "it was changed" in first.problem
    assert outcomes(others) == [Outcome.EXACT] * 5


def test_verify_a_deleted_file_and_an_edited_row_are_said(lab, run):
    """What cannot be compared is a problem in words, and does not keep the others from being compared."""
    (lab.workspace.root / run.images[0].path).unlink()
    with closing(sqlite3.connect(lab.workspace.database)) as connection, connection:
        connection.execute("UPDATE promptlab_images SET recipe_key = 'edited' WHERE position = 4")
    verdicts = {verdict.ref: verdict for verdict in lab.verify(["last"])}
    assert "does not exist" in verdicts["1/0"].problem
    assert "a row was edited" in verdicts["1/4"].problem
    assert outcomes([verdicts["1/1"]]) == [Outcome.EXACT]


def test_verify_a_batch_that_fails_leaves_the_others_alone(lab):
    """The engine's sentence stands beside the pictures of that batch."""

    class Failing(Painter):
        def generate(self, requests, **given):
            if any(request.seed == 2 and request.prompt == "b" for request in requests):
                raise EngineError("out of memory")
            return super().generate(requests, **given)

    lab.run(SPEC)
    verdicts = {one.ref: one for one in Lab(lab.workspace, engine=Failing(), tracker=lab.tracker).verify(["1"])}
    assert verdicts["1/5"].problem == "out of memory"
    assert outcomes([verdicts["1/0"], verdicts["1/3"]]) == [Outcome.EXACT] * 2


def test_verify_a_file_from_elsewhere_goes_by_what_it_says(lab, run, tmp_path):
    """No row, no workspace: the picture itself tells how it was made and in which environment."""
    file = tmp_path / "mine.png"
    shutil.copy(lab.workspace.root / run.images[2].path, file)
    elsewhere = Lab(tmp_path / "empty", engine=Elsewhere(noise=1, torch="9.9"))
    (verdict,) = elsewhere.verify([str(file)])
    assert (verdict.ref, verdict.run_id) == (str(file), None)
    assert verdict.verification.outcome is Outcome.CLOSE
    assert Change(field="torch", before=None, after="9.9") in verdict.verification.changes
    assert not (tmp_path / "empty").exists()
    (verdict,) = lab.verify([str(file)])
    assert (verdict.ref, verdict.verification.outcome) == ("1/2", Outcome.EXACT)


def test_verify_a_changed_file_is_compared_as_it_is(lab, run, tmp_path):
    """A copy with other pixels is not the picture of the row: it is judged itself, and the row is left alone."""
    kept = lab.workspace.root / run.images[2].path
    write_png(tmp_path / "copy.png", 255 - read_pixels(kept), read_text(kept))
    (verdict,) = lab.verify([str(tmp_path / "copy.png")])
    assert verdict.verification.outcome is Outcome.DIFFERENT
    assert lab.notebook.run(run.id).images[2].verified is None


def test_verify_a_file_with_changed_words_is_found_out(lab, run, tmp_path):
    """The recipe key in the picture does not fit the words in it."""
    kept = lab.workspace.root / run.images[2].path
    text = {**read_text(kept), CHUNK: read_text(kept)[CHUNK].replace('"prompt": "a"', '"prompt": "z"')}
    write_png(tmp_path / "copy.png", 255 - read_pixels(kept), text)
    assert self_description(tmp_path / "copy.png").spec.variants[0].prompt == "z"
    (verdict,) = lab.verify([str(tmp_path / "copy.png")])
    assert "it was changed" in verdict.problem


def test_verify_a_file_that_says_nothing_is_refused(lab, tmp_path):
    """One line: nothing is guessed."""
    write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), {})
    with pytest.raises(InputError, match="was not made in this workspace"):
        lab.run(SPEC) and lab.verify([str(tmp_path / "a.png")])


def test_verify_an_image_never_made_is_refused(lab, painter):
    """A run that failed before its first picture names the command that makes it."""

    class Broken(Painter):
        def generate(self, requests, **given):
            raise EngineError("no")

    with pytest.raises(EngineError):
        Lab(lab.workspace, engine=Broken(), tracker=lab.tracker).run(SPEC)
    with pytest.raises(NotFound, match=r"type: promptlab resume 1"):
        lab.verify(["1"])


def test_verify_after_a_sweep_takes_all_its_runs(lab):
    """``sweep:1``, or a page of its overview, is every picture of every run."""
    from promptlab.expand import Experiment

    sweep = Experiment().with_options(prompts=("a",), seeds="0,1", steps=("2", "3")).sweep(
        default_model="mini"
    )  # fmt: skip
    made = lab.run_sweep(sweep)
    assert outcomes(lab.verify([f"sweep:{made.id}"])) == [Outcome.EXACT] * 4
    assert outcomes(lab.verify([str(lab.workspace.sweep_grid(made.id, 1))])) == [Outcome.EXACT] * 4


def test_verify_stores_the_hash_of_the_pixels(lab, run):
    """The hash that is stored is that of the pixels that came out."""
    (verdict,) = lab.verify(["1/0"])
    assert verdict.verification.pixel_sha256 == pixel_sha256(read_pixels(lab.workspace.root / run.images[0].path))
    assert isinstance(lab.history.find("1/0"), RunOrImage)
