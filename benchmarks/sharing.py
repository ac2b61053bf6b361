"""Several models in one process: the most memory at each change, and what is loaded for it.

Three models with random weights: B has the UNet and the VAE of A and a text encoder of its own, C has nothing of
either. Peaks are of the whole process (see promptlab.engine.machine.memory), less what it takes without a model.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine  # noqa: E402
from promptlab.engine import create_engine, finished_images  # noqa: E402
from promptlab.engine.machine.memory import Peak, measure_peak_memory, release  # noqa: E402
from promptlab.plan import requests_of  # noqa: E402
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant  # noqa: E402

MIB = 2**20


def parts(seed: int) -> dict[str, Any]:
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(320, 640), layers_per_block=1, cross_attention_dim=512,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 384), layers_per_block=1, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    encoder = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8, vocab_size=300,
            max_position_embeddings=77, bos_token_id=298, eos_token_id=299,
        )
    )  # fmt: skip
    return {"unet": unet, "vae": vae, "encoder": encoder}


def size_of(module: Any) -> float:
    """Return the size of a module's weights in MiB."""
    return sum(each.numel() * each.element_size() for each in module.parameters()) / MIB


def main() -> None:
    from tests.engine.tiny import save_tiny

    engine = create_engine()
    folder = Path(tempfile.mkdtemp())
    try:
        first, second = parts(0), parts(1)
        sizes = {name: size_of(module) for name, module in first.items()}
        save_tiny(folder / "A", **first)
        save_tiny(folder / "B", **{**first, "encoder": second["encoder"]})
        save_tiny(folder / "C", **second)
        del first, second
        release("cpu")
        report(engine, folder, sizes)
    finally:
        shutil.rmtree(folder)


def peak_of(memory: Peak) -> float:
    """Return the most memory that was in use, in MiB."""
    assert memory.bytes is not None, "this machine does not say how much memory a process takes"
    return memory.bytes / MIB


def report(engine: Any, folder: Path, sizes: dict[str, float]) -> None:
    with measure_peak_memory("cpu") as empty:
        pass
    base, model = peak_of(empty), sum(sizes.values())
    print(f"Measured on {machine()}.\n")
    print(", ".join(f"{name} {size:.0f} MiB" for name, size in sizes.items()), end="; ")
    print(f"a model {model:.0f} MiB; the process without one {base:.0f} MiB.\n")
    print("| change | the next one shares | parts that stayed | peak, MiB | in models | seconds |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for change, shares in (
        ("nothing → A", "-"), ("A → A", "all"), ("A → B", "UNet and VAE"), ("B → C", "text encoder"),
        ("C → A", "nothing"), ("A → C", "nothing"),
    ):  # fmt: skip
        peak, seconds, kept = changed(engine, folder / change[-1])
        print(f"| {change} | {shares} | {kept} | {peak - base:.0f} | {(peak - base) / model:.2f} | {seconds:.1f} |")
    engine.close()
    release("cpu")
    with measure_peak_memory("cpu") as left:
        pass
    print(f"| freed | | 0 | {peak_of(left) - base:.0f} | {(peak_of(left) - base) / model:.2f} | |")
    together = side_by_side(folder)
    print(f"| A and C side by side, by diffusers alone | nothing | | {together - base:.0f} | "
          f"{(together - base) / model:.2f} | |")  # fmt: skip


def changed(engine: Any, model: Path) -> tuple[float, float, int]:
    """Peak in MiB, seconds, and how many parts of the pipeline before are alive, when one of ``model`` has painted."""
    spec = RunSpec(
        pipeline=PipelineSpec(model=str(model)), variants=(Variant(prompt="a"),), seeds=(0,), device="cpu",
        call=CallSpec(num_inference_steps=1, height=64, width=64),
    )  # fmt: skip
    tasks, before = requests_of(engine.resolve([spec])[0]), engine._pipelines._pipeline  # noqa: SLF001 - what it is about
    parts_before = [] if before is None else [before.unet, before.vae, before.text_encoder]
    references = [weakref.ref(part) for part in parts_before]
    del before, parts_before
    release("cpu")
    began = time.perf_counter()
    with measure_peak_memory("cpu") as peak:
        list(finished_images(engine.generate(tasks)))
    seconds = time.perf_counter() - began
    return peak_of(peak), seconds, sum(reference() is not None for reference in references)


def side_by_side(folder: Path) -> float:
    from diffusers import StableDiffusionPipeline

    with measure_peak_memory("cpu") as peak:
        both = [StableDiffusionPipeline.from_pretrained(folder / name) for name in ("A", "C")]
        for pipeline in both:  # weights are mapped from their files, and are memory once they are looked at
            for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
                sum(float(weight.detach().sum()) for weight in part.parameters())
    del both
    return peak_of(peak)


if __name__ == "__main__":
    main()
