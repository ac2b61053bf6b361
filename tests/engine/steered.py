"""LoRAs and an embedding for the bundled model, with random weights: written once, read by several tests."""

import shutil
from pathlib import Path

from promptlab.models import bundled


def write_lora(folder, seed, *, words=True):
    """A LoRA of rank 2 for the bundled model's denoiser, and its text encoder: the file's path."""
    import torch
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig, get_peft_model_state_dict

    pipeline = StableDiffusionPipeline.from_pretrained(bundled("mini"), dtype=torch.float32)
    torch.manual_seed(seed)
    config = {"r": 2, "lora_alpha": 2, "init_lora_weights": False}
    pipeline.unet.add_adapter(LoraConfig(target_modules=["to_q", "to_k", "to_v", "to_out.0"], **config))
    encoder = None
    if words:
        pipeline.text_encoder.add_adapter(
            LoraConfig(target_modules=["q_proj", "k_proj", "v_proj", "out_proj"], **config)
        )
        encoder = get_peft_model_state_dict(pipeline.text_encoder)
    StableDiffusionPipeline.save_lora_weights(
        folder, unet_lora_layers=get_peft_model_state_dict(pipeline.unet), text_encoder_lora_layers=encoder
    )
    return Path(folder) / "pytorch_lora_weights.safetensors"


def write_embedding(path, vectors, *, token="<cat>", width=None):
    """An embedding of so many vectors, named by its token, for the bundled model's text encoder: the file's path."""
    import json

    import torch
    from safetensors.torch import save_file

    width = width or json.loads((bundled("mini") / "text_encoder" / "config.json").read_text())["hidden_size"]
    torch.manual_seed(vectors)
    save_file({token: torch.randn(vectors, width) / 2}, path)
    return Path(path)


def cached_on_hub(home, repository, file, commit):
    """``file`` in a Hub cache, as if it had been downloaded from ``repository`` at ``commit``."""
    folder = home / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    shutil.copy(file, snapshot / file.name)
