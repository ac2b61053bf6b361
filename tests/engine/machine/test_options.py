"""Machine options: what they do while a forward runs, and what is recorded of them."""

import warnings

import numpy as np
import pytest

from promptlab.engine.loading.placement import offload, place, placement
from promptlab.engine.machine.options import apply_options
from promptlab.engine.machine.torch_setup import quietly
from promptlab.errors import EngineError
from promptlab.plan import requests_of
from promptlab.specs import MachineSpec
from tests.engine.company import DEVICE
from tests.engine.drawing import draw, draw_with, resolve
from tests.engine.tiny import save_tiny, tiny_unet, tiny_vae

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


@pytest.fixture
def pictures(engine, make_spec, tiny):
    """Pixels by seed, of the tiny model."""

    def make(seeds=(0, 1, 2), **changes):
        given = {
            "model": str(tiny), "dtype": "float32", "num_inference_steps": 2, "height": 32, "width": 32,
            "batch_size": 4, **changes,
        }  # fmt: skip
        tasks = requests_of(resolve(engine, make_spec(seeds=seeds, **given)))
        return {picture.request.seed: picture.pixels for picture in draw(engine, tasks)}

    return make


@pytest.mark.parametrize(
    "flags",
    [
        {"attention_slicing": True},
        {"vae_slicing": True},
        {"vae_tiling": True},
        {"attention_backend": "_native_math"},
        {"channels_last": True},
        {"attention_slicing": True, "vae_slicing": True, "channels_last": True},
    ],
    ids="+".join,
)
def test_options_make_the_same_image_in_any_batch(pictures, flags):
    """It may round otherwise, no more; and within such an environment an image's bytes are its own."""
    plain, made = pictures(), pictures(**flags)
    assert all(np.abs(plain[seed].astype(int) - made[seed]).max() <= 3 for seed in plain)
    assert made[0].tobytes() != made[1].tobytes()
    (alone,) = pictures(seeds=(2,), **flags).values()
    np.testing.assert_array_equal(alone, made[2])
    after = pictures()
    assert all(np.array_equal(plain[seed], after[seed]) for seed in plain)  # the next setting is as if it had not been


@pytest.mark.parametrize(
    "flags",
    [{"attention_slicing": True, "vae_slicing": True}, {"vae_tiling": True, "channels_last": True}, {"compile": True},
     {"attention_backend": "_native_math"}],
    ids="+".join,
)  # fmt: skip
def test_options_on_two_threads_make_the_same_image_in_any_batch(pictures, torch, flags):
    """Alone, in another slot, beside others: the same bytes, where two threads share a batch out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.compiler.set_stance("force_eager")
    try:
        made = pictures(seeds=(0, 1, 2, 3), **flags)
        turned = pictures(seeds=(3, 0), **flags)
    finally:
        torch.compiler.set_stance("default")
        torch.set_num_threads(threads)
    assert len({each.tobytes() for each in made.values()}) == 4
    assert all(np.array_equal(turned[seed], made[seed]) for seed in turned)


def test_options_hold_while_a_forward_runs(torch):
    """Looked at from within: processors, flags and kernels."""
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    class Pipeline:
        unet, vae = tiny_unet(), tiny_vae()

    def state():
        return (
            {type(each).__name__ for each in Pipeline.unet.attn_processors.values()},
            Pipeline.vae.use_slicing, Pipeline.vae.use_tiling, _AttentionBackendRegistry.get_active_backend()[0].value,
            torch.backends.cuda.flash_sdp_enabled(),
        )  # fmt: skip

    before = state()
    assert before == ({"AttnProcessor2_0"}, False, False, "native", True)
    with apply_options(Pipeline, MachineSpec(attention_slicing=True, vae_slicing=True, vae_tiling=True)):
        assert state() == ({"SlicedAttnProcessor"}, True, True, "native", True)
    assert state() == before
    with apply_options(Pipeline, MachineSpec(attention_backend="_native_math")):
        assert state()[3:] == ("_native_math", False)
    assert state() == before


def test_attention_backend_that_does_not_fit_is_one_line(torch):
    """torch's own four words and its page of warnings say nothing of the flag that was typed; other errors stay."""
    numbers = torch.randn(1, 1, 4, 8)
    with (
        pytest.raises(EngineError, match=r"^attention_backend=_native_cudnn does not take .*; type: attent"),
        quietly(),
        apply_options(object(), MachineSpec(attention_backend="_native_cudnn")),
    ):
        torch.nn.functional.scaled_dot_product_attention(numbers, numbers, numbers)
    with quietly():
        warnings.warn(
            "Flash attention kernel not used because: (Triggered internally at /aten/cuda/sdp_utils.cpp:988.)\n  x",
            UserWarning,
            stacklevel=1,
        )
    with (
        pytest.raises(RuntimeError, match=r"^singular$"),
        apply_options(object(), MachineSpec(attention_backend="native")),
    ):
        raise RuntimeError("singular")


def test_channels_last_lays_out_weights(torch):
    """Channels innermost, for convolutions; a compiled denoiser, and nothing else compiled."""
    unet, vae = tiny_unet(), tiny_vae()
    machine = MachineSpec(channels_last=True, compile=True, vae_slicing=True, exact=True)
    assert placement(machine) == MachineSpec(channels_last=True, compile=True)
    place(unet, machine, "cpu")
    place(vae, machine, "cpu")
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert unet._compiled_call_impl is not None
    assert vae._compiled_call_impl is None


def test_compiled_denoiser_makes_the_same_image(pictures, torch):
    """Through the whole engine, on a CPU alone in its forwards; the compiler stands aside, for it takes a minute."""
    torch.compiler.set_stance("force_eager")
    try:
        made = pictures(compile=True)
    finally:
        torch.compiler.set_stance("default")
    plain = pictures(batch_size=1 if DEVICE == "cpu" else 4)
    assert all(np.array_equal(plain[seed], made[seed]) for seed in plain)


def test_offload_by_group_makes_the_same_image(engine, pictures, make_spec, tiny, torch):
    """diffusers' group offloading, which a CPU can play for itself: hooks on every layer, the same bytes."""
    import diffusers

    plain = pictures(seeds=(0,), batch_size=1)[0]
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        place(part, MachineSpec(offload="group"), "cpu")
    offload(pipeline, MachineSpec(offload="group"), "cpu")
    assert all(hasattr(layer, "_diffusers_hook") for layer in (pipeline.unet.conv_in, pipeline.vae.decoder.conv_in))

    spec = make_spec(seeds=(0,), model=str(tiny), num_inference_steps=2, height=32, width=32, batch_size=1)
    (picture,) = draw_with(pipeline, requests_of(resolve(engine, spec)))
    np.testing.assert_array_equal(picture.pixels, plain)


def test_offload_by_model_and_layer_installs_hooks(torch, monkeypatch):
    """diffusers refuses both on a CPU; what they are asked for here is what it takes."""
    import diffusers

    asked = []
    pipeline = diffusers.DiffusionPipeline()
    for name in ("enable_model_cpu_offload", "enable_sequential_cpu_offload"):
        monkeypatch.setattr(type(pipeline), name, lambda self, device, name=name: asked.append((name, device)))
    for how in ("model", "sequential"):
        assert offload(pipeline, MachineSpec(offload=how), "cuda:1") is pipeline
    assert asked == [("enable_model_cpu_offload", "cuda:1"), ("enable_sequential_cpu_offload", "cuda:1")]
    unet = tiny_unet()
    from accelerate import cpu_offload

    inputs = torch.randn(1, 4, 8, 8), torch.tensor([3]), torch.randn(1, 5, 8)
    with torch.no_grad():
        plain = unet(*inputs).sample
        cpu_offload(unet, torch.device("cpu"))
        assert unet.conv_in.weight.is_meta
        assert torch.equal(unet(*inputs).sample, plain)


def test_environment_names_options_that_are_on(engine, make_spec, tiny):
    """Another environment for each flag but ``exact``, which changes no bytes; without any, the one it always was."""
    seen = {}
    for flags in (
        {}, {"attention_slicing": True}, {"vae_slicing": True}, {"vae_tiling": True}, {"channels_last": True},
        {"compile": True}, {"attention_backend": "_native_math"},
    ):  # fmt: skip
        resolved = resolve(engine, make_spec(model=str(tiny), **flags))
        seen[tuple(flags)] = resolved.environment
        assert resolve(engine, resolved.spec) == resolved
    assert len({environment.hash for environment in seen.values()}) == 7
    assert seen["attention_backend",].facts["attention"] == "_native_math"
    assert seen["vae_tiling",].facts["vae_tiling"] is True
    plain = seen[()]
    assert not {"attention_slicing", "vae_slicing", "offload", "compile"} & plain.facts.keys()
    for flags in ({"exact": True}, {"attention_backend": "native"}):
        assert resolve(engine, make_spec(model=str(tiny), **flags)).environment == plain
