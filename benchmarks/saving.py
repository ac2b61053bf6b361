"""What a PNG costs: ours against Pillow's default and its fastest, on the same pixels, in turn.

    python benchmarks/saving.py [ROUNDS]

512 x 512 pixels each: a photograph (matplotlib's sample), the same with grain, a picture of the bundled model enlarged,
noise, and black. Times are medians of one thread; the ratio is taken round by round, so that a machine that slows down
slows both. Writes `benchmarks/results/saving.md`.
"""

import io
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from matplotlib import cbook
from PIL import Image

from benchmarks.machine import machine, write_result
from promptlab.engine import create_engine, finished_images
from promptlab.images.png import encode_png
from promptlab.plan import requests_of
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, Variant


def pictures() -> dict[str, np.ndarray]:
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as image:
        photo = np.asarray(image.convert("RGB"))[:512, :512].copy()
    noise = np.random.default_rng(0).integers(0, 256, photo.shape, dtype=np.uint8)
    engine = create_engine()
    spec = RunSpec(
        pipeline=PipelineSpec(model="mini"), call=CallSpec(num_inference_steps=10),
        variants=(Variant(prompt="portrait photo of a old warrior chief"),), seeds=(1,),
    )  # fmt: skip
    (made,) = finished_images(engine.generate(requests_of(engine.resolve([spec])[0])))
    return {
        "photograph": photo,
        "with grain": np.clip(photo.astype(int) + noise // 32 - 4, 0, 255).astype(np.uint8),
        "bundled model": np.asarray(Image.fromarray(made.pixels).resize((512, 512), Image.Resampling.LANCZOS)),
        "noise": noise,
        "black": np.zeros_like(photo),
    }


def pillow(pixels: np.ndarray, **how: int) -> bytes:
    into = io.BytesIO()
    Image.fromarray(pixels).save(into, "PNG", **how)
    return into.getvalue()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    encoders = {"Pillow": pillow, "level 1": lambda pixels: pillow(pixels, compress_level=1), "ours": encode_png}
    shown = pictures()
    lines = [
        "# What a PNG costs", "",
        f"Written by `python benchmarks/saving.py {rounds}`: {machine()}; one thread, 512 × 512 pixels, medians.", "",
        "| picture | Pillow's default | Pillow, level 1 | ours | times faster | times the size |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    for picture, pixels in shown.items():
        taken: dict[str, list[float]] = {name: [] for name in encoders}
        sizes = {}
        for _ in range(rounds):
            for name, encode in encoders.items():
                began = time.perf_counter()
                sizes[name] = len(encode(pixels))
                taken[name].append(1000 * (time.perf_counter() - began))
        faster = statistics.median(theirs / ours for theirs, ours in zip(taken["Pillow"], taken["ours"], strict=True))
        times = " | ".join(f"{statistics.median(each):.1f} ms" for each in taken.values())
        lines.append(f"| {picture} | {times} | {faster:.1f} | {sizes['ours'] / sizes['Pillow']:.3f} |")
    write_result("saving", "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
