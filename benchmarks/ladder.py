"""The tutorial's ladder, rung by rung: seconds an image, peak memory, share of what the device can multiply.

    python benchmarks/ladder.py                              # SD 1.5's configuration, random weights, on what is there
    python benchmarks/ladder.py --model FOLDER               # a real model
    python benchmarks/ladder.py --model mini --device cpu --alone 2 --keep     # the bundled one: a minute or two
    python benchmarks/ladder.py --images 32 --alone 2        # of rungs that make one at a time, two are enough
    python benchmarks/ladder.py --device cpu --config tiny --steps 4 2 --images 4      # seconds, to see that it works

float32 with PNDM, float16, DPM-Solver++ with fewer steps, batches of four, batches of eight, with attention slicing and
without: all by diffusers' own pipeline, pictures kept in memory, in a process of its own for which nothing is set. Then
ours, in another: the same images in batches of eight, PNGs, rows and MLflow included. The peak is a large matrix
multiplication in the rung's dtype, timed in the same process; the work of an image is counted by torch
(`FlopCounterMode`), padding not included. ``--keep`` writes `benchmarks/results/ladder-DEVICE.md`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.batch_invariance import CONFIGS, weights_in
from benchmarks.machine import machine, write_result
from promptlab.engine import create_engine
from promptlab.engine.machine.devices import choose_device
from promptlab.engine.machine.memory import measure_peak_memory
from promptlab.engine.machine.torch_setup import prepare, quietly
from promptlab.errors import one_line
from promptlab.lab import Lab
from promptlab.models import bundled
from promptlab.specs import CallSpec, Dtype, PipelineSpec, RunSpec, Variant
from promptlab.specs.schedulers import parse_scheduler

if TYPE_CHECKING:
    import torch

PROMPT = "portrait photo of a old warrior chief"


def matmul_peak(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a large matrix multiplication; the best of five."""
    import torch

    side, rounds = (8192, 20) if device.startswith("cuda") else (1024, 2)
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(5):
        wait(device)
        began = time.perf_counter()
        for _ in range(rounds):
            left @ right
        wait(device)
        best = max(best, rounds * 2 * side**3 / (time.perf_counter() - began))
    return best


def wait(device: str) -> None:
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


