"""Weights that change between resolve and generate: no image is made under a recipe key that is not its own."""

import dataclasses

import pytest

from promptlab.engine import ImageDone, ImageFailed, ModelLoading
from promptlab.plan import requests_of
from promptlab.specs import Lora
from tests.engine.drawing import draw, resolve
from tests.engine.steered import write_lora
from tests.engine.tiny import save_tiny

pytestmark = pytest.mark.slow


def flip(path):
    """Another content of the same size."""
    held = bytearray(path.read_bytes())
    held[-3] ^= 1
    path.write_bytes(held)


@pytest.fixture
def tiny(tmp_path):
    return save_tiny(tmp_path / "tiny")


@pytest.fixture
def tiny_spec(make_spec, tiny):
    return make_spec("a fox", "a dog", model=str(tiny), num_inference_steps=1, height=32, width=32)


def failures(events):
    return {event.request_id: event.reason for event in events if isinstance(event, ImageFailed)}


def test_generate_model_changed_fails_every_image_and_loads_nothing(engine, tiny_spec, tiny):
    """Said in a sentence with both identities; the weights that are there now are not even loaded."""
    resolved = resolve(engine, tiny_spec)
    (weights, *_) = tiny.glob("unet/*.safetensors")
    flip(weights)
    events = list(engine.generate(requests_of(resolved)))
    reasons = failures(events)
    assert list(reasons) == ["0", "1"]
    assert resolved.model_identity[:19] in reasons["0"]
    assert "is not what the image is to be made by" in reasons["0"]
    assert not [event for event in events if isinstance(event, ImageDone | ModelLoading)]
    assert resolve(engine, tiny_spec).model_identity != resolved.model_identity


def test_generate_model_changed_leaves_other_models_alone(engine, tiny_spec, tiny, tmp_path):
    """The images of another model in the same call are made."""
    other = save_tiny(tmp_path / "other")
    bad = requests_of(resolve(engine, tiny_spec), within="bad/")
    good = requests_of(resolve(engine, tiny_spec.vary(model=str(other))), within="good/")
    (weights, *_) = tiny.glob("vae/*.safetensors")
    flip(weights)
    events = list(engine.generate([*bad, *good]))
    assert list(failures(events)) == ["bad/0", "bad/1"]
    assert [event.request_id for event in events if isinstance(event, ImageDone)] == ["good/0", "good/1"]


def test_generate_lora_changed_fails_its_images(engine, make_spec, tmp_path):
    """What is put on top of the weights is told apart by its content as well."""
    lora = write_lora(tmp_path, 3, words=False)
    resolved = resolve(engine, make_spec(loras=(Lora(name=str(lora)),), num_inference_steps=1))
    flip(lora)
    assert "is not what the image is to be made by" in failures(engine.generate(requests_of(resolved)))["0"]


def test_generate_model_gone_fails_its_images(engine, tiny_spec, tiny):
    """A folder that was removed meanwhile is a reason like another."""
    requests = requests_of(resolve(engine, tiny_spec))
    tiny.rename(tiny.with_name("away"))
    assert "does not exist" in failures(engine.generate(requests))["0"]
    tiny.with_name("away").rename(tiny)
    assert len(list(draw(engine, requests))) == 2


def test_generate_other_identity_in_the_request_is_refused(engine, make_spec):
    """Whoever makes requests by hand is held to the same."""
    (request,) = requests_of(resolve(engine, make_spec()))
    other = dataclasses.replace(request, model_identity="sha256:" + "0" * 64)
    assert "sha256:000000000000 was asked for" in failures(engine.generate([other]))["0"]
