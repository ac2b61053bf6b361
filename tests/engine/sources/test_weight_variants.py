"""Variants of weights, offline from a Hub cache: which parts have one, which file is read, what is said of none."""

import shutil
from hashlib import sha1

import pytest

from promptlab.errors import UnknownValue
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.folders import write_hub_cache
from tests.engine.tiny import save_tiny, tiny_encoder, tiny_unet, tiny_vae

pytestmark = pytest.mark.slow

NAMES = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Puts a model into the cache; the parts in ``both`` have other weights as their variant, those in ``only`` no
    plain ones beside."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    plain = save_tiny(tmp_path / "plain")
    other = save_tiny(tmp_path / "other", unet=tiny_unet(1), vae=tiny_vae(1), encoder=tiny_encoder(1))

    def put(name, *, both=(), only=()):
        folder = shutil.copytree(plain, tmp_path / name)
        for part in (*both, *only):
            weights = folder / part / f"{NAMES[part]}.safetensors"
            shutil.copy(other / part / weights.name, weights.with_suffix(".fp16.safetensors"))
            if part in only:
                weights.unlink()
        write_hub_cache(tmp_path / "hub", f"org/{name}", folder, commit=sha1(name.encode()).hexdigest())
        return f"org/{name}"

    return put


@pytest.fixture
def drawn(engine, make_spec):
    """The picture of a model, and the variant that its recipe names."""

    def draw_one(model, **changes):
        resolved = resolve(engine, make_spec(model=str(model), num_inference_steps=1, height=32, width=32, **changes))
        assert resolve(engine, resolved.spec) == resolved
        (picture,) = draw(engine, requests_of(resolved))
        return picture.pixels.tobytes(), resolved.spec.pipeline.variant

    return draw_one


def test_weight_variant_asked_for_is_read(cached, drawn, tmp_path):
    """Of the parts that have it; the others are read plain, as diffusers does. Without it, all are."""
    of_all, of_some = cached("all", both=NAMES), cached("some", both=["unet"])
    plain, other = drawn(tmp_path / "plain")[0], drawn(tmp_path / "other")[0]
    mixed = save_tiny(tmp_path / "mixed", unet=tiny_unet(1))
    assert drawn(of_all, variant="fp16") == (other, "fp16")
    assert drawn(of_all) == (plain, None)
    assert drawn(of_all, dtype="float16")[1] is None  # a dtype is what is computed in, and chooses no files
    assert drawn(of_some, variant="fp16") == (drawn(mixed)[0], "fp16")
    assert drawn(of_some) == (plain, None)


def test_weight_variant_alone_is_taken_and_recorded(cached, drawn, tmp_path):
    """There is nothing else to read: of all parts, or of those that have no plain weights, in any dtype."""
    every, one = cached("every", only=NAMES), cached("one", only=["unet"], both=["vae"])
    other = drawn(tmp_path / "other")
    for changes in ({}, {"variant": "fp16"}):
        assert drawn(every, **changes) == (other[0], "fp16")
    assert drawn(every, dtype="float16")[1] == "fp16"
    mixed = save_tiny(tmp_path / "mixed", unet=tiny_unet(1), vae=tiny_vae(1))
    assert drawn(one) == (drawn(mixed)[0], "fp16")


def test_weight_variant_unknown_is_refused(cached, engine, make_spec):
    """Those that are there are named; where there are none, the flag is what is wrong."""
    for model, sentence in (
        (cached("bare"), "is no variant of org/bare; allowed: none; type: the command without variant"),
        (
            cached("full", both=["unet"]),
            "is no variant of org/full (did you mean fp16?); allowed: fp16; type: varian",
        ),
    ):
        with pytest.raises(UnknownValue) as refused:
            resolve(engine, make_spec(model=model, variant="fp61"))
        assert str(refused.value).startswith(f"variant 'fp61' {sentence}")
