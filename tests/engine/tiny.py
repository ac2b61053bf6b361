"""A Stable Diffusion of a few thousand weights, saved in no time: for what is about weights and not pictures."""

from __future__ import annotations

from pathlib import Path

CHANNELS = 8


def tiny_vae(seed=0, **changes):
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    config = {
        "block_out_channels": (CHANNELS, CHANNELS), "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4,
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, **changes,
    }  # fmt: skip
    return AutoencoderKL(**config).eval()


def tiny_unet(seed=0, **changes):
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    config = {
        "sample_size": 16, "block_out_channels": (CHANNELS, CHANNELS), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "attention_head_dim": 2,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 8, **changes,
    }  # fmt: skip
    return UNet2DConditionModel(**config).eval()


def tiny_encoder(seed=0, layers=1):
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    return CLIPTextModel(
        CLIPTextConfig(
            hidden_size=8, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2, vocab_size=300,
            max_position_embeddings=77, bos_token_id=298, eos_token_id=299,
        )
    ).eval()  # fmt: skip


def tokenizer():
    from transformers import CLIPTokenizer

    words = [chr(33 + at) for at in range(94)]
    vocabulary = [*words, *(f"{word}</w>" for word in words), *(f"<{at}>" for at in range(110))]
    names = [*vocabulary, "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: at for at, word in enumerate(names)}, merges=[], model_max_length=77)


def save_tiny(folder: Path, *, unet=None, vae=None, encoder=None) -> Path:
    """A whole model in ``folder``; of parts that are not given, the ones that seed 0 makes."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        vae=vae or tiny_vae(), unet=unet or tiny_unet(), text_encoder=encoder or tiny_encoder(), tokenizer=tokenizer(),
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder)
    return folder


def save_tiny_xl(folder: Path) -> Path:
    """A whole model of Stable Diffusion XL's kind in ``folder``."""
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    torch.manual_seed(1)
    second = CLIPTextModelWithProjection(
        CLIPTextConfig(
            hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=300,
            max_position_embeddings=77, bos_token_id=298, eos_token_id=299, projection_dim=8,
        )
    ).eval()  # fmt: skip
    unet = tiny_unet(
        cross_attention_dim=16, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=8 + 6 * 4,
    )  # fmt: skip
    StableDiffusionXLPipeline(
        vae=tiny_vae(), unet=unet, text_encoder=tiny_encoder(), text_encoder_2=second, tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), scheduler=EulerDiscreteScheduler(), add_watermarker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder
