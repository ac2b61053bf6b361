# ruff: noqa: E501 - texts as programs write them, on one line
"""Texts as the programs write them, made up for these tests."""

import json

A1111 = (
    "masterpiece, (portrait:1.2) of a fox <lora:add_detail:0.5>, oil\n"
    "second line\n"
    "Negative prompt: blurry, lowres\n"
    "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 45dee52b, "
    "Model: deliberate_v2, VAE: mse.pt, Denoising strength: 0.4, Clip skip: 2, ENSD: 31337, Hires upscale: 2, "
    'Lora hashes: "add_detail: 7c6bad76eb54", Version: v1.6.0'
)

A1111_NEW = (
    "a fox\nSteps: 25, Sampler: DPM++ 2M SDE, Schedule type: Exponential, CFG scale: 7.5, Seed: 1, Size: 512x512, "
    "Model: dream, RNG: CPU, Version: v1.10.1"
)

FORGE_FLUX = (
    "a fox\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 3, "
    "Size: 896x1152, Model: flux1-dev-bnb-nf4-v2, Version: f2.0.1v1.10.1-previous-224-g900196889, "
    "Diffusion in Low Bits: auto"
)  # fmt: skip

SD_NEXT = (
    "a fox\nNegative prompt: bad\nSteps: 20, Size: 1024x1024, Sampler: Euler a, Seed: 9, CFG scale: 6, "
    "Model: realvis, App: SD.Next, Version: 1b0b1b2, Operations: txt2img"
)

INVOKE = {
    "generation_mode": "txt2img",
    "positive_prompt": "a red++ fox",
    "negative_prompt": "blurry",
    "width": 512,
    "height": 768,
    "seed": 356120443,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0.25,
    "steps": 30,
    "scheduler": "dpmpp_2m_sde_k",
    "clip_skip": 1,
    "model": {"key": "k", "hash": "blake3:1", "name": "dreamshaper-8", "base": "sd-1", "type": "main"},
    "vae": {"key": "v", "hash": "blake3:2", "name": "sd-vae-ft-mse", "base": "sd-1", "type": "vae"},
    "loras": [{"model": {"name": "add_detail"}, "weight": 0.75}],
    "controlnets": [{"control_model": {"name": "canny"}, "control_weight": 1}],
    "app_version": "5.6.0",
}

INVOKE_2 = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "cc6cb27103417325ff94f52b7a5d2dde45a7515b25c255d8e396c90014281516",
    "app_id": "invoke-ai/InvokeAI",
    "app_version": "2.3.5",
    "image": {
        "prompt": [{"prompt": "a fox [blurry]", "weight": 1.0}],
        "steps": 50, "cfg_scale": 7.5, "threshold": 0, "perlin": 0, "height": 512, "width": 640, "seed": 2980747362,
        "seamless": False, "type": "txt2img", "postprocessing": None, "sampler": "k_lms", "variations": [],
    },
}  # fmt: skip

