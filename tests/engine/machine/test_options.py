"""How a machine carries a run out: what is refused before a weight is read, what is done, what is recorded."""

import warnings

import numpy as np
import pytest

from promptlab.engine.loading.placement import offload, place, placement
from promptlab.engine.machine.options import apply_options
from promptlab.engine.machine.torch_setup import quietly
from promptlab.engine.pipelines.capabilities import NATIVE, allowed_backends, check_machine
from promptlab.engine.sources.configuration import read_configuration
from promptlab.errors import EngineError, InputError
from promptlab.plan import requests_of
from promptlab.specs import MachineSpec
from tests.engine.company import DEVICE
from tests.engine.folders import write_json
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
        tasks = requests_of(engine.resolve(make_spec(seeds=seeds, **given)))
        return {picture.task.seed: picture.pixels for picture in engine.generate(tasks)}

    return make


def check(folder, machine, *, device="cpu", dtype="float32", kind="StableDiffusionPipeline", vae=None):
    import diffusers

    config = read_configuration(folder, "it")
    check_machine(MachineSpec(**machine), config, vae, getattr(diffusers, kind), device, dtype)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            {"offload": "model"},
            "offload 'model' needs an accelerator with memory of its own: on cpu weights have",
        ),
        ({"offload": "sequential"}, "offload 'sequential' needs an accelerator"),
        ({"offload": "group"}, "offload 'group' needs an accelerator.*; type: the command without offload"),
        ({"attention_backend": "native2"}, "'native2' is no attention backend.*did you mean native.*allowed: native, "),
        (
            {"attention_backend": "_native_cudnn"},
            "'_native_cudnn' does not run on cpu.*; type: attention_back",
        ),
        ({"attention_backend": "flash_hub"}, "'flash_hub' would run programs from the Hub, which is never done"),
        (
            {"attention_slicing": True, "attention_backend": "_native_math"},
            "takes the place of attention_backend=_",
        ),
        ({"compile": True, "dtype": "float16"}, "compile cannot be done in float16 on a CPU"),
    ],
)
def test_what_a_cpu_cannot_do_is_refused_in_one_line(engine, make_spec, tiny, flags, sentence):
    """Before a weight is read: when the spec is resolved."""
    with pytest.raises(InputError, match=sentence) as refused:
        engine.resolve(make_spec(model=str(tiny), device="cpu", **flags))
    assert "\n" not in str(refused.value)


def test_what_a_pipeline_cannot_do_is_refused(flux, tiny, tmp_path):
    """A flag that would do nothing is an error, too."""
    import diffusers

    for flags, sentence in (
        (
            {"attention_slicing": True},
            "attention_slicing means nothing to FluxPipeline, whose attention has no slice",
        ),
        ({"channels_last": True}, "channels_last is for convolutions, and this FluxPipeline has a transformer"),
    ):
        with pytest.raises(InputError, match=sentence):
            check(flux, flags, kind="FluxPipeline")
    with pytest.raises(InputError, match="vae_tiling means nothing to this VQModel, which does not decode in tiles"):
        check(tiny, {"vae_tiling": True}, vae={"_class_name": "VQModel"})
    index = (tiny / "model_index.json").read_text(encoding="utf-8").replace('"vae"', '"other_vae"')
    write_json(tmp_path / "model_index.json", __import__("json").loads(index))
    with pytest.raises(InputError, match="vae_slicing means nothing to StableDiffusionPipeline, which has no VAE"):
        check(tmp_path, {"vae_slicing": True})
    check(tiny, {"vae_tiling": True, "vae_slicing": True}, vae=dict(diffusers.AutoencoderTiny().config))


