"""Tiny pipelines whose words go through a processor that is made for pictures too, which needs torchvision."""

from tests.families import parts, words
from tests.families.language import flow, qwen3_vl


def _qwen3_vl_processor():
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    tokenizer = words.qwen()
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(), tokenizer=tokenizer, video_processor=Qwen3VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )  # fmt: skip


def qwen_image_21():
    from diffusers import AutoencoderKLQwenImage21, QwenImage21Pipeline, QwenImage21Transformer2DModel

    transformer = QwenImage21Transformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2, context_in_dim=16,
        axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    vae = AutoencoderKLQwenImage21(
        base_dim=8, decoder_base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1, 1], num_res_blocks=1, latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )  # fmt: skip
    return QwenImage21Pipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=vae.eval(),
        text_encoder=qwen3_vl("Qwen3VLForConditionalGeneration"), processor=_qwen3_vl_processor(),
        transformer=parts.scrambled(transformer),
    )  # fmt: skip


def nucleus_moe_image():
    from diffusers import NucleusMoEImagePipeline, NucleusMoEImageTransformer2DModel

    transformer = NucleusMoEImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(8, 4, 4), mlp_ratio=8.0,
        dense_moe_strategy="leave_first_block_dense", num_experts=4, moe_intermediate_dim=16, capacity_factors=2.0,
    )  # fmt: skip
    return NucleusMoEImagePipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=parts.kl_qwen(),
        text_encoder=qwen3_vl("Qwen3VLForConditionalGeneration", layers=9), processor=_qwen3_vl_processor(),
        transformer=parts.scrambled(transformer),
    )  # fmt: skip


def omnigen():
    from diffusers import OmniGenPipeline, OmniGenTransformer2DModel

    transformer = OmniGenTransformer2DModel(
        in_channels=4, hidden_size=32, num_attention_heads=4, num_key_value_heads=4, intermediate_size=32,
        num_layers=1, pad_token_id=0, vocab_size=360, time_step_dim=8,
        rope_scaling={"long_factor": [1.0] * 4, "short_factor": [1.0] * 4},
    )  # fmt: skip
    return OmniGenPipeline(
        transformer=parts.scrambled(transformer), scheduler=flow(invert_sigmas=True, num_train_timesteps=1),
        vae=parts.kl(blocks=(8, 8, 8, 8)), tokenizer=words.llama(4096),
    )  # fmt: skip


def glm_image():
    import transformers
    from diffusers import GlmImagePipeline, GlmImageTransformer2DModel

    codes, none = 16, 271  # a token that is neither code nor letter
    tokenizer = words.glm_image()
    config = transformers.GlmImageConfig(
        text_config={
            "vocab_size": 272, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vision_vocab_size": codes, "pad_token_id": 0,
            "eos_token_id": none,  # a picture that ends early is none
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e4},
        },
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "image_size": 64, "intermediate_size": 16},
        vq_config={"embed_dim": 8, "num_embeddings": codes, "latent_channels": 16},
        image_token_id=tokenizer.convert_tokens_to_ids("<|image|>"),
        image_start_token_id=tokenizer.bos_token_id, image_end_token_id=none,
    )  # fmt: skip
    processor = transformers.GlmImageProcessor(
        image_processor=transformers.GlmImageImageProcessorPil(), tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    transformer = GlmImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        text_embed_dim=32, time_embed_dim=16, condition_dim=8, prior_vq_quantizer_codebook_size=codes,
    )  # fmt: skip
    return GlmImagePipeline(
        tokenizer=words.byte_level(512), processor=processor, text_encoder=parts.t5(),
        vision_language_encoder=parts.scrambled(transformers.GlmImageForConditionalGeneration(config), 1.2),
        vae=parts.kl(blocks=(8, 8, 8, 8), latents_mean=[0.0] * 4, latents_std=[1.0] * 4),
        transformer=parts.scrambled(transformer),
        scheduler=flow(base_shift=0.25, max_shift=0.75, use_dynamic_shifting=True),
    )  # fmt: skip
