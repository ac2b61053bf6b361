"""Tiny pipelines around UNets and around pairs of a prior and a decoder."""

from tests.families import parts, words


def _sd_unet(**changes):
    from diffusers import UNet2DConditionModel

    settings = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 32, "cross_attention_dim": 32,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "attention_head_dim": 4,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "norm_num_groups": 2, **changes,
    }  # fmt: skip
    return parts.scrambled(UNet2DConditionModel(**settings))


def _ddim(**changes):
    from diffusers import DDIMScheduler

    settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    return DDIMScheduler(**settings, clip_sample=False, set_alpha_to_one=False, **changes)


def _sd(kind="StableDiffusionPipeline", scheduler=None, unet=None, **changes):
    import diffusers

    return getattr(diffusers, kind)(
        vae=parts.kl(), text_encoder=parts.clip(), tokenizer=words.clip(), unet=unet or _sd_unet(),
        scheduler=scheduler or _ddim(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        **changes,
    )  # fmt: skip


def stable_diffusion():
    return _sd()


def stable_diffusion_2():
    """Velocity prediction and linear projections: what tells 2.x from 1.x."""
    return _sd(scheduler=_ddim(prediction_type="v_prediction"), unet=_sd_unet(use_linear_projection=True))


def stable_diffusion_pag():
    return _sd("StableDiffusionPAGPipeline", pag_applied_layers="mid")


def turbo():
    """A distilled model: as Stable Diffusion, with trailing steps and no guidance."""
    from diffusers import EulerAncestralDiscreteScheduler

    return _sd(scheduler=EulerAncestralDiscreteScheduler(timestep_spacing="trailing"))


def latent_consistency():
    from diffusers import LCMScheduler

    scheduler = LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
    return _sd("LatentConsistencyModelPipeline", scheduler, _sd_unet(time_cond_proj_dim=32))


def _sdxl(kind="StableDiffusionXLPipeline", **changes):
    import diffusers

    unet = _sd_unet(
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 1), projection_class_embeddings_input_dim=80,
        cross_attention_dim=64,
    )  # fmt: skip
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, steps_offset=1, beta_schedule="scaled_linear", timestep_spacing="leading"
    )
    return getattr(diffusers, kind)(
        vae=parts.kl(scaling_factor=0.13025), text_encoder=parts.clip(), tokenizer=words.clip(), unet=unet,
        text_encoder_2=parts.clip_projected(), tokenizer_2=words.clip(), scheduler=scheduler, add_watermarker=False,
        **changes,
    )  # fmt: skip


def stable_diffusion_xl():
    return _sdxl()


def stable_diffusion_xl_pag():
    return _sdxl("StableDiffusionXLPAGPipeline", pag_applied_layers="mid")


def deepfloyd_if():
    from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=32, layers_per_block=1, block_out_channels=(16, 32), in_channels=3, out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), norm_num_groups=8,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", cross_attention_dim=32, encoder_hid_dim=32,
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), attention_head_dim=8,
        addition_embed_type="text", addition_embed_type_num_heads=2, cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift", act_fn="gelu",
    )  # fmt: skip
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2", thresholding=True, dynamic_thresholding_ratio=0.95, sample_max_value=1.0,
        variance_type="learned_range",
    )  # fmt: skip
    return IFPipeline(
        tokenizer=words.t5(), text_encoder=parts.t5(), unet=parts.scrambled(unet), scheduler=scheduler,
        watermarker=None, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def kandinsky_3():
    from diffusers import DDPMScheduler, Kandinsky3Pipeline, Kandinsky3UNet

    unet = Kandinsky3UNet(
        in_channels=4, time_embedding_dim=4, groups=2, attention_head_dim=4, layers_per_block=3,
        block_out_channels=(32, 64), cross_attention_dim=4, encoder_hid_dim=32,
    )  # fmt: skip
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="squaredcos_cap_v2")
    return Kandinsky3Pipeline(
        tokenizer=words.t5(), text_encoder=parts.t5(), unet=parts.scrambled(unet), scheduler=scheduler,
        movq=parts.movq(4),
    )  # fmt: skip


def _unclip_prior():
    """The five parts that make a picture's embedding from words."""
    import torch
    from diffusers import PriorTransformer, UnCLIPScheduler
    from transformers import CLIPImageProcessorPil

    prior = parts.scrambled(
        PriorTransformer(num_attention_heads=2, attention_head_dim=8, embedding_dim=32, num_layers=1)
    )
    prior.clip_std = torch.nn.Parameter(torch.ones_like(prior.clip_std))
    return {
        "prior_prior": prior,
        "prior_image_encoder": parts.clip_vision(),
        "prior_text_encoder": parts.clip_projected(),
        "prior_tokenizer": words.clip(),
        "prior_scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=10.0
        ),
        "prior_image_processor": CLIPImageProcessorPil(size=28, crop_size=28),
    }


