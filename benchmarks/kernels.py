"""Which way of running the denoiser and the VAE is quickest at the pool's fixed shape, and which keeps eager's bytes?

    python benchmarks/kernels.py                          # SD 1.5's configuration on CUDA, the tiny one elsewhere
    python benchmarks/kernels.py --size tiny              # minutes on a CPU, to see that it works
    python benchmarks/kernels.py --compile --save         # torch.compile too; benchmarks/results/kernels-DEVICE.md
    python benchmarks/kernels.py --batch-size 8 1 4 --parts unet image       # a batch size after the other, parts of it

Random weights. A forward is what the pool makes of a batch that is guided: twice its rows, the timesteps a vector; the
VAE decodes a batch. Each in turn, round by round: eager; channels_last; a CUDA graph captured over the eager kernels,
its inputs copied in and its output copied out, of either layout; torch.compile. Without CUDA the graphs are left out,
and the table says so.

Then one image, made again: by diffusers' own call, and by a pool of one slot that has such a forward put in.

- seconds: the median of the rounds; times: eager's seconds through these.
- of the product: the share of what a large matrix product reaches here in the same dtype (8192³, on a CPU 1024³).
- same bytes: whether the sha256 over the outputs for three different inputs is eager's. `off by`: the greatest
  difference, as a part of the greatest number in eager's output; of a picture, in levels of 255.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from benchmarks.batch_invariance import CONFIGS, PIPELINES, PROMPTS, device_named, unwatched, weights_in
from benchmarks.ladder import matmul_peak, wait
from benchmarks.machine import machine
from benchmarks.ways import Run, Work, decoding, denoising, ways
from promptlab.engine import create_engine, finished_images
from promptlab.engine.loading.pipeline_cache import PipelineSetting
from promptlab.engine.machine.devices import choose_device, torch_dtype
from promptlab.engine.machine.torch_setup import deterministic, half_on_cpu, quietly
from promptlab.engine.sampling.call_hub import Known
from promptlab.engine.sampling.image_stream import ImageStream
from promptlab.engine.sampling.progress import BatchProgress
from promptlab.engine.sources.finder import find_model
from promptlab.errors import one_line
from promptlab.images.png import pixel_sha256
from promptlab.plan import requests_of
from promptlab.records import Environment
from promptlab.specs import DTYPES, CallSpec, Dtype, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler

SCHEDULER = "dpmsolver++"
PARTS = ("unet", "vae", "image")
if TYPE_CHECKING:
    from torch import Tensor

LEGEND = "Written by `benchmarks/kernels.py --save`, whose head says what the columns are."


def outputs(run: Run, work: Work) -> list[Tensor]:
    return [run(*inputs).detach().contiguous().cpu() for inputs in work.inputs]


def sha256(tensors: list[Tensor]) -> str:
    import torch

    digest = hashlib.sha256()
    for each in tensors:
        digest.update(each.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def apart(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """The greatest difference, as a part of the greatest number of ``theirs``."""
    pairs = [(one.double(), other.double()) for one, other in zip(ours, theirs, strict=True)]
    return max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)


def proves_something(tensors: list[Tensor]) -> bool:
    """Numbers, and other ones for other inputs: what is empty or always the same would be equal whatever happened."""
    import torch

    return all(bool(torch.isfinite(each).all()) for each in tensors) and len({sha256([one]) for one in tensors}) == 3


def operations(work: Work) -> int | None:
    """Of one forward, counted by torch; ``None`` where it cannot."""
    from torch.utils.flop_counter import FlopCounterMode

    try:
        with FlopCounterMode(display=False) as counted:
            work.call(work.module, *work.inputs[0])
    except Exception as error:  # noqa: BLE001 - seconds and bytes still count
        print(f"not counted: {one_line(error)}", file=sys.stderr)
        return None
    return int(counted.get_total_flops())


def timed(runs: dict[str, Run], turn: Callable[[Run], int], device: str, rounds: int) -> dict[str, float]:
    """Median seconds of each, in turn, so that the machine's mood falls on all.

    Args:
        turn: given a way of ``runs``, runs it and says how many times it did.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            wait(device)
            began = time.perf_counter()
            count = turn(run)
            wait(device)
            taken[name].append((time.perf_counter() - began) / count)
    return {name: statistics.median(each) for name, each in taken.items()}


