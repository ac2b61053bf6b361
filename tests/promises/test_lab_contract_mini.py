"""What a lab promises of real pictures, asked of the lab itself and of its twin that a server stands behind."""

import shutil
from contextlib import contextmanager
from functools import wraps

import pytest

from promptlab.images.png import pixel_sha256, read_pixels
from promptlab.lab import Lab
from promptlab.lab.execution.events import PromptsTruncated
from promptlab.records import Outcome
from promptlab.serving.remote_lab import RemoteLab
from promptlab.workspace import Workspace
from tests.engine.test_clip import tiny_clip  # noqa: F401 - a fixture
from tests.serving.running import running_server

pytestmark = pytest.mark.slow


class Kept:
    """The engine of all tests, of which no server that ends lets go."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def close(self):
        """Hold everything: the next test needs it."""


@contextmanager
def opened(kind, workspace, engine):
    """A lab: in this process, or behind a server."""
    if kind == "Lab":
        yield Lab(workspace, engine=engine)
        return
    with running_server(Kept(engine)) as find:
        yield RemoteLab(find, workspace)


def hashes(workspace, run):
    return [pixel_sha256(read_pixels(workspace.root / image.path)) for image in run.images]


def told_by(lab, make_spec, clip):
    """What each verb says of pictures of the bundled model."""
    heard = []
    spec = make_spec("a fox " + "in the very old wood " * 20, "a fox, in snow", seeds=(0, 1, 2, 3, 4), batch_size=2)
    run = lab.run(spec, watch=heard.append)
    (cut,) = [event for event in heard if isinstance(event, PromptsTruncated)]
    (lab.workspace.root / run.images[3].path).unlink()
    (resumed,) = lab.resume(str(run.id))
    verdicts = lab.verify(["last"])
    effect = lab.effect("last", clip_model=clip, score=True)
    probe = lab.probe(spec, sizes=(1, 2), slicing=(False,))
    child = lab.rerun(lab.history.find("1/3"), changes={"guidance_scale": 3.0})
    return {
        "pixels": hashes(lab.workspace, resumed), "recipes": [image.recipe_key for image in run.images],
        "environment": run.environment, "cut": cut, "effect": effect, "child": hashes(lab.workspace, child),
        "verified": [(verdict.ref, verdict.verification.outcome) for verdict in verdicts],
        "probed": [(trial.batch_size, trial.fits) for trial in probe.tried],
    }  # fmt: skip


def test_verbs_on_real_pictures_give_the_same_in_a_server(engine, workspace, make_spec, tmp_path, tiny_clip):  # noqa: F811
    """Bytes, recipes, environment, words that are cut, verdicts, scores, a probe, a picture that is made again."""
    told = {}
    for kind in ("Lab", "RemoteLab"):
        space = Workspace.at(tmp_path / kind)
        space.root.mkdir()
        shutil.copy(workspace.database, space.database)
        with opened(kind, space, engine) as lab:
            told[kind] = told_by(lab, make_spec, str(tiny_clip))
    for what, here in told["Lab"].items():
        assert (what, told["RemoteLab"][what]) == (what, here)
    assert {outcome for _, outcome in told["Lab"]["verified"]} == {Outcome.EXACT}
    assert "old wood" in told["Lab"]["cut"].prompts[0].words


def test_words_are_encoded_once_in_all_jobs_of_a_server(engine, workspace, make_spec, monkeypatch):
    """Other seeds and settings in the next job ask no text encoder again, and the bytes are those of one that does."""
    from transformers import CLIPTextModel

    engine.close()
    forward, encoded = CLIPTextModel.forward, []

    @wraps(forward)
    def counted(self, *args, **kwargs):
        encoded.append(True)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(CLIPTextModel, "forward", counted)
    with running_server(Kept(engine)) as find:
        lab = RemoteLab(find, workspace)
        lab.run(make_spec("a castle"))
        once = len(encoded)
        warm = lab.run(make_spec("a castle", seeds=(1,), guidance_scale=5.0))
        assert (once > 0, len(encoded)) == (True, once)
        engine.close()
        cold = lab.run(make_spec("a castle", seeds=(1,), guidance_scale=5.0), again=True)
        assert len(encoded) == 2 * once
    assert hashes(workspace, warm) == hashes(workspace, cold)
    assert not cold.images[0].linked


def test_model_file_that_is_changed_is_seen_by_a_warm_server(engine, workspace, make_spec, copy_of_mini):
    """Touched it is the same model, of which nothing is made twice; with other weights another, and named as such."""
    from safetensors.torch import load_file, save_file

    folder = copy_of_mini()
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    spec = make_spec("a castle", model=str(folder))
    with running_server(Kept(engine)) as find:
        lab = RemoteLab(find, workspace)
        first = lab.run(spec)
        file.touch()
        assert lab.run(spec).id == first.id
        kept = file.read_bytes()
        save_file({name: each * 0.9 for name, each in load_file(file).items()}, file)
        second = lab.run(spec)
        assert (second.id, second.images[0].linked) == (2, None)
        assert hashes(workspace, second) != hashes(workspace, first)
        (verdict,) = lab.verify(["1"])
        assert f"model '{folder}' is not what run 1 was made by" in verdict.problem
        file.write_bytes(kept)
        (verdict,) = lab.verify(["1"])
        assert verdict.verification.outcome is Outcome.EXACT
