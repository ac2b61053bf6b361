"""Encoders and autoencoders with random weights, small as can be, that several families share."""


def scrambled(model, spread=0.08):
    """``model`` with every matrix drawn anew: layers that begin at zero would let no word through, and memory that was
    never written may hold anything."""
    import torch

    generator = torch.Generator().manual_seed(sum(map(ord, type(model).__name__)))
    with torch.no_grad():
        for tensor in model.parameters():
            if tensor.ndim > 1 or not torch.isfinite(tensor).all():
                tensor.normal_(0, spread, generator=generator)
    return model.eval()


def clip_config(width=32, projection=32, vocabulary=514, **changes):
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        hidden_size=width, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2, projection_dim=projection,
        vocab_size=vocabulary, bos_token_id=512, eos_token_id=513, pad_token_id=513, **changes,
    )  # fmt: skip


def clip(width=32, **changes):
    from transformers import CLIPTextModel

    return CLIPTextModel(clip_config(width, **changes)).eval()


def clip_projected(width=32, **changes):
    from transformers import CLIPTextModelWithProjection

    return CLIPTextModelWithProjection(clip_config(width, **changes)).eval()


def clip_vision(width=32):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=width, image_size=28, projection_dim=width, intermediate_size=37, num_attention_heads=4,
            num_hidden_layers=2, patch_size=14,
        )
    ).eval()  # fmt: skip


def t5(width=32):
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(_t5(T5Config, width)).eval()


def umt5(width=32):
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(_t5(UMT5Config, width)).eval()


def _t5(kind, width):
    return kind(vocab_size=384, d_model=width, d_ff=37, d_kv=8, num_heads=4, num_layers=2, dropout_rate=0.0)


def qwen3(kind="Qwen3Model", width=16, layers=2, vocabulary=272):
    import transformers

    config = transformers.Qwen3Config(
        hidden_size=width, intermediate_size=16, num_hidden_layers=layers, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, vocab_size=vocabulary, max_position_embeddings=2048,
    )  # fmt: skip
    return getattr(transformers, kind)(config).eval()


def gemma2(kind="Gemma2Model", width=8):
    import transformers

    config = transformers.Gemma2Config(
        head_dim=4, hidden_size=width, intermediate_size=8, num_attention_heads=2, num_hidden_layers=2,
        num_key_value_heads=2, sliding_window=4096, vocab_size=360,
    )  # fmt: skip
    return getattr(transformers, kind)(config).eval()


def kl(channels=4, blocks=(8, 8), **changes):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=blocks, layers_per_block=1, norm_num_groups=2, latent_channels=channels, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * len(blocks), up_block_types=("UpDecoderBlock2D",) * len(blocks),
        **changes,
    ).eval()  # fmt: skip


def kl_flow(channels=4, blocks=(8, 8), **changes):
    """An AutoencoderKL as flow-matching models have them: no quantisation, latents moved as well as scaled."""
    changes = {"shift_factor": 0.0609, "scaling_factor": 1.5035, **changes}
    return kl(channels, blocks, use_quant_conv=False, use_post_quant_conv=False, **changes)


def kl_flux2(channels=4):
    from diffusers import AutoencoderKLFlux2

    return AutoencoderKLFlux2(
        block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=2, latent_channels=channels, sample_size=32,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        use_quant_conv=False, use_post_quant_conv=False,
    ).eval()  # fmt: skip


def kl_qwen(channels=4):
    from diffusers import AutoencoderKLQwenImage

    return AutoencoderKLQwenImage(
        base_dim=8, z_dim=channels, dim_mult=[1, 1, 2], num_res_blocks=1, temperal_downsample=[False, True],
        latents_mean=[0.0] * channels, latents_std=[1.0] * channels,
    ).eval()  # fmt: skip


def dc(channels=4):
    from diffusers import AutoencoderDC

    return AutoencoderDC(
        latent_channels=channels, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    ).eval()  # fmt: skip


def movq(blocks=2):
    from diffusers import VQModel

    return VQModel(
        block_out_channels=[32] * blocks, layers_per_block=1, latent_channels=4, norm_num_groups=8,
        down_block_types=[*["DownEncoderBlock2D"] * (blocks - 1), "AttnDownEncoderBlock2D"],
        up_block_types=["AttnUpDecoderBlock2D", *["UpDecoderBlock2D"] * (blocks - 1)],
        norm_type="spatial", num_vq_embeddings=12, vq_embed_dim=4,
    ).eval()  # fmt: skip