def compared(work: Work, device: str, peak: float, *, rounds: int, repeats: int, compiling: bool) -> Iterator[str]:
    """A row of the table for each way."""
    count = operations(work)
    tried = ways(work, device, compiling=compiling)
    runs = {name: run for name, run in tried.items() if not isinstance(run, str)}

    def turn(run: Run) -> int:
        for at in range(repeats):
            run(*work.inputs[at % len(work.inputs)])
        return repeats

    seconds = timed(runs, turn, device, rounds)
    reference = outputs(runs["eager"], work)
    if not proves_something(reference):
        yield f"| {work.name} | eager | its outputs are no numbers, or always the same: nothing is proved | | | | | |"
    for name, run in tried.items():
        if isinstance(run, str):
            yield f"| {work.name} | {name} | {run} | | | | | |"
            continue
        made = outputs(run, work)
        same, off = sha256(made) == sha256(reference), apart(made, reference)
        share = "" if count is None else f"{count / seconds[name] / peak:.1%}"
        yield row(work.name, name, seconds[name], seconds["eager"], share, same, f"{off:.1e}", sha256(made))


def row(what: str, way: str, seconds: float, first: float, share: str, same: bool, off: str, sha: str) -> str:
    answer = "yes" if same else "no"
    return f"| {what} | {way} | {seconds:.5f} | {first / seconds:.2f} | {share} | {answer} | {off} | `{sha[:12]}` |"


def once(make: Run) -> int:
    """Run a way one time."""
    make()
    return 1


class Rerun:
    """One image with one seed made again: diffusers' call of one, and a stream of one row."""

    def __init__(self, folder: str, device: str, dtype: Dtype, size: int, steps: int) -> None:
        import diffusers

        self.engine, self.device, self.steps, self.size = create_engine(), device, steps, size
        spec = RunSpec(
            pipeline=PipelineSpec(model=folder, dtype=dtype, scheduler=parse_scheduler(SCHEDULER)),
            call=CallSpec(num_inference_steps=steps, guidance_scale=7.5, height=size, width=size),
            variants=(Variant(prompt=PROMPTS[0]),), seeds=(0,), batch_size=1, device=device,
        )  # fmt: skip
        (resolved,) = self.engine.resolve([spec])
        self.tasks = requests_of(resolved)
        self.pipeline = PIPELINES.ready(setting(folder, dtype, device), unwatched)
        chosen = parse_scheduler(SCHEDULER)
        scheduler = getattr(diffusers, chosen.name).from_config(self.pipeline.scheduler.config, **dict(chosen.options))
        parts = {**self.pipeline.components, "scheduler": scheduler}
        self.stock: Any = diffusers.StableDiffusionPipeline(**parts, requires_safety_checker=False)
        self.stock.set_progress_bar_config(disable=True)

    def stocks(self) -> np.ndarray:
        import torch

        with quietly():
            image = self.stock(
                PROMPTS[0], num_inference_steps=self.steps, guidance_scale=7.5, height=self.size, width=self.size,
                generator=torch.Generator("cpu").manual_seed(0),
            ).images[0]  # fmt: skip
        return np.asarray(image)

    def ours(self, run: Run | None) -> np.ndarray:
        """The stream's, with ``run`` for its forward, the UNet's own without."""
        progress = BatchProgress(batches=1, going=lambda: True, environment=Environment(facts={}))
        with forwarded(self.pipeline.unet, run):
            (made,) = finished_images(ImageStream(self.pipeline, self.tasks, progress, Known(), ()).events())
        return made.pixels

    def rows(self, *, rounds: int, compiling: bool) -> Iterator[str]:
        forward = denoising(self.pipeline, 2, self.size)
        with the_engines_way(self.device, str(self.pipeline.unet.dtype)):
            found = ways(forward, self.device, compiling=compiling)
        makers: dict[str, Run | str] = {"diffusers' own call": self.stocks, "ours": partial(self.ours, None)}
        for name, run in found.items():
            if name != "eager":
                makers[f"ours, {name}"] = run if isinstance(run, str) else partial(self.ours, run)
        able = {name: make for name, make in makers.items() if not isinstance(make, str)}
        images = {name: make() for name, make in able.items()}  # warm from here on
        seconds = timed(able, once, self.device, rounds)
        reference, first = images["ours"], seconds["diffusers' own call"]
        what = f"one image, {self.steps} steps"
        if reference.std() < 1:
            yield f"| {what} | ours | a picture of one colour: nothing is proved | | | | | |"
        for name, make in makers.items():
            if isinstance(make, str):
                yield f"| {what} | {name} | {make} | | | | | |"
                continue
            off = int(np.abs(images[name].astype(int) - reference.astype(int)).max())
            sha = pixel_sha256(images[name])
            same = sha == pixel_sha256(reference)
            yield row(what, name, seconds[name], first, "", same, f"{off} of 255", sha)


