"""A LoRA for another family is told by the names and shapes in its header, before anything is loaded."""

import json
import struct

import pytest

from promptlab.engine.refusals import refuse_early
from promptlab.engine.sources.configuration import Configuration
from promptlab.engine.sources.lora_family import check_family, lora_family, model_family
from promptlab.errors import InputError
from promptlab.specs import Lora


def header(*names, **shapes):
    return {name: {"shape": [4, 3072]} for name in names} | {
        name: {"shape": list(side)} for name, side in shapes.items()
    }


CASES = [
    ("Stable Diffusion XL", header("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_down.weight")),
    ("Stable Diffusion XL", {
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": {"shape": [4, 2048]}
    }),
    ("Stable Diffusion 1", {
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": {"shape": [4, 768]}
    }),
    ("Stable Diffusion 2", {
        "unet.up_blocks.1.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora.down.weight": {"shape": [4, 1024]}
    }),
    ("FLUX.1", {
        "lora_unet_single_blocks_0_linear1.lora_down.weight": {"shape": [4, 3072]},
        "lora_unet_single_blocks_0_linear1.lora_up.weight": {"shape": [21504, 4]},
    }),
    ("FLUX.1", header("transformer.single_transformer_blocks.0.proj_mlp.lora_A.weight")),
    ("FLUX.2", {
        "diffusion_model.single_blocks.0.linear1.lora_A.weight": {"shape": [4, 3072]},
        "diffusion_model.single_blocks.0.linear1.lora_B.weight": {"shape": [27648, 4]},
    }),
    ("FLUX.2", header("transformer.single_transformer_blocks.3.attn.to_qkv_mlp_proj.lora_A.weight")),
    ("Stable Diffusion 3", header("lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight", "lora_te2_a.alpha")),
    ("Qwen-Image", header("transformer_blocks.0.img_mlp.net.2.lora_A.weight")),
    ("Qwen-Image", header("lora_unet_transformer_blocks_0_txt_mod_1.lora_down.weight")),
    ("Z-Image", {"diffusion_model.layers.0.attention.to_q.lora_A.weight": {"shape": [4, 3840]}}),
    ("Lumina 2", {"lora_unet_layers_0_attention_qkv.lora_down.weight": {"shape": [4, 2304]}}),
    ("Krea 2", header("diffusion_model.blocks.0.attn.wq.lora_A.weight")),
    ("Anima", header("diffusion_model.blocks.0.self_attn.output_proj.lora_A.weight")),
    ("Wan", header("diffusion_model.blocks.0.cross_attn.k.lora_A.weight")),
    (None, header("lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight")),
    (None, {"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": {"shape": [4, 16]}}),
    (None, header("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight")),
]  # fmt: skip


@pytest.mark.parametrize(("family", "tensors"), CASES)
def test_lora_family_is_told_by_names_and_shapes(family, tensors):
    """Each family in the namings that its trainers have; where these do not tell, nothing is claimed."""
    assert lora_family(tensors) == family


@pytest.mark.parametrize(
    ("pipeline", "denoiser", "family"),
    [
        ("StableDiffusionXLPipeline", {"cross_attention_dim": 2048}, "Stable Diffusion XL"),
        ("StableDiffusionPipeline", {"cross_attention_dim": 768}, "Stable Diffusion 1"),
        ("StableDiffusionPipeline", {"cross_attention_dim": 16}, "Stable Diffusion"),
        ("FluxKontextPipeline", {}, "FLUX.1"),
        ("Flux2KleinPipeline", {}, "FLUX.2"),
        ("QwenImage21Pipeline", {}, None),
        ("ChromaPipeline", {}, None),
    ],
)
def test_model_family_is_told_by_its_class(pipeline, denoiser, family):
    """In the same words; of a family that takes another's LoRAs, as Chroma takes FLUX's, nothing is claimed."""
    config = Configuration(pipeline_class=pipeline, parts={}, scheduler=None, vae=None, denoiser=denoiser)
    assert model_family(config) == family


def test_lora_for_some_unet_is_left_to_the_layers_of_a_small_one():
    """A model of no known width may take any UNet's LoRA, and no transformer's."""
    small = Configuration(
        pipeline_class="StableDiffusionPipeline",
        parts={},
        scheduler=None,
        vae=None,
        denoiser={"cross_attention_dim": 16},
    )
    check_family("a", header("lora_unet_input_blocks_4_1_proj_in.lora_down.weight"), small)
    with pytest.raises(InputError, match="'a' is for Z-Image, and this model is Stable Diffusion; allowed: a LoRA"):
        check_family("a", {"layers.0.attention.to_q.lora_A.weight": {"shape": [4, 3840]}}, small)


@pytest.mark.slow
def test_lora_of_another_family_is_refused_before_torch_is_imported(make_spec, make_model, tmp_path):
    """One line with both families; the model's weights are none, and are not looked at."""
    model = make_model(
        "FluxPipeline",
        scheduler=("diffusers", "FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        transformer=("diffusers", "FluxTransformer2DModel", {"in_channels": 64, "patch_size": 1}),
        vae=("diffusers", "AutoencoderKL", {"latent_channels": 16, "block_out_channels": [128, 256, 512, 512]}),
    )
    text = json.dumps({
        "lora_unet_input_blocks_4_1_proj_in.lora_down.weight": {"dtype": "F32", "shape": [4, 64]}
    }).encode()  # fmt: skip
    (tmp_path / "xl.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    spec = make_spec(model=str(model), loras=(Lora(name=str(tmp_path / "xl.safetensors")),))
    sentence = r"xl\.safetensors' is for Stable Diffusion XL, and this model is FLUX\.1; allowed: .*Flux"
    with pytest.raises(InputError, match=sentence) as caught:
        refuse_early([spec])
    assert "\n" not in str(caught.value)