def test_what_an_accelerator_could_do_is_let_through(flux, tiny):
    """Checked here for a device that is not: what needs another package names it, offloading is fine, and each kind of
    pipeline has its kernels."""
    for how in ("model", "sequential", "group"):
        check(tiny, {"offload": how}, device="cuda:0", dtype="float16")
    with pytest.raises(InputError, match="offload 'model' cannot be done together with compile"):
        check(tiny, {"offload": "model", "compile": True}, device="cuda:0")
    with pytest.raises(InputError, match="means nothing to the attention of StableDiffusionPipeline"):
        check(tiny, {"attention_backend": "sage"}, device="cuda:0")
    with pytest.raises(InputError, match=r"'flash' is not installed: .*flash-attn"):
        check(flux, {"attention_backend": "flash"}, device="cuda:0", kind="FluxPipeline")
    check(flux, {"attention_backend": "_native_cudnn"}, device="cuda:0", kind="FluxPipeline")
    assert allowed_backends("cuda:1", dispatched=False) == NATIVE["cuda"]
    assert "xformers" in allowed_backends("cuda:0", dispatched=True)
    assert not any(name.endswith("_hub") for name in allowed_backends("cuda:0", dispatched=True))


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
def test_the_picture_is_the_same_and_company_changes_nothing(pictures, flags):
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
def test_on_two_threads_company_changes_nothing_either(pictures, torch, flags):
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


def test_each_is_done_while_a_forward_runs_and_undone_afterwards(torch):
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


def test_a_kernel_that_does_not_take_the_numbers_is_one_line(torch):
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


def test_weights_are_laid_out_as_asked(torch):
    """Channels innermost, for convolutions; a compiled denoiser, and nothing else compiled."""
    unet, vae = tiny_unet(), tiny_vae()
    machine = MachineSpec(channels_last=True, compile=True, vae_slicing=True, exact=True)
    assert placement(machine) == MachineSpec(channels_last=True, compile=True)
    place(unet, machine, "cpu")
    place(vae, machine, "cpu")
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
    assert unet._compiled_call_impl is not None
    assert vae._compiled_call_impl is None


def test_a_compiled_denoiser_makes_the_same_picture(pictures, torch):
    """Through the whole engine, on a CPU alone in its forwards; the compiler stands aside, for it takes a minute."""
    torch.compiler.set_stance("force_eager")
    try:
        made = pictures(compile=True)
    finally:
        torch.compiler.set_stance("default")
    plain = pictures(batch_size=1 if DEVICE == "cpu" else 4)
    assert all(np.array_equal(plain[seed], made[seed]) for seed in plain)


def test_groups_of_layers_are_fetched_when_they_are_needed(engine, pictures, make_spec, tiny, torch):
    """diffusers' group offloading, which a CPU can play for itself: hooks on every layer, the same bytes."""
    import diffusers

    plain = pictures(seeds=(0,), batch_size=1)[0]
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        place(part, MachineSpec(offload="group"), "cpu")
    offload(pipeline, MachineSpec(offload="group"), "cpu")
    assert all(hasattr(layer, "_diffusers_hook") for layer in (pipeline.unet.conv_in, pipeline.vae.decoder.conv_in))

    from promptlab.engine.sampling.static_batching import batches_of, paint

    (batch,) = batches_of(requests_of(engine.resolve(make_spec(
        seeds=(0,), model=str(tiny), num_inference_steps=2, height=32, width=32, batch_size=1))))  # fmt: skip
    (picture,) = paint(pipeline, batch, 1, lambda event: None)
    np.testing.assert_array_equal(picture.pixels, plain)


def test_whole_parts_and_single_layers_are_fetched_by_accelerates_hooks(torch, monkeypatch):
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


def test_what_is_on_is_part_of_the_environment(engine, make_spec, tiny):
    """Another environment for each flag but ``exact``, which changes no bytes; without any, the one it always was."""
    seen = {}
    for flags in (
        {}, {"attention_slicing": True}, {"vae_slicing": True}, {"vae_tiling": True}, {"channels_last": True},
        {"compile": True}, {"attention_backend": "_native_math"},
    ):  # fmt: skip
        resolved = engine.resolve(make_spec(model=str(tiny), **flags))
        seen[tuple(flags)] = engine.environment(resolved)
        assert engine.resolve(resolved.spec) == resolved
    assert len({environment.hash for environment in seen.values()}) == 7
    assert seen["attention_backend",].facts["attention"] == "_native_math"
    assert seen["vae_tiling",].facts["vae_tiling"] is True
    plain = seen[()]
    assert not {"attention_slicing", "vae_slicing", "offload", "compile"} & plain.facts.keys()
    for flags in ({"exact": True}, {"attention_backend": "native"}):
        assert engine.environment(engine.resolve(make_spec(model=str(tiny), **flags))) == plain
