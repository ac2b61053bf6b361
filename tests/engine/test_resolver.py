"""Resolving: defaults are filled in from the model itself, and what cannot be is refused before a weight is read."""

import json

import pytest

from promptlab.errors import EngineError, InputError, UnknownValue
from promptlab.specs import SchedulerSpec
from tests.engine.drawing import resolve
from tests.engine.folders import write_json

pytestmark = pytest.mark.slow


def test_resolve_fills_in_the_models_defaults(engine, make_spec):
    """Whatever was not said is named afterwards: by the signature, the configuration, the device."""
    spec = make_spec("a", "b", seeds=(1, 2, 3), num_inference_steps=None, height=None, width=None, device=None)
    resolved = resolve(engine, spec)
    pipeline, call = resolved.spec.pipeline, resolved.spec.call
    assert (call.num_inference_steps, call.guidance_scale, call.height, call.width) == (50, 7.5, 128, 128)
    assert pipeline.scheduler == SchedulerSpec(name="PNDMScheduler")
    assert pipeline.dtype == ("float32" if resolved.device == "cpu" else "float16")
    assert resolved.spec.batch_size == 4
    assert resolved.spec.device is None
    assert resolved.model_identity.startswith("sha256:")


def test_resolve_twice_changes_nothing(engine, make_spec, mini):
    """A stored spec is resolved again on every rerun; it must stay the same recipe."""
    for spec in (make_spec(), make_spec(vae=str(mini / "vae")), make_spec(width=None)):
        resolved = resolve(engine, spec)
        assert resolve(engine, resolved.spec) == resolved


def test_resolve_of_a_transformer_fills_in_its_defaults(engine, make_spec, flux):
    """Nothing holds for one family only: here guidance is a number for the model, and the size is in its code."""
    resolved = resolve(engine, make_spec(model=str(flux), num_inference_steps=None, height=None, width=None))
    assert (resolved.spec.call.num_inference_steps, resolved.spec.call.guidance_scale) == (28, 3.5)
    assert (resolved.spec.call.height, resolved.spec.call.width) == (1024, 1024)
    assert resolved.spec.pipeline.scheduler == SchedulerSpec(name="FlowMatchEulerDiscreteScheduler")


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ((60, 64), "size '64x60' is not divisible by 16.*; allowed: 64x48 or 64x64, the nearest; type: size=64x64"),
        ((64, 3), "size '3x64' is not divisible by 16.*; allowed: 16x64 or 16x64, the nearest; type: size=16x64"),
        ((None, 130), "size '130x128' .*; allowed: 128x128 or 144x128, the nearest"),
    ],
)
def test_size_not_divisible_is_refused(engine, make_spec, size, sentence):
    """The nearest sizes are named, width first, as they are typed."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(height=size[0], width=size[1]))


def test_size_of_folded_latents_needs_twice_the_multiple(engine, make_spec, flux):
    """A model that folds latents two by two would round the size silently."""
    with pytest.raises(InputError, match="size '72x64' is not divisible by 16"):
        resolve(engine, make_spec(model=str(flux), height=64, width=72))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((("eeta", 0.5),), r"arguments 'eeta' is no argument of StableDiffusionPipeline .* .did you mean eta"),
        ((("eta", "much"),), "arguments 'eta=much' is of the wrong kind; allowed: float; type: arguments=.eta=VALUE"),
        ((("guidance_scale", 3),), "arguments 'guidance_scale' has an option of its own; allowed: guidance_scale"),
        ((("latents", 1),), "arguments 'latents' is no argument of StableDiffusionPipeline that can be typed"),
        ((("output_type", "latent"),), "arguments 'output_type' is no argument"),
    ],
)  # fmt: skip
def test_call_argument_unknown_is_refused(engine, make_spec, arguments, sentence):
    """diffusers ignores an argument it does not know; here it is refused, and so is one that cannot be typed."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(arguments=arguments))


def test_call_argument_known_is_kept(engine, make_spec):
    """Arguments that only some pipelines have are taken by their diffusers names."""
    call = resolve(engine, make_spec(arguments=(("clip_skip", 1), ("eta", 1), ("guidance_rescale", 0.7)))).spec.call
    assert (dict(call.arguments), call.clip_skip, call.guidance_rescale) == ({"eta": 1}, 1, 0.7)