class Rungs:
    def __init__(self, folder: str, device: str, size: int, steps: list[int], images: int, alone: int) -> None:
        self.folder, self.device, self.size, self.images, self.alone = folder, device, size, images, alone
        self.many, self.few = steps
        self._dtype: torch.dtype | None = None
        self._pipeline: Any = None
        self._own: Any = None
        self._counted: tuple[int, int] | None = None

    def pipeline(self, dtype: torch.dtype, scheduler: str, *, slicing: bool) -> Any:
        """diffusers' own, the weights loaded once for each dtype."""
        import diffusers

        if dtype != self._dtype:
            self.free()
            loaded = diffusers.StableDiffusionPipeline.from_pretrained(self.folder, dtype=dtype).to(self.device)
            loaded.set_progress_bar_config(disable=True)
            self._dtype, self._pipeline, self._own = dtype, loaded, loaded.scheduler.config
        spec = parse_scheduler(scheduler)
        self._pipeline.scheduler = getattr(diffusers, spec.name).from_config(self._own, **dict(spec.options))
        if slicing:
            self._pipeline.enable_attention_slicing()  # of the last rung: it is not taken back
        return self._pipeline

    def free(self) -> None:
        self._dtype = self._pipeline = None
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()

    def work(self, call: Callable[[int, int, int], None]) -> tuple[int, int]:
        """Operations of an image but for its steps, and those of a step: the same in every dtype."""
        from torch.utils.flop_counter import FlopCounterMode

        if self._counted is None:
            found = []
            try:
                for steps in (1, 2):
                    with FlopCounterMode(display=False) as counted:
                        call(0, 1, steps)
                    found.append(counted.get_total_flops())
            except Exception as error:  # noqa: BLE001 - seconds and memory still count
                print(f"not counted: {one_line(error)}", file=sys.stderr)
                found = [0, 0]
            one, two = found
            self._counted = 2 * one - two, two - one
        return self._counted

    def stock(
        self, dtype: torch.dtype, scheduler: str, steps: int, batch: int, *, slicing: bool = False
    ) -> tuple[float, int, int]:
        """Seconds an image, peak bytes, operations an image: of diffusers' own call, warm."""
        import torch

        pipeline = self.pipeline(dtype, scheduler, slicing=slicing)

        def call(first: int, how_many: int, of: int = steps) -> None:
            generators = [torch.Generator("cpu").manual_seed(seed) for seed in range(first, first + how_many)]
            pipeline(
                [PROMPT] * how_many, num_inference_steps=of, generator=generators, height=self.size, width=self.size
            )

        with quietly():
            once, step = self.work(call)
            call(0, batch, 1)
            images = self.alone if batch == 1 else self.images
            with measure_peak_memory(self.device) as peak:
                wait(self.device)
                began = time.perf_counter()
                for first in range(0, images, batch):
                    call(first, batch)
                wait(self.device)
                seconds = time.perf_counter() - began
        made = -(-images // batch) * batch
        return seconds / made, peak.bytes or 0, once + steps * step

    def ours(self, dtype: Dtype, work: int) -> tuple[float, int, int]:
        """The last rung's images in batches of eight, everything remembered."""
        self.free()
        spec = RunSpec(
            pipeline=PipelineSpec(model=self.folder, dtype=dtype, scheduler=parse_scheduler("dpmsolver++")),
            call=CallSpec(num_inference_steps=self.few, height=self.size, width=self.size),
            variants=(Variant(prompt=PROMPT),), seeds=tuple(range(self.images)), batch_size=8, device=self.device,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            lab = Lab(folder, engine=create_engine())
            lab.run(spec.vary(seeds=(0,), num_inference_steps=1))
            began = time.perf_counter()
            run = lab.run(spec, again=True)
            return (time.perf_counter() - began) / len(run.made), run.peak_memory or 0, work


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a folder with a StableDiffusionPipeline, or mini; else --config's, random")
    parser.add_argument("--config", choices=CONFIGS, default="sd15")
    parser.add_argument("--device")
    parser.add_argument("--size", type=int)
    parser.add_argument("--steps", type=int, nargs=2, default=[50, 20], help="of PNDM, of DPM-Solver++")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--alone", type=int, help="images of the rungs that make one at a time; as many")
    parser.add_argument("--weights", type=Path, help="where the random weights lie, or are written to")
    parser.add_argument("--keep", action="store_true", help="write the table to benchmarks/results")
    parser.add_argument("--only", choices=("stock", "ours"), help=argparse.SUPPRESS)
    typed = parser.parse_args()
    typed.size = typed.size or (128 if typed.model == "mini" else CONFIGS[typed.config]["vae"]["sample_size"])
    if typed.model == "mini":
        typed.model = str(bundled("mini"))
    return typed


def rows_of(typed: argparse.Namespace, folder: str, device: str) -> list[tuple[str, float, int, float]]:
    """What is printed of the rungs that this process is for: words, seconds an image, peak bytes, share of the peak."""
    import torch

    half = torch.float16 if device.startswith("cuda") else torch.bfloat16  # a CPU has no float16
    name: Dtype = "float16" if half is torch.float16 else "bfloat16"
    rungs = Rungs(folder, device, typed.size, typed.steps, typed.images, typed.alone or typed.images)
    peaks = {dtype: matmul_peak(device, dtype) for dtype in (torch.float32, half)}
    stock = (
        (f"float32, PNDM {rungs.many}", torch.float32, (torch.float32, "pndm", rungs.many, 1)),
        (f"{name}, PNDM {rungs.many}", half, (half, "pndm", rungs.many, 1)),
        (f"{name}, DPM-Solver++ {rungs.few}", half, (half, "dpmsolver++", rungs.few, 1)),
        ("… in batches of 4", half, (half, "dpmsolver++", rungs.few, 4)),
        ("… of 8", half, (half, "dpmsolver++", rungs.few, 8)),
        ("… of 8 with attention slicing", half, (half, "dpmsolver++", rungs.few, 8)),
    )
    if typed.only == "ours":
        *_, counted = rungs.stock(half, "dpmsolver++", rungs.few, 1)  # for the work of an image
        seconds, memory, work = rungs.ours(name, counted)
        return [("ours: batches of 8, all remembered", seconds, memory, work / seconds / peaks[half])]
    found = []
    for what, dtype, rung in stock:
        seconds, memory, work = rungs.stock(*rung, slicing="slicing" in what)
        found.append((what, seconds, memory, work / seconds / peaks[dtype]))
    return found


def table(typed: argparse.Namespace, device: str, rows: list[tuple[str, float, int, float]]) -> str:
    """The document."""
    model = Path(typed.model).name if typed.model else typed.config
    lines = [
        "# The tutorial's ladder", "",
        f"Written by `benchmarks/ladder.py`: {machine()}; {device}, {model}, {typed.size} × {typed.size},",
        f"{typed.images} images, load {os.getloadavg()[0]:.1f} when it ended.", "",
        "| rung | s/image | GiB | of peak | times |", "| --- | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    first = rows[0][1]
    for what, seconds, memory, share in rows:
        lines.append(f"| {what} | {seconds:.3f} | {memory / 2**30:.2f} | {share:.1%} | {first / seconds:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    typed = parsed()
    if typed.only == "ours":
        prepare()  # as the command does, before torch is imported
    if typed.only:
        device = choose_device(typed.device)
        with nullcontext(typed.model) if typed.model else weights_in(typed.weights, typed.config, device) as folder:
            print(json.dumps([device, rows_of(typed, folder, device)]))
        return
    device, rows = "", list[tuple[str, float, int, float]]()
    for part in ("stock", "ours"):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", part]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        device, some = json.loads(said.splitlines()[-1])
        rows += [tuple(row) for row in some]
    text = table(typed, device, rows)
    if typed.keep:
        write_result(f"ladder-{device.partition(':')[0]}", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
