"""Tiny pipelines whose words are read by a language model: Qwen, GLM, Mistral."""

from tests.families import parts, words


def flow(**changes):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**changes)


def qwen_image():
    from diffusers import QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(8, 4, 4),
    )  # fmt: skip
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": 272,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16},
    )  # fmt: skip
    return QwenImagePipeline(
        scheduler=flow(), vae=parts.kl_qwen(), text_encoder=Qwen2_5_VLForConditionalGeneration(config).eval(),
        tokenizer=words.qwen(), transformer=parts.scrambled(transformer),
    )  # fmt: skip


def qwen3_vl(kind, layers=2):
    import transformers

    config = transformers.Qwen3VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": layers, "num_attention_heads": 2,
            "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 272,
            "rope_parameters": {"mrope_section": [1, 1, 2], "rope_type": "default", "rope_theta": 1e6},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "deepstack_visual_indexes": [0],
        },
    )  # fmt: skip
    return getattr(transformers, kind)(config).eval()


def krea_2():
    from diffusers import Krea2Pipeline, Krea2Transformer2DModel

    transformer = Krea2Transformer2DModel(
        in_channels=16, num_layers=1, attention_head_dim=8, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=32, timestep_embed_dim=8, text_hidden_dim=16, num_text_layers=3, text_num_attention_heads=2,
        text_num_key_value_heads=1, text_intermediate_size=16, num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1, axes_dims_rope=(4, 2, 2), rope_theta=1000.0,
    )  # fmt: skip
    return Krea2Pipeline(
        scheduler=flow(use_dynamic_shifting=True), vae=parts.kl_qwen(), text_encoder=qwen3_vl("Qwen3VLModel"),
        tokenizer=words.qwen(), transformer=parts.scrambled(transformer), text_encoder_select_layers=(0, 1, 2),
    )  # fmt: skip


def z_image():
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[1024, 32, 32],
    )  # fmt: skip
    return ZImagePipeline(
        scheduler=flow(), vae=parts.kl_flow(), text_encoder=parts.qwen3(), tokenizer=words.qwen(),
        transformer=parts.scrambled(transformer),
    )  # fmt: skip


def z_image_omni():
    from diffusers import ZImageOmniPipeline, ZImageTransformer2DModel
    from transformers import Siglip2ImageProcessorPil, Siglip2VisionConfig, Siglip2VisionModel

    transformer = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2,
        n_kv_heads=2, cap_feat_dim=16, siglip_feat_dim=16, axes_dims=[8, 4, 4], axes_lens=[1024, 32, 32],
    )  # fmt: skip
    config = Siglip2VisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_patches=16, patch_size=8
    )
    return ZImageOmniPipeline(
        scheduler=flow(), vae=parts.kl_flow(), text_encoder=parts.qwen3(), tokenizer=words.qwen(),
        transformer=parts.scrambled(transformer), siglip=Siglip2VisionModel(config).eval(),
        siglip_processor=Siglip2ImageProcessorPil(patch_size=8),
    )  # fmt: skip


def ideogram_4():
    from diffusers import Ideogram4Pipeline, Ideogram4Transformer2DModel

    def transformer():
        return parts.scrambled(
            Ideogram4Transformer2DModel(
                in_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2, intermediate_size=32,
                adaln_dim=16, llm_features_dim=16 * 13, rope_theta=1000, mrope_section=(4, 2, 2),
            )
        )  # fmt: skip

    return Ideogram4Pipeline(
        scheduler=flow(), vae=parts.kl_flux2(), text_encoder=qwen3_vl("Qwen3VLModel", layers=36),
        tokenizer=words.qwen(), transformer=transformer(), unconditional_transformer=transformer(),
    )  # fmt: skip


def ovis():
    from diffusers import OvisImagePipeline, OvisImageTransformer2DModel

    transformer = OvisImageTransformer2DModel(
        patch_size=1, in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return OvisImagePipeline(
        scheduler=flow(), vae=parts.kl_flow(), text_encoder=parts.qwen3(), tokenizer=words.qwen(),
        transformer=parts.scrambled(transformer),
    )  # fmt: skip


def _flux2_transformer(width, **changes):
    from diffusers import Flux2Transformer2DModel

    return parts.scrambled(
        Flux2Transformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=width, axes_dims_rope=(4, 4, 4, 4), **changes,
        )
    )  # fmt: skip


def flux_2_klein():
    from diffusers import Flux2KleinPipeline

    return Flux2KleinPipeline(
        scheduler=flow(), vae=parts.kl_flux2(), text_encoder=parts.qwen3("Qwen3ForCausalLM", layers=28),
        tokenizer=words.qwen(), transformer=_flux2_transformer(48, guidance_embeds=False),
    )  # fmt: skip


def flux_2():
    from diffusers import Flux2Pipeline
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    config = Mistral3Config(
        text_config={
            "model_type": "mistral", "vocab_size": 272, "hidden_size": 16, "intermediate_size": 16, "head_dim": 8,
            "max_position_embeddings": 2048, "num_attention_heads": 2, "num_hidden_layers": 31,
            "num_key_value_heads": 2, "sliding_window": None,
        },
        vision_config={
            "model_type": "pixtral", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "image_size": 28, "patch_size": 14,
        },
        image_token_index=1,
    )  # fmt: skip
    tokenizer = words.byte_level(1024, left=True, special=("[IMG]", "[IMG_BREAK]", "[IMG_END]"))
    return Flux2Pipeline(
        scheduler=flow(), vae=parts.kl_flux2(), text_encoder=Mistral3ForConditionalGeneration(config).eval(),
        tokenizer=tokenizer, transformer=_flux2_transformer(48),
    )  # fmt: skip


def cogview_4():
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel
    from transformers import GlmConfig, GlmModel

    transformer = CogView4Transformer2DModel(
        patch_size=2, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=4, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=4, sample_size=16,
    )  # fmt: skip
    config = GlmConfig(
        hidden_size=32, intermediate_size=8, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, vocab_size=272, pad_token_id=0,
    )  # fmt: skip
    scheduler = flow(
        base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True, time_shift_type="linear"
    )
    return CogView4Pipeline(
        tokenizer=words.byte_level(1024, left=True), text_encoder=GlmModel(config).eval(),
        vae=parts.kl(blocks=(8, 8, 8, 8)), transformer=parts.scrambled(transformer), scheduler=scheduler,
    )  # fmt: skip


def prx():
    from diffusers import PRXPipeline, PRXTransformer2DModel
    from transformers import T5GemmaConfig
    from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

    transformer = PRXTransformer2DModel(
        in_channels=4, patch_size=2, context_in_dim=16, hidden_size=32, mlp_ratio=1.0, num_heads=2, depth=1,
        axes_dim=[8, 8],
    )  # fmt: skip
    config = T5GemmaConfig(
        encoder={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 360, "layer_types": ["full_attention"] * 2,
        }
    )  # fmt: skip
    encoder = T5GemmaEncoder(config.encoder).eval()
    encoder.config = config  # as diffusers reads it: of encoder and decoder both
    return PRXPipeline(
        transformer=parts.scrambled(transformer), scheduler=flow(), vae=parts.kl_flow(), tokenizer=words.gemma(256),
        text_encoder=encoder,
    )  # fmt: skip
