"""Do an image's bytes depend on its company? Asked of this machine, for each dtype and batch size.

    python benchmarks/batch_invariance.py                                  # SD 1.5's configuration, on what is there
    python benchmarks/batch_invariance.py --device cpu --config tiny       # seconds, to see that it works
    python benchmarks/batch_invariance.py --weights FOLDER                 # kept there, for the other scripts too

A pipeline of random weights is written to a folder and drawn with by PromptLab's own engine, as a run would be. One
image is then made again in other company, and its pixels compared:

- again: the same call once more;
- neighbours: same slot, same batch size, other prompts and seeds beside it;
- slot: each place in the batch;
- alone: the batch padded with the image itself, as a short last batch is;
- pool: in a stream with images of other schedulers, steps, guidance and no guidance, in another order each time;
- process: a fresh interpreter;
- size: another batch size, which PromptLab does not promise.

Cells say how many of the comparisons differed, and by how many levels of 255 at most. On a CPU the engine gives every
image a forward of its own where its threads would not get equal shares; ``--rows`` asks what sharing would do there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from benchmarks.machine import machine
from promptlab.engine import Engine, create_engine, finished_images
from promptlab.engine.loading.pipeline_cache import PipelineCache, PipelineSetting
from promptlab.engine.sampling.call_hub import Known
from promptlab.engine.sampling.image_stream import ImageStream
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.engine.sources.finder import find_model
from promptlab.errors import one_line
from promptlab.images.png import pixel_sha256
from promptlab.plan import ImageRequest, requests_of
from promptlab.records import Environment
from promptlab.specs import CallSpec, Dtype, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler

CONFIGS: dict[str, dict[str, dict[str, Any]]] = {
    # runwayml/stable-diffusion-v1-5, as its configuration files have it
    "sd15": {
        "unet": {
            "sample_size": 64, "in_channels": 4, "out_channels": 4, "layers_per_block": 2, "attention_head_dim": 8,
            "block_out_channels": (320, 640, 1280, 1280), "cross_attention_dim": 768,
        },
        "vae": {
            "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
            "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
            "sample_size": 512,
        },
        "text": {
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "projection_dim": 768, "hidden_act": "quick_gelu",
        },
    },
    "tiny": {
        "unet": {
            "sample_size": 16, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "attention_head_dim": 8,
            "block_out_channels": (64, 128), "cross_attention_dim": 64,
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        },
        "vae": {
            "block_out_channels": (32, 64, 64, 64), "layers_per_block": 1, "latent_channels": 4,
            "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
            "sample_size": 128,
        },
        "text": {
            "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "projection_dim": 64, "hidden_act": "quick_gelu",
        },
    },
}  # fmt: skip

SCHEDULER = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "steps_offset": 1, "set_alpha_to_one": False, "skip_prk_steps": True,
}  # fmt: skip

PROMPTS = ("portrait photo of a old warrior chief", "a fox", "a red circle on a blue table, hard rim lighting", "night")
LEGEND = """\
Written by `benchmarks/batch_invariance.py`, whose head says what is asked. Cells: comparisons that differed, of how
many, by how many levels of 255 at most. `flat`: whether the picture has one colour only, which would prove nothing."""
PIPELINES = PipelineCache()
QUESTIONS = ("again", "neighbours", "slot", "alone", "pool", "process", "size")


def unwatched(_event: object) -> None:
    """Nobody looks on."""


@contextmanager
def weights_in(kept: Path | None, config: str, device: str = "cpu") -> Iterator[str]:
    """The folder of a pipeline of random weights: ``kept``, written once, or one that is gone afterwards."""
    if kept is None:
        with tempfile.TemporaryDirectory() as folder:
            write_pipeline(Path(folder), config, device)
            yield folder
        return
    if not (kept / "model_index.json").is_file():
        partly = kept.with_name(f"{kept.name}.{os.getpid()}")
        write_pipeline(partly, config, device)
        with suppress(OSError):  # another process was quicker
            partly.rename(kept)
    yield str(kept)


def write_pipeline(folder: Path, config: str, device: str = "cpu") -> None:
    """A whole Stable Diffusion folder of random weights: its own tokenizer, no download. On one kind of device always
    the same weights; on CUDA they are drawn there, and kept in float16: seconds and gigabytes less."""
    import torch
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    about = CONFIGS[config]
    letters = [chr(code) for code in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    # given as mapping and list: from the paths of files, transformers 5 reads a vocabulary of two words
    tokenizer = CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=77)
    assert len(tokenizer(PROMPTS[0]).input_ids) > 20, "the tokenizer knows no letters"
    text = CLIPTextConfig(
        vocab_size=len(words), max_position_embeddings=77, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        **about["text"],
    )  # fmt: skip
    with torch.device("meta"):  # the plain constructors take long to fill what is filled anew below
        parts: dict[str, Any] = {
            "unet": UNet2DConditionModel(**about["unet"]), "vae": AutoencoderKL(**about["vae"]),
            "text_encoder": CLIPTextModel(text),
        }  # fmt: skip
    drawn_on = "cuda" if device.startswith("cuda") else "cpu"
    generator = torch.Generator(drawn_on).manual_seed(0)
    for name, part in parts.items():
        parts[name] = part.to_empty(device=drawn_on).eval()
        for key, weight in parts[name].state_dict().items():
            if not weight.is_floating_point():
                weight.copy_(torch.arange(weight.numel()).reshape(weight.shape))  # position_ids
            elif weight.ndim < 2:  # norms pass everything on, biases add a little
                weight.fill_(1.0 if key.endswith("weight") else 0.0)
            else:
                weight.normal_(0.0, weight[0].numel() ** -0.5, generator=generator)
        if drawn_on == "cuda":
            parts[name].to("cpu", torch.float16)
    StableDiffusionPipeline(
        **parts, tokenizer=tokenizer, scheduler=PNDMScheduler(**SCHEDULER), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is drawn, all but the batch size."""

    folder: str
    device: str
    dtype: Dtype
    scheduler: str
    steps: int
    size: int
    rows: bool

    def tasks(self, engine: Engine, batch_size: int, guidance: float | None = None) -> Sequence[ImageRequest]:
        """Enough images for two batches; the first is the one that is looked at."""
        spec = RunSpec(
            pipeline=PipelineSpec(model=self.folder, dtype=self.dtype, scheduler=parse_scheduler(self.scheduler)),
            call=CallSpec(num_inference_steps=self.steps, guidance_scale=guidance, height=self.size, width=self.size),
            variants=tuple(Variant(prompt=prompt) for prompt in PROMPTS),
            seeds=tuple(range(max(1, (2 * batch_size + 3) // 4 + 1))),
            batch_size=batch_size,
            device=self.device,
        )
        within = f"{self.scheduler} {guidance} "
        return requests_of(engine.resolve([spec])[0], within=within)

    def pooled(self, engine: Engine, target: ImageRequest, batch_size: int, turn: int) -> np.ndarray:
        """The pixels of ``target`` out of a stream of images that have hardly anything in common."""
        others: list[ImageRequest] = []
        for scheduler, more, guidance in (("ddim", 1, 3.0), ("dpmsolver++", 2, 7.5), ("euler", 0, 1.0)):
            one = replace(self, scheduler=scheduler, steps=self.steps + more)
            others += one.tasks(engine, batch_size, guidance)[: batch_size + 1]
        stream = [*others[turn::2], target, *others[1 - turn :: 2]]
        return next(each.pixels for each in finished_images(engine.generate(stream)) if each.request_id == target.id)

    def first(self, engine: Engine, tasks: Sequence[ImageRequest], at: int) -> np.ndarray:
        """The pixels at place ``at`` of the one batch that ``tasks`` are."""
        if not self.rows:
            return list(finished_images(engine.generate(tasks)))[at].pixels
        model = find_model(self.folder)
        setting = PipelineSetting(model=model, vae=None, dtype=self.dtype, device=self.device)
        progress = BatchProgress(batches=1, going=lambda: True, environment=Environment(facts={}))
        pipeline = PIPELINES.ready(setting, unwatched)
        stream = ImageStream(pipeline, tasks, progress, Known(), (), rows=tasks[0].batch_size)
        return list(finished_images(stream.events()))[at].pixels


class Cell:
    """One question for one dtype and batch size: comparisons, how many differed, and by how much."""

    def __init__(self) -> None:
        self.asked = self.differed = self.levels = 0

    def add(self, levels: int) -> None:
        self.asked, self.differed = self.asked + 1, self.differed + (levels > 0)
        self.levels = max(self.levels, levels)

    def __str__(self) -> str:
        if not self.asked:
            return "–"
        return f"{self.differed} of {self.asked}" + (f", ≤ {self.levels}" if self.levels else "")


class Elsewhere:
    """A fresh interpreter that makes the image at each batch size, in its own time."""

    def __init__(self, asked: Asked, dtypes: list[Dtype], sizes: list[int]) -> None:
        self._found: dict[tuple[str, int], str | None] = {}
        words = json.dumps([asked.__dict__, dtypes, sizes])
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--elsewhere", words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout

    def hash(self, dtype: str, size: int) -> str | None:
        """Of the image there, waited for; ``None`` where it could not be made."""
        while (dtype, size) not in self._found:
            line = self._said.readline()
            if not line:
                return None
            made_in, of_size, digest = json.loads(line)
            self._found[made_in, of_size] = digest
        return self._found[dtype, size]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def elsewhere(words: str) -> None:
    fields, dtypes, sizes = json.loads(words)
    asked, engine = Asked(**fields), create_engine()
    for dtype in dtypes:
        one = replace(asked, dtype=dtype)
        for size in sizes:
            try:
                found = pixel_sha256(one.first(engine, one.tasks(engine, size)[:size], 0))
            except Exception as error:  # noqa: BLE001 - the other sizes still count
                print(error, file=sys.stderr)
                found = None
            print(json.dumps([dtype, size, found]), flush=True)


def answers(
    engine: Engine, asked: Asked, batch_size: int, reference: np.ndarray | None, elsewhere: Elsewhere
) -> tuple[dict[str, Cell], np.ndarray]:
    """Each question's cell, and the image itself.

    Args:
        reference: the image at the first batch size; ``None`` when this is the first.
        elsewhere: says its hash in another process.
    """
    tasks = asked.tasks(engine, batch_size)
    target, others = tasks[0], tasks[1:]
    cells = {question: Cell() for question in QUESTIONS}
    image = asked.first(engine, (target, *others[: batch_size - 1]), 0)

    def compare(question: str, other: np.ndarray) -> None:
        cells[question].add(int(np.abs(image.astype(int) - other.astype(int)).max()))

    compare("again", asked.first(engine, (target, *others[: batch_size - 1]), 0))
    if batch_size > 1:
        compare("neighbours", asked.first(engine, (target, *others[-(batch_size - 1) :]), 0))
        compare("alone", asked.first(engine, (target,), 0))
    for slot in range(1, batch_size):
        compare("slot", asked.first(engine, (*others[:slot], target, *others[slot : batch_size - 1]), slot))
    for turn in () if asked.rows else range(2):
        compare("pool", asked.pooled(engine, target, batch_size, turn))
    there = elsewhere.hash(asked.dtype, batch_size)
    if there is not None:
        cells["process"].add(0 if pixel_sha256(image) == there else 1)
    if reference is not None:
        compare("size", reference)
    return cells, image


def device_named(device: str) -> str:
    import torch

    if not device.startswith("cuda"):
        return f"{device}, {torch.get_num_threads()} threads"
    about = torch.cuda.get_device_properties(device)
    return f"{about.name}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def table(engine: Engine, asked: Asked, dtypes: list[Dtype], sizes: list[int]) -> Iterator[str]:
    yield f"| dtype | batch size | {' | '.join(QUESTIONS)} | flat | sha256 |"
    yield f"| --- | ---: |{' --- |' * (len(QUESTIONS) + 2)}"
    there = Elsewhere(asked, dtypes, sizes)
    try:
        for dtype in dtypes:
            one, reference = replace(asked, dtype=dtype), None
            for size in sizes:
                try:
                    cells, image = answers(engine, one, size, reference, there)
                except Exception as error:  # noqa: BLE001 - the other rows still count
                    yield f"| {dtype} | {size} | failed: {type(error).__name__}, {one_line(error)} |"
                    continue
                reference = image if reference is None else reference
                flat = "flat!" if image.std() < 1 else "no"  # one colour only would be equal whatever happened
                said = " | ".join(str(cells[name]) for name in QUESTIONS)
                yield f"| {dtype} | {size} | {said} | {flat} | `{pixel_sha256(image)[:12]}` |"
            engine.close()
            PIPELINES.free()
    finally:
        there.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, cuda:1, mps, cpu; the first that is there")
    parser.add_argument("--config", choices=CONFIGS, default="sd15")
    parser.add_argument("--weights", type=Path, help="where the random weights lie, or are written to")
    parser.add_argument("--dtypes", default="float32,bfloat16,float16")
    parser.add_argument(
        "--batch-sizes", default="1,2,3,4,8", help="the first is what others are held against in 'size'"
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--size", type=int, help="pixels; the configuration's own")
    parser.add_argument("--scheduler", default="euler-a")
    parser.add_argument("--threads", type=int, help="of a CPU")
    parser.add_argument("--rows", action="store_true", help="on a CPU: a batch in one forward always, as on CUDA")
    parser.add_argument("--out", type=Path, help="benchmarks/results/batch_invariance-DEVICE.md; '-' for none")
    parser.add_argument("--elsewhere", help=argparse.SUPPRESS)
    typed = parser.parse_args()
    if typed.elsewhere:
        elsewhere(typed.elsewhere)
        return
    if typed.threads:
        os.environ["OMP_NUM_THREADS"] = str(typed.threads)  # for the other process
    engine = create_engine()
    import torch

    from promptlab.engine.machine.devices import choose_device

    if typed.threads:
        torch.set_num_threads(typed.threads)
    device = choose_device(typed.device)
    size = typed.size or CONFIGS[typed.config]["vae"]["sample_size"]
    sizes = [int(each) for each in typed.batch_sizes.split(",")]
    began = time.perf_counter()
    forwards = "as the engine shares forwards" if device == "cpu" and not typed.rows else "a batch a forward"
    what = f"{typed.scheduler}, {typed.steps} steps, {size} × {size}, random weights"
    head = [f"### {typed.config}, {device_named(device)}, {forwards}", "", f"{machine()}. {what}.", ""]
    rows: list[str] = []
    print("\n".join(head), flush=True)
    out = typed.out or Path(__file__).parent / "results" / f"batch_invariance-{device.replace(':', '')}.md"
    try:
        with weights_in(typed.weights, typed.config, device) as folder:
            asked = Asked(
                folder=folder, device=device, dtype="float32", scheduler=typed.scheduler, steps=typed.steps, size=size,
                rows=typed.rows,
            )  # fmt: skip
            for row in table(engine, asked, typed.dtypes.split(","), sizes):
                rows.append(row)
                print(row, flush=True)
    finally:  # stopped early, half a table still counts
        print(f"\n{time.perf_counter() - began:.0f} s.")
        if str(out) != "-":
            save(out, [*head, *rows])


def save(out: Path, lines: list[str]) -> None:
    out.parent.mkdir(exist_ok=True)
    if not out.exists():
        out.write_text(f"# {__doc__.splitlines()[0]}\n\n{LEGEND}\n\n", encoding="utf-8")
    with out.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
