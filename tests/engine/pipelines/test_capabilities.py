"""Machine options that a pipeline, a device or an installation lacks: refused before a weight is read."""

import json

import pytest

from promptlab.engine.pipelines.capabilities import NATIVE, allowed_backends, check_machine
from promptlab.engine.sources.configuration import read_configuration
from promptlab.errors import InputError
from promptlab.specs import MachineSpec
from tests.engine.folders import write_json
from tests.engine.tiny import save_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


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
        ({"graphs": True}, "graphs means nothing to cpu: CUDA graphs are CUDA's"),
        ({"compile": True, "dtype": "float16"}, "compile cannot be done in float16 on a CPU"),
    ],
)
def test_options_that_a_cpu_lacks_are_refused(engine, make_spec, tiny, flags, sentence):
    """Before a weight is read: when the spec is resolved."""
    with pytest.raises(InputError, match=sentence) as refused:
        engine.resolve([make_spec(model=str(tiny), device="cpu", **flags)])
    assert "\n" not in str(refused.value)


def test_options_that_a_pipeline_lacks_are_refused(flux, tiny, tmp_path):
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
    write_json(tmp_path / "model_index.json", json.loads(index))
    with pytest.raises(InputError, match="vae_slicing means nothing to StableDiffusionPipeline, which has no VAE"):
        check(tmp_path, {"vae_slicing": True})
    check(tiny, {"vae_tiling": True, "vae_slicing": True}, vae=dict(diffusers.AutoencoderTiny().config))


def test_options_that_an_accelerator_has_are_accepted(flux, tiny):
    """Checked here for a device that is not: what needs another package names it, offloading is fine, and each kind of
    pipeline has its kernels."""
    for how in ("model", "sequential", "group"):
        check(tiny, {"offload": how}, device="cuda:0", dtype="float16")
    with pytest.raises(InputError, match="offload 'model' cannot be done together with compile"):
        check(tiny, {"offload": "model", "compile": True}, device="cuda:0")
    check(tiny, {"graphs": True}, device="cuda:0", dtype="float16")
    with pytest.raises(InputError, match="graphs cannot be done together with offload"):
        check(tiny, {"offload": "model", "graphs": True}, device="cuda:0")
    with pytest.raises(InputError, match="means nothing to the attention of StableDiffusionPipeline"):
        check(tiny, {"attention_backend": "sage"}, device="cuda:0")
    with pytest.raises(InputError, match=r"'flash' is not installed: .*flash-attn"):
        check(flux, {"attention_backend": "flash"}, device="cuda:0", kind="FluxPipeline")
    check(flux, {"attention_backend": "_native_cudnn"}, device="cuda:0", kind="FluxPipeline")
    assert allowed_backends("cuda:1", dispatched=False) == NATIVE["cuda"]
    assert "xformers" in allowed_backends("cuda:0", dispatched=True)
    assert not any(name.endswith("_hub") for name in allowed_backends("cuda:0", dispatched=True))
