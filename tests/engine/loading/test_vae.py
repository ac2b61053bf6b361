"""Another VAE: any that fits, in its own dtype; all others refused before a weight is read."""

import shutil

import numpy as np
import pytest

from promptlab.engine import ModelLoading
from promptlab.errors import InputError, NotFound, UnknownValue
from promptlab.plan import requests_of
from tests.engine.drawing import draw, resolve
from tests.engine.folders import write_hub_cache, write_json, write_safetensors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """An AutoencoderTiny with random weights, for the bundled model's latents."""
    import torch
    from diffusers import AutoencoderTiny

    torch.manual_seed(0)
    blocks = {"encoder_block_out_channels": (8,) * 5, "decoder_block_out_channels": (8,) * 5}
    numbers = {"num_encoder_blocks": (1,) * 5, "num_decoder_blocks": (1,) * 5, "latent_channels": 32}
    folder = tmp_path_factory.mktemp("vaes") / "tiny"
    AutoencoderTiny(**blocks, **numbers).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def wide(mini, tmp_path_factory):
    """The bundled model's VAE, stored in float32."""
    import torch
    from diffusers import AutoencoderKL

    folder = tmp_path_factory.mktemp("vaes") / "wide"
    AutoencoderKL.from_pretrained(mini / "vae", dtype=torch.float32).save_pretrained(folder)
    return folder


def pictures(engine, spec, watch=lambda event: None):
    return [picture.pixels for picture in draw(engine, requests_of(resolve(engine, spec)), watch)]


def test_vae_of_the_model_by_name_makes_the_same_image(engine, make_spec, mini):
    """A VAE named is as good as the one that is there; its content is part of the recipe."""
    named = make_spec(vae=str(mini / "vae"))
    np.testing.assert_array_equal(pictures(engine, named), pictures(engine, make_spec()))
    assert resolve(engine, named).vae_identity.startswith("sha256:")
    assert resolve(engine, named).spec.pipeline.vae == str(mini / "vae")


def test_vae_tiny_is_loaded_by_its_class(engine, make_spec, tiny):
    """An AutoencoderTiny taken for an AutoencoderKL would silently have random weights: twice, two pictures."""
    spec = make_spec(vae=str(tiny))
    first = pictures(engine, spec)
    engine.close()
    np.testing.assert_array_equal(first, pictures(engine, spec))
    assert not np.array_equal(first, pictures(engine, make_spec()))


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.exhaustive)])
def test_vae_wider_than_the_pipeline_keeps_its_dtype(engine, make_spec, wide, dtype):
    """A float32 VAE in a half-precision pipeline decodes in float32, where diffusers would fail."""
    own = pictures(engine, make_spec(dtype=dtype))
    ours = pictures(engine, make_spec(dtype=dtype, vae=str(wide)))
    pipeline = engine._pipelines._pipeline
    assert str(pipeline.vae.dtype) == "torch.float32"
    assert str(pipeline.unet.dtype) == f"torch.{dtype}"
    assert not np.array_equal(own, ours)
    assert np.abs(np.subtract(own, ours, dtype=float)).mean() < 4


def test_vae_narrower_than_the_pipeline_is_widened(engine, make_spec, mini):
    """The bundled VAE is stored in float16; in a float32 pipeline it decodes in float32."""
    pictures(engine, make_spec(vae=str(mini / "vae"), dtype="float32"))
    assert str(engine._pipelines._pipeline.vae.dtype) == "torch.float32"


def test_vae_change_loads_the_vae_alone(engine, make_spec, tiny, wide):
    """The rest of the pipeline stays in memory; its own VAE makes room, and is loaded again when it is asked for."""
    engine.close()
    pictures(engine, make_spec())
    told = []
    for vae in (str(tiny), str(wide), None):
        pictures(engine, make_spec(vae=vae), told.append)
    assert [event.what for event in told if isinstance(event, ModelLoading)] == ["VAE tiny", "VAE wide", "mini"]


def test_vae_in_one_file_takes_the_models_config(engine, make_spec, wide, tmp_path):
    """A file holds no configuration; the model's own VAE lends its."""
    file = tmp_path / "vae-ft.safetensors"
    shutil.copy(wide / "diffusion_pytorch_model.safetensors", file)
    np.testing.assert_array_equal(
        pictures(engine, make_spec(vae=str(file))), pictures(engine, make_spec(vae=str(wide)))
    )


def test_vae_from_the_hub_cache_is_pinned_to_a_commit(engine, make_spec, wide, tmp_path):
    """A cached VAE is known by its commit."""
    write_hub_cache(tmp_path / "hub", "stabilityai/sd-vae-ft-mse", wide)
    resolved = resolve(engine, make_spec(vae="stabilityai/sd-vae-ft-mse"))
    assert resolved.vae_identity == f"commit:{'c' * 40}"
    assert resolve(engine, resolved.spec) == resolved