@contextmanager
def forwarded(unet: Any, run: Run | None) -> Iterator[None]:
    """A block in which ``unet`` answers by ``run``, which takes sample, timesteps and embeddings."""
    if run is None:
        yield
        return

    def forward(sample: Tensor, timestep: Tensor, *, encoder_hidden_states: Tensor, **others: object) -> tuple[Tensor]:
        assert not any(others.values()), others
        return (run(sample, timestep.float().expand(len(sample)), encoder_hidden_states),)

    unet.forward = forward
    try:
        yield
    finally:
        del unet.forward


def setting(folder: str, dtype: str, device: str) -> PipelineSetting:
    return PipelineSetting(model=find_model(folder), vae=None, dtype=dtype, device=device)


@contextmanager
def the_engines_way(device: str, dtype: str) -> Iterator[None]:
    """What holds while the engine makes a forward."""
    import torch

    with quietly(), deterministic(), torch.inference_mode(), half_on_cpu(device, dtype.removeprefix("torch.")):
        yield


def driver(device: str) -> str:
    if not device.startswith("cuda"):
        return "no driver"
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return "driver unknown"
    return f"driver {found[0]}" if found else "driver unknown"


def turn_to(device: str) -> None:
    """Streams and graphs are of the current device."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.set_device(device)


def let_go(device: str) -> None:
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def load() -> str:
    """What else the machine was doing."""
    return f"load {os.getloadavg()[0]:.1f} when it began" if hasattr(os, "getloadavg") else "load unknown"


def measured(typed: argparse.Namespace, device: str, size: int, folder: str) -> Iterator[str]:
    """The table's lines."""
    pipeline = PIPELINES.ready(setting(folder, typed.dtype, device), unwatched)
    with the_engines_way(device, typed.dtype):
        peak = matmul_peak(device, torch_dtype(typed.dtype))
    yield f"A large matrix product in {typed.dtype}: {peak / 1e12:.3f} TFLOP/s."
    yield ""
    yield "| what | way | seconds | times | of the product | same bytes | off by | sha256 |"
    yield "| --- | --- | ---: | ---: | ---: | --- | --- | --- |"
    of = {"rounds": typed.rounds, "compiling": typed.compile}
    forwards = [
        (make, rows)
        for part, make, images in (("unet", denoising, 2), ("vae", decoding, 1))
        for rows in (each * images for each in typed.batch_size)
        if part in typed.parts
    ]
    for make, rows in forwards:
        with the_engines_way(device, typed.dtype):
            yield from list(compared(make(pipeline, rows, size), device, peak, repeats=typed.repeats, **of))
        let_go(device)
    if "image" in typed.parts:
        yield from Rerun(folder, device, typed.dtype, size, typed.steps).rows(**of)


def save(lines: list[str], device: str) -> None:
    out = Path(__file__).parent / "results" / f"kernels-{device.replace(':', '')}.md"
    out.parent.mkdir(exist_ok=True)
    if not out.exists():
        out.write_text(f"# {__doc__.splitlines()[0]}\n\n{LEGEND}\n\n", encoding="utf-8")
    with out.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", help="cuda, cuda:1, cpu; the first that is there")
    parser.add_argument("--size", choices=CONFIGS, help="of the model; sd15 on CUDA, tiny elsewhere")
    parser.add_argument("--dtype", choices=DTYPES, help="float16 on CUDA, float32 on a CPU")
    parser.add_argument("--batch-size", type=int, nargs="+", default=[8], help="slots of the pool; 8")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all")
    parser.add_argument("--weights", type=Path, help="where the random weights lie, or are written to")
    parser.add_argument("--steps", type=int, default=20, help="of the one image; 20")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5, help="forwards of a round; 5")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes to begin with")
    parser.add_argument("--save", action="store_true", help="to benchmarks/results/kernels-DEVICE.md")
    typed = parser.parse_args()
    create_engine()  # tells the libraries what they read when they are imported
    device = choose_device(typed.device)
    turn_to(device)
    typed.size = typed.size or ("sd15" if device.startswith("cuda") else "tiny")
    typed.dtype = typed.dtype or ("float32" if device == "cpu" else "float16")
    size = CONFIGS[typed.size]["vae"]["sample_size"]
    many = ", ".join(map(str, typed.batch_size))
    lines = [
        f"### {typed.size}, {typed.dtype}, batches of {many}, {device_named(device)}, {driver(device)}",
        "",
        f"{machine()}; {load()}. {size} × {size}, random weights; {typed.rounds} rounds of {typed.repeats}.",
        "",
    ]  # fmt: skip
    print("\n".join(lines), flush=True)
    try:
        with weights_in(typed.weights, typed.size, device) as folder:
            for line in measured(typed, device, size, folder):
                lines.append(line)
                print(line, flush=True)
    finally:  # stopped early, half a table still counts
        if typed.save:
            save(lines, device)


if __name__ == "__main__":
    main()
