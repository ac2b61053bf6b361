"""Batch sizes that nobody named: four, and one where an image fills the device or shares a forward with none."""

import pytest

from promptlab.engine.pipelines.batch_sizes import default_batch_size
from promptlab.engine.sources.configuration import Configuration
from promptlab.specs import CallSpec

VAE = {"block_out_channels": [1, 1, 1, 1], "latent_channels": 16}
UNET = Configuration(
    pipeline_class="StableDiffusionXLPipeline", parts={"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"},
    scheduler=None, vae={**VAE, "latent_channels": 4}, denoiser={"in_channels": 4, "sample_size": 128},
)  # fmt: skip
FLUX = Configuration(
    pipeline_class="FluxPipeline", parts={"transformer": "FluxTransformer2DModel", "vae": "AutoencoderKL"},
    scheduler=None, vae=VAE, denoiser={"in_channels": 64, "patch_size": 1},
)  # fmt: skip
HIDREAM = Configuration(
    pipeline_class="HiDreamImagePipeline", parts={"transformer": "HiDreamImageTransformer2DModel"},
    scheduler=None, vae=VAE, denoiser={"in_channels": 16, "patch_size": 2, "num_routed_experts": 4},
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "device", "side", "most"),
    [
        (UNET, "cuda:0", 1024, 4), (FLUX, "cuda:0", 1024, 1), (FLUX, "cuda:0", 512, 4), (FLUX, "cpu", 1024, 4),
        (FLUX, "cuda:0", None, 4), (HIDREAM, "cuda:0", 512, 1), (HIDREAM, "cpu", 128, 1),
    ],
)  # fmt: skip
def test_batch_size_that_nobody_named_is_one_where_an_image_is_enough(config, device, side, most):
    """Four thousand tokens of a transformer on CUDA; experts, whose images share no forward, anywhere."""
    assert default_batch_size(config, CallSpec(height=side, width=side), device) == most
