"""A decoder that float16 is too narrow for: noticed, decoded again in float32, and only the rows that need it."""

import numpy as np
import pytest

from promptlab.engine.sampling.fp32_fallback import decode_carefully
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.tiny import save_tiny, tiny_vae

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def overflowing(vae):
    """``vae``, growing numbers in its middle that float16 cannot hold and float32 can; what comes out is the same."""
    import torch

    with torch.no_grad():
        vae.decoder.conv_in.weight.mul_(200_000)  # the group norm after it takes the factor away again
        vae.decoder.conv_in.bias.mul_(200_000)
        for block in vae.decoder.mid_block.resnets[0], vae.decoder.mid_block.resnets[1]:
            block.conv2.weight.mul_(60_000)
            block.conv2.bias.mul_(60_000)
    return vae


@pytest.fixture
def latents(torch):
    return torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)).half()


def test_decoding_row_too_wide_for_float16_is_done_in_float32(torch, latents):
    """By itself, as it would come out of the float32 decoder with the same weights; they are float16 afterwards."""
    vae = overflowing(tiny_vae()).half()
    wide = overflowing(tiny_vae()).half().float()
    assert not torch.isfinite(vae.decode(latents, return_dict=False)[0]).all()
    with torch.inference_mode():
        (sample,), again = decode_carefully(vae, vae.decode, [latents], {"return_dict": False})
        other, _ = decode_carefully(vae, vae.decode, [latents], {})
    assert again == [True] * 3
    assert torch.equal(sample, other.sample)
    assert torch.equal(sample[1:2], wide.decode(latents[1:2].float()).sample)
    assert {each.dtype for each in vae.parameters()} == {torch.float16}
    assert not any(each.is_inference() for each in vae.parameters())


def test_decoding_again_is_only_for_rows_that_need_it(torch, latents):
    """The others are to the byte what they were, and a row does not depend on what the others need."""
    vae = tiny_vae().half()
    plain = vae.decode(latents).sample
    latents[1] = float("inf")
    with torch.no_grad():
        out, again = decode_carefully(vae, vae.decode, [latents], {})
    sample = out.sample
    assert again == [False, True, False]
    assert torch.equal(sample[[0, 2]], plain[[0, 2]].float())
    assert not torch.isfinite(sample[1]).all()  # it was not the decoder's fault: it stays, to be flagged


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_decoding_in_a_wider_dtype_is_left_alone(torch, latents, dtype):
    """Their numbers reach as far as float32's: another decoding would change nothing."""
    vae = tiny_vae().to(getattr(torch, dtype))
    latents[0] = float("nan")
    with torch.no_grad():
        _, again = decode_carefully(vae, vae.decode, [latents.to(vae.dtype)], {})
    assert again == [False] * 3


def test_image_decoded_again_says_so(engine, make_spec, tmp_path):
    """In float16, through the whole pipeline: none is black, each tells its dtype, company changes nothing."""
    folder = save_tiny(tmp_path / "overflowing", vae=overflowing(tiny_vae()))
    spec = make_spec("a", "b", model=str(folder), dtype="float16", height=32, width=32, batch_size=2)
    tasks = requests_of(resolve(engine, spec))
    pictures = list(draw(engine, tasks))
    assert [(picture.flag, picture.decoded_in) for picture in pictures] == [(None, "float32")] * 2
    assert all(picture.pixels.std() > 1 for picture in pictures)
    (alone,) = draw(engine, tasks[1:])
    np.testing.assert_array_equal(alone.pixels, pictures[1].pixels)
    (plain,) = draw(engine, requests_of(resolve(engine, spec.vary(dtype="float32")))[:1])
    assert plain.decoded_in is None
    assert np.abs(plain.pixels.astype(int) - pictures[0].pixels).mean() < 20


def test_image_that_stays_black_is_kept_and_flagged(torch, engine, make_spec, tmp_path):
    """A decoder whose every pixel is black draws black, in float32 as well."""
    vae = tiny_vae()
    with torch.no_grad():
        vae.decoder.conv_out.weight.zero_()
        vae.decoder.conv_out.bias.fill_(-3)
    spec = make_spec(model=str(save_tiny(tmp_path / "black", vae=vae)), dtype="float16", height=32, width=32)
    (picture,) = draw(engine, requests_of(resolve(engine, spec)))
    assert (picture.flag, picture.decoded_in, int(picture.pixels.max())) == ("black", "float32", 0)