def test_negative_prompt_not_taken_is_refused(engine, make_spec, make_model):
    """A negative prompt that would be ignored is refused."""
    model = make_model(
        "Flux2KleinPipeline", scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler", {}),
        transformer=("diffusers", "Flux2Transformer2DModel", {"in_channels": 128}),
        vae=("diffusers", "AutoencoderKLFlux2", {"latent_channels": 32}),
    )  # fmt: skip
    with pytest.raises(
        InputError, match="negative_prompt 'blurry' means nothing to Flux2KleinPipeline; allowed: a model that"
    ):
        resolve(engine, make_spec("a fox", negative_prompt="blurry", model=str(model)))


@pytest.mark.parametrize(
    ("pipeline", "sentence"),
    [
        (
            "StableDiffusionUpscalePipeline",
            "is a StableDiffusionUpscalePipeline, which makes no images from text alone",
        ),
        (
            "StableVideoDiffusionPipeline",
            "makes no images from text alone: it makes videos; allowed: text-to-image models",
        ),
        ("WanPipeline", "makes no images from text alone"),
        ("AudioLDM2Pipeline", "makes no images from text alone"),
        ("DDPMPipeline", "makes no images from text alone"),
        ("PipelineOfTomorrow", r"is a PipelineOfTomorrow, which this diffusers \(\d.*\) does not know"),
    ],
)
def test_model_not_text_to_image_is_refused(engine, make_spec, make_model, pipeline, sentence):
    """A model that needs a picture, or makes videos or sounds, is refused by its class."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(model=str(make_model(pipeline, vae=("diffusers", "AutoencoderKL", {})))))


def test_model_for_inpainting_is_refused(engine, make_spec, copy_of_mini):
    """It would load as a text-to-image model and fail in its decoder: its denoiser wants a mask as well."""
    folder = copy_of_mini()
    config = json.loads((folder / "unet" / "config.json").read_text())
    write_json(folder / "unet" / "config.json", {**config, "in_channels": 9, "out_channels": 4})
    with pytest.raises(InputError, match="makes no images from text alone"):
        resolve(engine, make_spec(model=str(folder)))


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "gpu", ""])
def test_device_missing_is_refused(engine, make_spec, device):
    """Asking for an accelerator that is missing is an error, never a silent fall back to the CPU."""
    with pytest.raises(UnknownValue, match=rf"device '{device}' is not there.*; allowed: .*cpu; type: device=cpu"):
        resolve(engine, make_spec(device=device))


def test_device_names_are_completed(engine, make_spec):
    """The device in a record is the one that is used."""
    assert resolve(engine, make_spec(device="CPU")).device == "cpu"


def test_generator_device_elsewhere_is_refused(engine, make_spec):
    """diffusers would refuse any other place once the weights are loaded."""
    with pytest.raises(UnknownValue, match=r"generator_device 'cuda' is not there.*; allowed: cpu"):
        resolve(engine, make_spec(generator_device="cuda"))


def test_dtype_unknown_is_refused(engine, make_spec):
    """A string that torch does not know would silently be float32."""
    with pytest.raises(
        UnknownValue, match=r"dtype 'float61' is unknown .did you mean float16.*; allowed: float32, float16, b"
    ):
        resolve(engine, make_spec(dtype="float61"))


def test_environment_names_what_computes_and_nobody(engine, make_spec):
    """Versions, device, kernels and flags are facts; paths, hosts and users are not."""
    import getpass
    import platform

    resolved = resolve(engine, make_spec())
    facts = resolved.environment.facts
    assert {"torch", "diffusers", "transformers", "accelerate", "python", "promptlab", "threads", "tf32", "device_name",
            "cpu_capability", "attention", "deterministic", "generator_device"} <= facts.keys()  # fmt: skip
    assert facts["device"] == "cpu"
    assert facts["tf32"] is False
    assert facts["deterministic"] is True
    told = " ".join(str(value) for value in facts.values())
    assert platform.node() not in told.split()
    assert getpass.getuser() not in told.split()
    assert "/" not in told.replace(str(facts["device_name"]), "")
    assert resolved.environment.hash == resolved.environment.hash


def test_resolve_raises_no_foreign_error(engine, make_spec, copy_of_mini):
    """Whatever a damaged model makes the libraries raise is one line of PromptLab's own."""
    folder = copy_of_mini()
    write_json(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL", "block_out_channels": ["x", 3]})
    write_json(folder / "unet" / "config.json", {"sample_size": 16, "in_channels": "many", "patch_size": [2]})
    write_json(folder / "scheduler" / "scheduler_config.json", {"beta_schedule": 7})
    with pytest.raises((EngineError, InputError)) as caught:
        resolve(engine, make_spec(model=str(folder), scheduler=SchedulerSpec(name="DDIMScheduler")))
    assert "\n" not in str(caught.value)