@pytest.mark.parametrize(
    ("config", "error", "sentence"),
    [
        ({"_class_name": "AutoencoderKL", "latent_channels": 16}, InputError,
         "has latents of 16 channels, this model of 32; allowed: a VAE with 32 latent channels"),
        ({"_class_name": "AutoencoderDC", "latent_channels": 32}, UnknownValue,
         "is a AutoencoderDC; allowed: AutoencoderKL, AutoencoderTiny; type: the command"),
        ({"_class_name": "ConsistencyDecoderVAE", "latent_channels": 32}, UnknownValue,
         "draws noise of its own as it decodes: no picture could be made again; allowed: AutoencoderKL, AutoencoderT"),
        ({"_class_name": "AutoencoderKL", "latent_channels": 32, "block_out_channels": [1, 1, 1]}, InputError,
         "makes 4 × 4 pixels of a latent, this model's VAE 16 × 16; allowed: a VAE of factor 16"),
        ({"_class_name": "AutoencoderKL", "latent_channels": 32, "block_out_channels": [1] * 5, "scaling_factor": 9.5},
         InputError, r"has latents of scaling_factor 9.5, this model of .*; allowed: a VAE with scaling_factor"),
        ({"_class_name": "AutoencoderKL", "latent_channels": 32, "block_out_channels": [1] * 5, "shift_factor": 0.1,
          "scaling_factor": 1.0},
         InputError, r"has latents of shift_factor 0.1, this model of 0; allowed: a VAE with shift_factor 0"),
    ],
)  # fmt: skip
def test_vae_that_does_not_fit_is_refused(engine, make_spec, tmp_path, config, error, sentence):
    """Other latents and other kinds are refused by their configuration."""
    write_json(tmp_path / "odd" / "config.json", config)
    write_safetensors(tmp_path / "odd" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(error, match=sentence):
        resolve(engine, make_spec(vae=str(tmp_path / "odd")))


def test_vae_file_with_other_latents_is_refused(engine, make_spec, tmp_path):
    """A file's tensors tell what its missing configuration cannot."""
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "flux-ae.safetensors"
    save_file({"decoder.conv_in.weight": torch.zeros(8, 16, 3, 3)}, path)
    with pytest.raises(InputError, match="has latents of 16 channels, this model of 32"):
        resolve(engine, make_spec(vae=str(path)))
    save_file({"layers.0.weight": torch.zeros(1)}, path)
    with pytest.raises(
        InputError, match=r"is no AutoencoderKL, and has no config.json beside it; allowed: a file with an Auto"
    ):
        resolve(engine, make_spec(vae=str(path)))


def test_vae_unknown_is_refused(engine, make_spec, tmp_path):
    """What is nowhere does not exist; a folder without configuration is no VAE; a pickle is not opened."""
    with pytest.raises(
        NotFound, match=r"vae 'nope' does not exist; allowed: a Hub id, a folder or a .safetensors file with"
    ):
        resolve(engine, make_spec(vae="nope"))
    with pytest.raises(InputError, match=r"has no config.json, so it is no VAE"):
        resolve(engine, make_spec(vae=str(tmp_path)))
    with pytest.raises(InputError, match="vae 'madebyollin/taesd' is neither a folder here nor in the Hub cache"):
        resolve(engine, make_spec(vae="madebyollin/taesd"))
    write_json(tmp_path / "config.json", {"_class_name": "AutoencoderKL"})
    (tmp_path / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(
        InputError, match=r"vae '.*' has only pickled weights, which may hold programs; .* allow_pickle"
    ):
        resolve(engine, make_spec(vae=str(tmp_path)))


def test_vae_of_a_video_model_is_replaced_by_its_kind_only(engine, make_spec, make_model, mini):
    """Video models' autoencoders have latents of another shape, whatever their channels."""
    vae = {"z_dim": 16, "temperal_downsample": [False, True, True]}
    model = make_model(
        "QwenImagePipeline", scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler", {}),
        transformer=("diffusers", "QwenImageTransformer2DModel", {"in_channels": 64, "patch_size": 2}),
        vae=("diffusers", "AutoencoderKLQwenImage", vae),
    )  # fmt: skip
    with pytest.raises(UnknownValue, match=r"vae '.*' is a AutoencoderKL; allowed: AutoencoderKLQwenImage; type: "):
        resolve(engine, make_spec(model=str(model), vae=str(mini / "vae")))
    assert resolve(engine, make_spec(model=str(model), vae=str(model / "vae"), guidance_scale=None)).vae_identity


def test_vae_of_a_model_without_one_is_refused(engine, make_spec, make_model, mini):
    """There is nothing to replace."""
    model = make_model("IFPipeline", scheduler=("diffusers", "DDPMScheduler", {}), unet=("diffusers", "X", {}))
    with pytest.raises(InputError, match="means nothing to this model, which has none"):
        resolve(engine, make_spec(model=str(model), vae=str(mini / "vae")))


def test_vae_scaling_factor_is_the_new_ones(engine, make_spec, tiny, mini):
    """Pipelines divide by the factor of the VAE that is there: the same latents reach both decoders, each scaled."""
    import torch

    seen = []
    for vae in (str(mini / "vae"), str(tiny)):
        pictures(engine, make_spec(vae=vae, dtype="float32"))
        loaded = engine._pipelines._pipeline.vae
        decode = loaded.decode
        loaded.decode = lambda latents, *args, to=decode, **named: seen.append(latents) or to(latents, *args, **named)
        pictures(engine, make_spec(vae=vae, dtype="float32"))
        loaded.decode = decode
        seen[-1] = seen[-1] * loaded.config.scaling_factor
    assert torch.allclose(*seen, rtol=1e-5)
    assert loaded.config.scaling_factor == 1.0
