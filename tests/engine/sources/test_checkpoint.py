"""A checkpoint in one file, as model pages offer them, makes the pictures that its folder makes."""

import json
import shutil

import numpy as np
import pytest

from promptlab.engine.schedulers.training_marks import as_marked
from promptlab.errors import InputError, NotFound
from promptlab.plan import requests_of
from promptlab.specs.schedulers import parse_scheduler
from tests.engine.drawing import draw, resolve
from tests.engine.folders import write_hub_cache, write_json
from tests.engine.single_file import write_checkpoint, write_small

pytestmark = pytest.mark.slow

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def checkpoint(small, tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("files") / "small.safetensors", small)


def test_checkpoint_makes_the_images_of_its_folder(engine, make_spec, small, checkpoint, tmp_path):
    """The file holds the weights; the configuration of the model it comes from is taken from the Hub's cache."""
    write_hub_cache(tmp_path / "hub", SD, small)
    of_file = resolve(engine, make_spec(model=str(checkpoint), num_inference_steps=2))
    assert of_file.model_identity.startswith("sha256:")
    assert resolve(engine, of_file.spec) == of_file
    named = resolve(engine, make_spec(model=str(checkpoint), config=str(small), num_inference_steps=2))
    assert named.model_identity == of_file.model_identity
    from_file = [picture.pixels for picture in draw(engine, requests_of(of_file))]
    engine.close()
    from_folder = [p.pixels for p in draw(engine, requests_of(resolve(engine, make_spec(model=str(small)))))]
    np.testing.assert_array_equal(from_file, from_folder)


def test_checkpoint_without_parts_takes_those_of_the_cache(engine, make_spec, small, tmp_path):
    """As FLUX is offered: a denoiser alone. The encoder and the VAE of the cache are part of the recipe; without them
    it is refused, with what to download."""
    cached = write_hub_cache(tmp_path / "hub", SD, small)
    bare = write_checkpoint(tmp_path / "bare.safetensors", small, encoder=False, vae=False)
    spec = make_spec(model=str(bare), num_inference_steps=1)
    before = resolve(engine, spec)
    assert resolve(engine, spec.vary(config=str(small))).model_identity == before.model_identity
    made = [picture.pixels for picture in draw(engine, requests_of(before))]
    engine.close()
    whole = resolve(engine, make_spec(model=str(small), num_inference_steps=1))
    np.testing.assert_array_equal(made, [picture.pixels for picture in draw(engine, requests_of(whole))])
    for part, name in (("text_encoder", "model"), ("vae", "diffusion_pytorch_model")):
        weights = cached / part / f"{name}.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        assert resolve(engine, spec).model_identity != before.model_identity
        weights.unlink()
        said = rf"has no {part}, a .*, and nor has the Hub cache that of .*; type: hf download .* '{part}/\*'"
        with pytest.raises(InputError, match=said):
            resolve(engine, spec)
        shutil.copy(small / part / f"{name}.safetensors", weights)


def test_checkpoint_with_revision_is_refused(checkpoint, engine, make_spec):
    """Revisions are the Hub's."""
    with pytest.raises(InputError, match="revision 'main' means nothing for"):
        resolve(engine, make_spec(model=str(checkpoint), revision="main"))


def test_checkpoint_with_config_makes_the_same_images(checkpoint, engine, make_spec, small, tmp_path, monkeypatch):
    """A folder or a Hub id stands in for what diffusers would tell from the tensors; its content is part of the recipe,
    wherever it lies."""
    write_hub_cache(tmp_path / "hub", "org/small", small)
    monkeypatch.chdir(small.parent)
    spec = make_spec(model=str(checkpoint), config="./small", num_inference_steps=2)
    of_folder, of_hub = resolve(engine, spec), resolve(engine, spec.vary(config="org/small"))
    assert (of_folder.spec.pipeline.config, of_hub.spec.pipeline.config) == (str(small), "org/small")
    assert of_folder.model_identity == of_hub.model_identity
    assert resolve(engine, of_folder.spec) == of_folder
    named = [picture.pixels for picture in draw(engine, requests_of(of_folder))]
    engine.close()
    plain = resolve(engine, make_spec(model=str(small), num_inference_steps=2))
    np.testing.assert_array_equal(named, [picture.pixels for picture in draw(engine, requests_of(plain))])
    other = shutil.copytree(small, tmp_path / "other", ignore=shutil.ignore_patterns("*.safetensors"))
    assert resolve(engine, spec.vary(config=str(other))).model_identity == of_folder.model_identity
    config = json.loads((other / "scheduler" / "scheduler_config.json").read_text())
    write_json(other / "scheduler" / "scheduler_config.json", {**config, "beta_end": 0.013})
    assert resolve(engine, spec.vary(config=str(other))).model_identity != of_folder.model_identity