def _unclip_unet(added, projection):
    from diffusers import UNet2DConditionModel

    return parts.scrambled(
        UNet2DConditionModel(
            in_channels=4, out_channels=8, addition_embed_type=added, encoder_hid_dim=32,
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), layers_per_block=1,
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), block_out_channels=(16, 32),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn", encoder_hid_dim_type=projection, norm_num_groups=8,
            cross_attention_dim=32, attention_head_dim=4, resnet_time_scale_shift="scale_shift", sample_size=16,
        )
    )  # fmt: skip


def kandinsky():
    from diffusers import KandinskyCombinedPipeline
    from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

    config = MCLIPConfig(
        transformerDimSize=32, imageDimSize=32, hidden_size=32, intermediate_size=37, num_attention_heads=4,
        num_hidden_layers=2, vocab_size=256,
    )  # fmt: skip
    return KandinskyCombinedPipeline(
        text_encoder=MultilingualCLIP(config).eval(), tokenizer=words.xlm_roberta(), scheduler=_ddim(),
        unet=_unclip_unet("text_image", "text_image_proj"), movq=parts.movq(), **_unclip_prior(),
    )  # fmt: skip


def kandinsky_22():
    from diffusers import DDPMScheduler, KandinskyV22CombinedPipeline

    return KandinskyV22CombinedPipeline(
        unet=_unclip_unet("image", "image_proj"), scheduler=DDPMScheduler(beta_schedule="linear"), movq=parts.movq(),
        **_unclip_prior(),
    )  # fmt: skip


def _paella():
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    return parts.scrambled(PaellaVQModel(bottleneck_blocks=1, num_vq_embeddings=8, embed_dim=16))


def wuerstchen():
    from diffusers import DDPMWuerstchenScheduler, WuerstchenCombinedPipeline
    from diffusers.pipelines.deprecated.wuerstchen import WuerstchenDiffNeXt, WuerstchenPrior

    decoder = WuerstchenDiffNeXt(
        c_cond=32, c_hidden=[8, 8], nhead=[-1, 2], blocks=[1, 1], level_config=["CT", "CTA"], clip_embd=32,
        inject_effnet=[False, True], effnet_embd=16, c_r=8,
    )  # fmt: skip
    return WuerstchenCombinedPipeline(
        tokenizer=words.clip(), text_encoder=parts.clip(), decoder=parts.scrambled(decoder), vqgan=_paella(),
        scheduler=DDPMWuerstchenScheduler(), prior_tokenizer=words.clip(), prior_text_encoder=parts.clip(),
        prior_prior=parts.scrambled(WuerstchenPrior(c_in=16, c=8, c_cond=32, c_r=8, depth=1, nhead=2)),
        prior_scheduler=DDPMWuerstchenScheduler(),
    )  # fmt: skip


def stable_cascade():
    from diffusers import DDPMWuerstchenScheduler, StableCascadeCombinedPipeline
    from diffusers.models import StableCascadeUNet

    plain, attended = ("SDCascadeResBlock", "SDCascadeTimestepBlock"), "SDCascadeAttnBlock"
    prior = StableCascadeUNet(
        conditioning_dim=16, block_out_channels=(16, 16), num_attention_heads=(2, 2), down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1), clip_image_in_channels=32, switch_level=(False,), clip_text_in_channels=32,
        clip_text_pooled_in_channels=32, down_blocks_repeat_mappers=(1, 1), up_blocks_repeat_mappers=(1, 1),
        block_types_per_layer=((*plain, attended),) * 2, dropout=(0.0, 0.0), self_attn=(True, True), kernel_size=3,
    )  # fmt: skip
    decoder = StableCascadeUNet(
        in_channels=4, out_channels=4, conditioning_dim=16, block_out_channels=(8, 16), num_attention_heads=(-1, 2),
        down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1), down_blocks_repeat_mappers=(1, 1),
        up_blocks_repeat_mappers=(1, 1), block_types_per_layer=(plain, (*plain, attended)), switch_level=None,
        clip_text_pooled_in_channels=32, dropout=(0.0, 0.0), effnet_in_channels=16, patch_size=2,
        self_attn=(True, True),
    )  # fmt: skip
    return StableCascadeCombinedPipeline(
        tokenizer=words.clip(), text_encoder=parts.clip_projected(), decoder=parts.scrambled(decoder), vqgan=_paella(),
        scheduler=DDPMWuerstchenScheduler(), prior_prior=parts.scrambled(prior), prior_tokenizer=words.clip(),
        prior_text_encoder=parts.clip_projected(), prior_scheduler=DDPMWuerstchenScheduler(),
        prior_feature_extractor=None, prior_image_encoder=None,
    )  # fmt: skip
