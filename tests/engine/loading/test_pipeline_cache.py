"""One pipeline at a time: what the next one has no use for is gone before anything is loaded, what it shares stays."""

import shutil
import weakref

import pytest
import torch
from safetensors.torch import load_file, save_file

from promptlab.engine import NO_PERMISSIONS, ModelLoaded, ModelLoading
from promptlab.engine.loading.components import component_identities
from promptlab.engine.loading.pipeline_cache import PipelineCache
from promptlab.errors import EngineError
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.tiny import save_tiny, tiny_encoder, tiny_unet, tiny_vae

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models by name: what they do not have of their own, they have as ``plain`` has it."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "plain": save_tiny(folder / "plain"),
        "other words": save_tiny(folder / "words", encoder=tiny_encoder(1)),
        "other vae": save_tiny(folder / "vae", vae=tiny_vae(1)),
        "other unet": save_tiny(folder / "unet", unet=tiny_unet(1)),
        "all other": save_tiny(folder / "all", unet=tiny_unet(2), vae=tiny_vae(2), encoder=tiny_encoder(2)),
    }
    return {name: str(path) for name, path in made.items()}


@pytest.fixture
def make(engine, make_spec, models):
    """Makes one picture with a model, and hands back the pipeline that made it."""
    engine.close()

    def make(name, watch=lambda event: None, **changes):
        spec = make_spec(
            model=models.get(name, name), **{"num_inference_steps": 1, "height": 32, "width": 32, **changes}
        )
        (picture,) = draw(engine, requests_of(resolve(engine, spec)), watch)
        return engine._pipelines._pipeline, picture.pixels.tobytes()

    yield make
    engine.close()


def test_component_identities_are_their_content(engine, models):
    """Whatever folder they lie in, whoever saved them."""
    found = {
        name: component_identities(engine._finder(NO_PERMISSIONS).model(path, None, None))
        for name, path in models.items()
    }
    assert {name: set(parts) for name, parts in found.items()} == {
        name: {"unet", "vae", "text_encoder"} for name in models
    }
    plain = found["plain"]
    differing = {name: {part for part in parts if parts[part] != plain[part]} for name, parts in found.items()}
    assert differing == {
        "plain": set(), "other words": {"text_encoder"}, "other vae": {"vae"}, "other unet": {"unet"},
        "all other": {"unet", "vae", "text_encoder"},
    }  # fmt: skip


def test_pipeline_cache_shares_equal_components(engine, make):
    """The very same modules, and pictures as if each model had been loaded by itself."""
    alone = {}
    for name in ("other words", "other vae", "other unet"):
        engine.close()
        alone[name] = make(name)[1]
    engine.close()
    first, _ = make("plain")
    unet, vae, encoder = first.unet, first.vae, first.text_encoder
    second, words = make("other words")
    assert (second.unet is unet, second.vae is vae, second.text_encoder is encoder) == (True, True, False)
    third, other_vae = make("other vae")
    assert (third.unet is unet, third.vae is vae) == (True, False)
    encoder = third.text_encoder
    fourth, other_unet = make("other unet")
    assert (fourth.unet is unet, fourth.text_encoder is encoder) == (False, True)
    assert {"other words": words, "other vae": other_vae, "other unet": other_unet} == alone


def test_pipeline_cache_of_another_dtype_shares_nothing(make):
    """A part is what it is in its dtype."""
    first, _ = make("plain")
    unet = weakref.ref(first.unet)
    second, _ = make("plain", dtype="bfloat16")
    assert unet() is None
    assert str(second.unet.dtype) == "torch.bfloat16"


def test_pipeline_cache_frees_before_it_loads(make):
    """When loading begins, nothing is alive of the last pipeline but what this one shares, though it is still held."""
    held, _ = make("plain")
    parts = {name: weakref.ref(getattr(held, name)) for name in ("unet", "vae", "text_encoder")}
    alive = []

    def watch(event):
        if isinstance(event, ModelLoading):
            alive.append({name for name, part in parts.items() if part() is not None})

    make("all other", watch)
    make("plain")
    parts = {name: weakref.ref(getattr(make("plain")[0], name)) for name in parts}
    make("other unet", watch)
    assert alive == [set(), {"vae", "text_encoder"}]
    assert held.unet is None


def test_pipeline_cache_with_another_vae_keeps_the_rest(make, models):
    """Only the VAE, and it stays when the next model is run with it, too; the model's own comes back."""
    first, plain = make("plain")
    unet = first.unet
    vae = f"{models['all other']}/vae"
    second, _ = make("plain", vae=vae)
    other, encoder = second.vae, second.text_encoder
    assert second.unet is unet
    third, _ = make("other unet", vae=vae)
    assert (third.vae is other, third.text_encoder is encoder, third.unet is unet) == (True, True, False)
    fourth, again = make("plain")
    assert fourth.vae is not other
    assert again == plain


def test_pipeline_cache_of_one_setting_loads_once(make, models):
    """Asked for again, it is there."""
    events = []
    make("plain")
    make("plain", events.append)
    make("plain", events.append, num_inference_steps=2)
    assert [event for event in events if isinstance(event, ModelLoading)] == []
    assert PipelineCache().free() is None


def changed_vae(models, folder, change):
    """A copy of the plain model whose VAE's weights were changed."""
    shutil.copytree(models["plain"], folder)
    (file,) = (folder / "vae").glob("*.safetensors")
    weights = load_file(file)
    change(weights)
    save_file(weights, file)
    return str(folder)


def test_weights_that_are_left_out_are_said_each_time(make, models, tmp_path):
    """What the libraries log of a checkpoint that has more than the model: one line, also once it is there."""
    odd = changed_vae(models, tmp_path / "odd", lambda weights: weights.update({"odd.layer.weight": torch.ones(2)}))
    for _ in range(2):
        heard = []
        make(odd, heard.append)
        said = [remark for event in heard if isinstance(event, ModelLoaded) for remark in event.remarks]
        assert len(said) == 1
        assert all(one.startswith(f"{odd}: ") and "odd.layer.weight" in one for one in said)


def test_weights_that_are_missing_are_named(make, models, tmp_path):
    """And not what came of it."""
    odd = changed_vae(models, tmp_path / "odd", lambda weights: weights.pop("quant_conv.bias"))
    with pytest.raises(EngineError, match=r"quant_conv\.bias"):
        make(odd)