DREAM = '"a fox [blurry]" -s 50 -S 2980747362 -W 640 -H 512 -C 7.5 -A k_euler_a -G 0.8'

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["anime"],
    "full_prompt": ["cinematic still a fox . emotional", "a fox, sharp"],
    "guidance_scale": 4,
    "lora_combined_1": "sd_xl_offset : 0.1",
    "loras": [["sd_xl_offset", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "",
    "performance": "Speed",
    "prompt": "a fox",
    "refiner_model": "None",
    "refiner_switch": 0.5,
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "5174637291826354017",
    "sharpness": 2,
    "steps": 30,
    "styles": "['Fooocus V2']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.5",
}

FOOOCUS_A1111 = (
    "cinematic still a fox . emotional, a fox, sharp\nNegative prompt: anime\n"
    "Steps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 5174637291826354017, Size: 1152x896, CFG scale: 4, Sharpness: 2, "
    'ADM Guidance: "(1.5, 0.8, 0.3)", Model: juggernautXL_v8, Model hash: aeb7e9e689, Performance: Speed, '
    'Scheduler: karras, VAE: Default (model), Raw prompt: "a fox, red", Raw negative prompt: , Version: Fooocus v2.5.5'
)

DGENERATE = """#! /usr/bin/env dgenerate --file
#! dgenerate 5.0.0

stable-diffusion-v1-5/stable-diffusion-v1-5 \\
--model-type sd \\
--device cuda:0 \\
--inference-steps 30 \\
--guidance-scales 5.0 \\
--seeds 1234 \\
--dtype float16 \\
--prompts 'a fox that isn\\'t there, painted in oil on canvas by someone who \\
           knew \\#foxes; blurry, lowres' \\
--vae AutoencoderKL;model=stabilityai/sd-vae-ft-mse \\
--loras some/lora;scale=0.5 \\
--scheduler DPMSolverMultistepScheduler;use-karras-sigmas=true;solver-order=3 \\
--clip-skips 1 \\
--output-size 512x768"""


NAI = {
    "prompt": "1.2::an owl::, {fence}", "uc": "fog, wires", "steps": 28, "scale": 5.0, "seed": 77, "sampler": "k_euler_ancestral",
    "noise_schedule": "karras", "width": 832, "height": 1216, "n_samples": 1, "strength": 0.0, "noise": 0.0, "sm": False,
    "cfg_rescale": 0.2, "request_type": "PromptGenerateRequest", "version": 1,
}  # fmt: skip

NAI_4 = {
    **NAI,
    "v4_prompt": {
        "caption": {
            "base_caption": "an owl on a fence, etching",
            "char_captions": [{"char_caption": "a mouse", "centers": []}],
        }
    },
    "v4_negative_prompt": {"caption": {"base_caption": "fog, wires", "char_captions": []}},
}

SWARM = {
    "prompt": "an owl on a fence, etching", "negativeprompt": "fog, wires", "model": "pine_v2", "seed": 77, "steps": 18, "cfgscale": 5.5, "width": 640,
    "height": 384, "aspectratio": "5:3", "sampler": "euler", "scheduler": "normal", "loras": ["ink/etching"],
    "loraweights": ["0.35"], "clipstopatlayer": "-2", "initimagecreativity": 0, "automaticvae": True,
    "swarm_version": "0.9.7.0",
}  # fmt: skip

DRAW = {
    "c": "an owl on a fence, etching", "uc": "fog, wires", "model": "pine_v2.ckpt", "seed": 77, "steps": 18, "scale": 5.5, "size": "640x384",
    "sampler": "DPM++ 2M Karras", "seed_mode": "Scale Alike", "strength": 1, "lora": [{"model": "etching", "weight": 0.35}],
    "v2": {"steps": 18}, "shift": 1,
}  # fmt: skip


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


COMFY = {
    "3": node("KSampler", seed=2**63 + 5, steps=20, cfg=8.0, sampler_name="dpmpp_2m", scheduler="karras", denoise=1.0,
              model=["10", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0]),
    "4": node("CheckpointLoaderSimple", ckpt_name="sd15.safetensors"),
    "10": node("LoraLoader", lora_name="detail.safetensors", strength_model=0.8, strength_clip=1.0, model=["4", 0],
               clip=["4", 1]),
    "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
    "6": node("CLIPTextEncode", text="a fox", clip=["10", 1]),
    "7": node("CLIPTextEncode", text="blurry", clip=["10", 1]),
    "8": node("VAEDecode", samples=["3", 0], vae=["11", 0]),
    "11": node("VAELoader", vae_name="mse.safetensors"),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
}  # fmt: skip

COMFY_FLUX = {
    "6": node("CLIPTextEncode", text="a fox", clip=["11", 0]),
    "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
    "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    "10": node("VAELoader", vae_name="ae.safetensors"),
    "11": node("DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors", type="flux"),
    "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
    "13": node("SamplerCustomAdvanced", noise=["25", 0], guider=["22", 0], sampler=["16", 0], sigmas=["17", 0],
               latent_image=["27", 0]),
    "16": node("KSamplerSelect", sampler_name="euler"),
    "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1.0, model=["30", 0]),
    "22": node("BasicGuider", model=["30", 0], conditioning=["26", 0]),
    "25": node("RandomNoise", noise_seed=219),
    "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
    "27": node("EmptySD3LatentImage", width=["34", 0], height=1024, batch_size=1),
    "30": node("ModelSamplingFlux", max_shift=1.15, base_shift=0.5, width=1024, height=1024, model=["12", 0]),
    "34": node("PrimitiveInt", value=896),
}  # fmt: skip

ALL = {
    "A1111": {"parameters": A1111},
    "A1111 1.10": {"parameters": A1111_NEW},
    "Forge": {"parameters": FORGE_FLUX},
    "SD.Next": {"parameters": SD_NEXT},
    "InvokeAI": {"invokeai_metadata": json.dumps(INVOKE)},
    "InvokeAI 2": {"sd-metadata": json.dumps(INVOKE_2), "Dream": DREAM},
    "InvokeAI 1": {"Dream": DREAM},
    "Fooocus": {"parameters": json.dumps(FOOOCUS), "fooocus_scheme": "fooocus"},
    "Fooocus a1111": {"parameters": FOOOCUS_A1111, "fooocus_scheme": "a1111"},
    "NovelAI": {"Comment": json.dumps(NAI), "Software": "NovelAI", "Source": "NovelAI Diffusion V9"},
    "NovelAI 4": {"Comment": json.dumps(NAI_4), "Software": "NovelAI"},
    "SwarmUI": {"parameters": json.dumps({"sui_image_params": SWARM, "sui_extra_data": {"date": "x"}})},
    "Draw Things": {"parameters": json.dumps(DRAW)},
    "dgenerate": {"DgenerateConfig": DGENERATE},
    "ComfyUI": {"prompt": json.dumps(COMFY), "workflow": "{}"},
    "ComfyUI Flux": {"prompt": json.dumps(COMFY_FLUX), "workflow": "{}"},
}
