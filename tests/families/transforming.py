"""Tiny pipelines around transformers, with T5, CLIP, BERT and Gemma encoders."""

from tests.families import parts, words


def _flow(**changes):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**changes)


def _sd3(kind="StableDiffusion3Pipeline", **changes):
    import diffusers

    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32, patch_size=1, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=64, out_channels=4,
    )  # fmt: skip
    return getattr(diffusers, kind)(
        transformer=parts.scrambled(transformer), scheduler=_flow(shift=3.0), vae=parts.kl_flow(),
        text_encoder=parts.clip_projected(width=16, projection=32), tokenizer=words.clip(),
        text_encoder_2=parts.clip_projected(width=16, projection=32), tokenizer_2=words.clip(),
        text_encoder_3=parts.t5(), tokenizer_3=words.t5(), **changes,
    )  # fmt: skip


def stable_diffusion_3():
    return _sd3()


def stable_diffusion_3_pag():
    return _sd3("StableDiffusion3PAGPipeline", pag_applied_layers="blocks.1")


def _flux(kind="FluxPipeline"):
    import diffusers

    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return getattr(diffusers, kind)(
        scheduler=_flow(), vae=parts.kl_flow(), text_encoder=parts.clip(), tokenizer=words.clip(),
        text_encoder_2=parts.t5(), tokenizer_2=words.t5(), transformer=parts.scrambled(transformer),
    )  # fmt: skip


def flux():
    return _flux()


def flux_kontext():
    return _flux("FluxKontextPipeline")


def chroma():
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    transformer = ChromaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_hidden_dim=32, approximator_layers=1,
        approximator_num_channels=16,
    )  # fmt: skip
    return ChromaPipeline(
        scheduler=_flow(), vae=parts.kl_flow(), text_encoder=parts.t5(), tokenizer=words.t5(),
        transformer=parts.scrambled(transformer),
    )  # fmt: skip


def _pixart(kind):
    import diffusers

    transformer = diffusers.PixArtTransformer2DModel(
        sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, caption_channels=32,
        in_channels=4, cross_attention_dim=24, out_channels=8, use_additional_conditions=False,
    )  # fmt: skip
    return getattr(diffusers, kind)(
        tokenizer=words.t5(), text_encoder=parts.t5(), vae=parts.kl(), transformer=parts.scrambled(transformer),
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )  # fmt: skip


def pixart_alpha():
    return _pixart("PixArtAlphaPipeline")


def pixart_sigma():
    return _pixart("PixArtSigmaPipeline")


def pixart_sigma_pag():
    import diffusers

    parts_of = _pixart("PixArtSigmaPipeline").components
    return diffusers.PixArtSigmaPAGPipeline(**parts_of, pag_applied_layers="blocks.0")


def _sana(kind, **changes):
    import diffusers

    transformer = diffusers.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8,
        sample_size=32,
    )  # fmt: skip
    return getattr(diffusers, kind)(
        tokenizer=words.gemma(), text_encoder=parts.gemma2(), vae=parts.dc(), transformer=parts.scrambled(transformer),
        scheduler=diffusers.DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        **changes,
    )  # fmt: skip


def sana():
    return _sana("SanaPipeline")


def sana_pag():
    return _sana("SanaPAGPipeline", pag_applied_layers="transformer_blocks.0")


def auraflow():
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel

    transformer = AuraFlowTransformer2DModel(
        sample_size=32, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32, out_channels=4,
        pos_embed_max_size=256,
    )  # fmt: skip
    return AuraFlowPipeline(
        tokenizer=words.t5(), text_encoder=parts.umt5(), vae=parts.kl(), transformer=parts.scrambled(transformer),
        scheduler=_flow(),
    )  # fmt: skip


def _hunyuan(kind, **changes):
    import diffusers
    from transformers import BertConfig, BertModel

    transformer = diffusers.HunyuanDiT2DModel(
        sample_size=16, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=3, in_channels=4,
        cross_attention_dim=32, cross_attention_dim_t5=32, pooled_projection_dim=16, hidden_size=24,
        activation_fn="gelu-approximate",
    )  # fmt: skip
    bert = BertConfig(
        hidden_size=32, intermediate_size=37, num_attention_heads=4, num_hidden_layers=2, vocab_size=256,
        max_position_embeddings=128,
    )  # fmt: skip
    return getattr(diffusers, kind)(
        vae=parts.kl(blocks=(8, 8, 8, 8)), text_encoder=BertModel(bert).eval(), tokenizer=words.bert(),
        scheduler=diffusers.DDPMScheduler(),
        transformer=parts.scrambled(transformer), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False, text_encoder_2=parts.t5(), tokenizer_2=words.t5(256), **changes,
    )  # fmt: skip