def test_checkpoint_marked_for_v_prediction_gets_the_scheduler_that_it_asks_for(
    checkpoint, engine, make_spec, small, tmp_path
):
    """Two empty tensors say how it was trained, which its base model's configuration cannot know; options win."""
    import torch
    from safetensors.torch import load_file, save_file

    config = shutil.copytree(small, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors"))
    plain = json.loads((config / "scheduler" / "scheduler_config.json").read_text())
    write_json(config / "scheduler" / "scheduler_config.json", {**plain, "prediction_type": "epsilon"})

    def scheduler(*marks, **changes):
        path = tmp_path / f"marked{'-'.join(marks)}.safetensors"
        save_file({**load_file(checkpoint), **{mark: torch.empty(0) for mark in marks}}, path)
        spec = make_spec(model=str(path), config=str(config), **changes)
        return str(resolve(engine, spec).spec.pipeline.scheduler)

    assert "prediction" not in scheduler()
    assert scheduler("v_pred").endswith("prediction_type=v_prediction")
    marked = scheduler("v_pred", "ztsnr", scheduler=parse_scheduler("euler"))
    assert marked == "EulerDiscreteScheduler:prediction_type=v_prediction,rescale_betas_zero_snr=true"
    assert "v_prediction" not in scheduler("v_pred", scheduler=parse_scheduler("euler:prediction_type=epsilon"))
    with pytest.raises(InputError, match="has no rescale_betas_zero_snr, which this model asks for by its marks"):
        scheduler("ztsnr", scheduler=parse_scheduler("pndm"))


def test_checkpoint_marked_by_numbers_or_in_its_header_gets_its_scheduler(tmp_path):
    """CosXL's tensors hold the span of its noise, which only EDM's schedulers have; kohya's scripts write a word."""
    import torch
    from safetensors.torch import save_file

    numbers = {"edm_vpred.sigma_max": torch.tensor(120.0), "edm_vpred.sigma_min": torch.tensor(0.002)}
    save_file(numbers, tmp_path / "cos.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "v.safetensors", metadata={"modelspec.prediction_type": "v"})
    save_file({"a": torch.zeros(1)}, tmp_path / "eps.safetensors", metadata={"modelspec.prediction_type": "epsilon"})
    cos = as_marked(None, tmp_path / "cos.safetensors", "EulerDiscreteScheduler")
    options = dict(cos.options)
    assert (cos.name, options["prediction_type"], options["sigma_max"]) == ("EDMEulerScheduler", "v_prediction", 120.0)
    with pytest.raises(InputError, match="euler' has no sigma_data, which this model asks for by its marks"):
        as_marked(parse_scheduler("euler"), tmp_path / "cos.safetensors", "EulerDiscreteScheduler")
    said = as_marked(parse_scheduler("ddim"), tmp_path / "v.safetensors", "EulerDiscreteScheduler")
    assert str(said) == "DDIMScheduler:prediction_type=v_prediction"
    assert as_marked(None, tmp_path / "eps.safetensors", "EulerDiscreteScheduler") is None


def test_config_that_is_none_is_refused(checkpoint, engine, make_spec, small, tmp_path):
    """Nowhere, empty, a file, not cached: each one line, before a weight is read."""
    spec = make_spec(model=str(checkpoint))
    with pytest.raises(
        NotFound, match=r"config '\./nowhere' does not exist; allowed: a diffusers folder with a model_"
    ):
        resolve(engine, spec.vary(config="./nowhere"))
    with pytest.raises(NotFound, match=r"config '.*' does not exist; allowed: a diffusers folder"):
        resolve(engine, spec.vary(config=str(checkpoint)))
    with pytest.raises(InputError, match=r"config '.*' has no model_index\.json, so it is no configuration of a pip"):
        resolve(engine, spec.vary(config=str(tmp_path)))
    with pytest.raises(InputError, match="config 'org/model' is neither a folder here nor in the Hub cache, and the"):
        resolve(engine, spec.vary(config="org/model"))


@pytest.mark.parametrize("model", ["mini", "small", "org/model"])
def test_config_of_a_folder_is_refused(engine, make_spec, small, model):
    """Everything else has its own, so one that is named would be ignored silently."""
    with pytest.raises(InputError, match=r"config 'org/other' means nothing for .*, which has a configuration of its"):
        resolve(engine, make_spec(model=str(small) if model == "small" else model, config="org/other"))
