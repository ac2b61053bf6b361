"""Sizes that families change, and numbers of steps that they overrule: refused before anything is made of them."""

from types import SimpleNamespace

import pytest

from promptlab.engine.pipelines.calls import resolve_call
from promptlab.engine.pipelines.sizes import check_image_size
from promptlab.engine.sources.configuration import Configuration
from promptlab.errors import InputError
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant

pytestmark = pytest.mark.slow  # it imports diffusers

VAE = {"block_out_channels": [8, 8, 8, 8], "latent_channels": 16}
LISTED = [(1024, 1024), (640, 1408), (1408, 640), (768, 1280), (1280, 768)]


def resolved(name, plain, **call):
    """The call of diffusers' class ``name`` with numbers of ``plain`` in place of a pipeline without weights."""
    import diffusers

    parts = {"transformer": "Transformer", "vae": "AutoencoderKL"}
    config = Configuration(pipeline_class=name, parts=parts, scheduler=None, vae=VAE, denoiser={})
    spec = RunSpec(
        pipeline=PipelineSpec(model="m"), call=CallSpec(**call), seeds=(1,), device="cpu",
        variants=(Variant(prompt="a fox"),),
    )  # fmt: skip
    return resolve_call(spec, getattr(diffusers, name), config, None, SimpleNamespace(**plain))


FAMILIES = {
    "HiDreamImagePipeline": {"default_sample_size": 128, "vae_scale_factor": 8},
    "FluxKontextPipeline": {"default_sample_size": 128, "vae_scale_factor": 8},
    "HunyuanDiTPipeline": {"default_sample_size": 128, "vae_scale_factor": 8},
    "Kandinsky5T2IPipeline": {"resolutions": LISTED, "vae_scale_factor": 8},
}


@pytest.mark.parametrize(
    ("name", "asked", "made"),
    [
        ("HiDreamImagePipeline", (512, 512), (1024, 1024)),
        ("HiDreamImagePipeline", (1280, 768), (1312, 784)),
        ("FluxKontextPipeline", (512, 512), (1024, 1024)),
        ("HunyuanDiTPipeline", (512, 512), (1024, 1024)),
        ("HunyuanDiTPipeline", (640, 1024), (768, 1280)),
        ("Kandinsky5T2IPipeline", (768, 768), (1024, 1024)),
        ("Kandinsky5T2IPipeline", (512, 1152), (640, 1408)),
    ],
)
def test_size_that_a_family_changes_is_refused(name, asked, made):
    """With the size that it keeps; that one, and the default, are taken."""
    plain = FAMILIES[name]
    with pytest.raises(InputError, match=f"is a size that {name} changes to {made[0]}x{made[1]}"):
        resolved(name, plain, width=asked[0], height=asked[1])
    call = resolved(name, plain, width=made[0], height=made[1])
    assert (call.width, call.height) == made
    default = resolved(name, plain)
    assert resolved(name, plain, width=default.width, height=default.height) == default


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("HunyuanDiTPipeline", (("use_resolution_binning", False),)),
        ("FluxKontextPipeline", (("max_area", 512 * 512),)),
    ],
)
def test_size_with_binning_off_is_kept(name, arguments):
    """Both families have one."""
    call = resolved(name, FAMILIES[name], width=512, height=512, arguments=arguments)
    assert (call.width, call.height) == (512, 512)


def test_size_of_hidream_is_what_its_code_computes():
    """HiDream's arithmetic, written out: pixels are scaled to the default's number, sides cut to sixteen."""
    for asked in [(w, h) for w in (512, 768, 1536) for h in (512, 640, 896, 1280)]:
        with pytest.raises(InputError) as refused:
            resolved("HiDreamImagePipeline", FAMILIES["HiDreamImagePipeline"], width=asked[0], height=asked[1])
        width, height = map(int, str(refused.value).rpartition("size=")[2].strip("\"'").split("x"))
        scale = (1024 * 1024 / (width * height)) ** 0.5
        assert (int(width * scale // 16 * 16), int(height * scale // 16 * 16)) == (width, height)
        assert abs(width / height - asked[0] / asked[1]) < 0.05 * asked[0] / asked[1]


def test_size_that_a_call_would_cut_is_refused():
    """Qwen-Image 2.1 cuts sides to 32 where its VAE would do with 8; its own line says so."""
    plain = {"vae_scale_factor": 16, "config": {}}
    with pytest.raises(InputError, match=r"'1040x1024' is not divisible by 32, .*: 1024x1024 or 1056x1024"):
        resolved("QwenImage21Pipeline", plain, width=1040, height=1024)


def test_steps_of_a_distilled_model_are_fixed():
    """As many as its configuration has noise for, also where nobody says a number."""
    plain = {"vae_scale_factor": 16, "config": SimpleNamespace(sample_sigmas=[1.0, 0.75, 0.5, 0.25])}
    assert resolved("QwenImage21Pipeline", plain, width=1024, height=1024).num_inference_steps == 4
    with pytest.raises(InputError, match=r"num_inference_steps '?20'? has no effect on .*, which was distilled for 4"):
        resolved("QwenImage21Pipeline", plain, width=1024, height=1024, num_inference_steps=20)


def test_size_of_the_image_is_checked():
    """A family that changes sizes and is not known for it is found out at its first picture."""
    import diffusers

    check_image_size(CallSpec(width=64, height=32), (32, 64, 3), diffusers.FluxPipeline)
    with pytest.raises(InputError, match="'64x32' is a size that FluxPipeline changes to 128x64; allowed: 128x64"):
        check_image_size(CallSpec(width=64, height=32), (64, 128, 3), diffusers.FluxPipeline)