def hunyuan():
    return _hunyuan("HunyuanDiTPipeline")


def hunyuan_pag():
    return _hunyuan("HunyuanDiTPAGPipeline", pag_applied_layers="blocks.1")


def lumina():
    from diffusers import LuminaNextDiT2DModel, LuminaPipeline
    from transformers import GemmaConfig, GemmaModel

    transformer = LuminaNextDiT2DModel(
        sample_size=4, patch_size=2, in_channels=4, hidden_size=16, num_layers=1, num_attention_heads=2,
        num_kv_heads=1, multiple_of=16, learn_sigma=True, cross_attention_dim=8,
    )  # fmt: skip
    encoder = GemmaConfig(
        head_dim=2, hidden_size=8, intermediate_size=16, num_attention_heads=4, num_hidden_layers=2,
        num_key_value_heads=4, vocab_size=360,
    )  # fmt: skip
    return LuminaPipeline(
        transformer=parts.scrambled(transformer), scheduler=_flow(), vae=parts.kl(blocks=(8, 8, 8, 8)),
        text_encoder=GemmaModel(encoder).eval(), tokenizer=words.gemma(),
    )  # fmt: skip


def lumina_2():
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    transformer = Lumina2Transformer2DModel(
        sample_size=4, patch_size=2, in_channels=4, hidden_size=8, num_layers=2, num_refiner_layers=1,
        num_attention_heads=1, num_kv_heads=1, multiple_of=16, axes_dim_rope=(4, 2, 2), cap_feat_dim=8,
    )  # fmt: skip
    return Lumina2Pipeline(
        transformer=parts.scrambled(transformer), scheduler=_flow(), vae=parts.kl_flow(blocks=(8,) * 4),
        text_encoder=parts.gemma2(),
        tokenizer=words.gemma(),
    )  # fmt: skip


def cogview_3():
    from diffusers import CogVideoXDDIMScheduler, CogView3PlusPipeline, CogView3PlusTransformer2DModel

    transformer = CogView3PlusTransformer2DModel(
        patch_size=2, in_channels=4, num_layers=1, attention_head_dim=4, num_attention_heads=2, out_channels=4,
        text_embed_dim=32, time_embed_dim=8, condition_dim=2, pos_embed_max_size=32, sample_size=16,
    )  # fmt: skip
    return CogView3PlusPipeline(
        tokenizer=words.t5(), text_encoder=parts.t5(), vae=parts.kl(blocks=(8, 8, 8, 8)),
        transformer=parts.scrambled(transformer), scheduler=CogVideoXDDIMScheduler(),
    )  # fmt: skip


def hidream():
    from diffusers import HiDreamImagePipeline, HiDreamImageTransformer2DModel
    from transformers import LlamaConfig, LlamaForCausalLM

    transformer = HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=4, caption_channels=[32, 16], text_emb_dim=64, num_routed_experts=4,
        num_activated_experts=2, axes_dims_rope=(4, 2, 2), max_resolution=(32, 32), llama_layers=(0, 1),
    )  # fmt: skip
    llama = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=16, intermediate_size=32, num_attention_heads=4, num_hidden_layers=2, vocab_size=400,
            max_position_embeddings=512, pad_token_id=0,
        )
    ).eval()  # fmt: skip
    return HiDreamImagePipeline(
        scheduler=_flow(), vae=parts.kl_flow(blocks=(8,)), transformer=parts.scrambled(transformer),
        text_encoder=parts.clip_projected(max_position_embeddings=128), tokenizer=words.clip(),
        text_encoder_2=parts.clip_projected(max_position_embeddings=128), tokenizer_2=words.clip(),
        text_encoder_3=parts.t5(), tokenizer_3=words.t5(), text_encoder_4=llama, tokenizer_4=words.llama(),
    )  # fmt: skip
