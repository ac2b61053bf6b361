"""N images by N graphs on N streams, or by one graph of N rows? And what do rows bring to a big transformer?

    python benchmarks/graph_streams.py --weights FOLDER --keep           # CUDA: a minute or two
    python benchmarks/graph_streams.py --device cpu --config tiny        # seconds, to see that it works

Graphs of one image have bytes that no company can change; if enough of them fill a GPU side by side, batches are not
needed. The UNet is that of `--weights`, guided, in the device's own dtype. The transformer is Z-Image's by its
configuration, in bfloat16, with 4,096 tokens of an image and 64 of text, weights drawn at random: images a second with
1, 2 and 4 rows, eagerly and as a graph, and the share of what a large matrix product reaches. Without CUDA nothing is
recorded: eager forwards take the graphs' places, one after the other, and both are small.
``--keep`` writes `benchmarks/results/graph_streams-DEVICE.md`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.batch_invariance import CONFIGS, weights_in
from benchmarks.ladder import matmul_peak, wait
from benchmarks.machine import machine, write_result
from benchmarks.ways import Run, Work, denoising, eager, graph_of, on_cuda
from promptlab.engine.machine.torch_setup import deterministic, prepare, quietly

if TYPE_CHECKING:
    from torch import Tensor

COUNTS = (1, 2, 4, 8)
ROUNDS = 5
SMALL = {"dim": 32, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2, "cap_feat_dim": 16,
         "axes_dims": [4, 6, 6]}  # fmt: skip
"""Z-Image's configuration, made small: dimensions that rotary tables divide."""

Row = tuple[str, float, str]


def seconds_of(run: Callable[[], object], device: str) -> float:
    """The median of a few rounds, after one that is not counted."""
    taken = []
    for _ in range(ROUNDS + 1):
        wait(device)
        began = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def recorded(run: Run, inputs: tuple[Tensor, ...], device: str) -> Run:
    """A graph of ``run``; without CUDA itself."""
    return graph_of(run, inputs) if device.startswith("cuda") else run


class SideBySide:
    """Graphs of one image each, every one on a stream of its own."""

    def __init__(self, runs: Sequence[Run], device: str) -> None:
        import torch

        self._cuda = device.startswith("cuda")
        self._runs = [(run, torch.cuda.Stream() if self._cuda else None) for run in runs]

    def __call__(self, inputs: Sequence[tuple[Tensor, ...]]) -> list[Any]:
        import torch

        found = []
        for (run, stream), each in zip(self._runs, inputs, strict=True):
            if stream is not None:
                stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream) if stream is not None else nullcontext():
                found.append(run(*each))
        for _, stream in self._runs:
            if stream is not None:
                torch.cuda.current_stream().wait_stream(stream)
        return found


def unet_rows(folder: str, device: str) -> list[Row]:
    """Images a second of the UNet, side by side and in one batch; and whether company changes bytes."""
    import diffusers
    import torch

    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
    size = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    work = denoising(pipeline, 2, size)
    alone = recorded(eager(work), work.inputs[0], device)
    found = []
    for count in COUNTS:
        inputs = [work.inputs[at % len(work.inputs)] for at in range(count)]
        beside = SideBySide([recorded(eager(work), work.inputs[0], device) for _ in range(count)], device)
        together = [torch.cat(parts) for parts in zip(*inputs, strict=True)]
        batch = recorded(eager(work), tuple(together), device)
        expected = [alone(*each) for each in inputs]
        same = all(map(torch.equal, beside(inputs), expected))
        rows = all(map(torch.equal, batch(*together).chunk(count), expected))
        for what, run, is_same in (
            ("side by side", partial(beside, inputs), same),
            ("one batch", partial(batch, *together), rows),
        ):
            rate = count / seconds_of(run, device)
            found.append((f"UNet, {count} images, {what}", rate, "same bytes" if is_same else "other bytes"))
    return found


def transformer_rows(device: str) -> list[Row]:
    """Images a second of the transformer by its rows, and the share of the product that it reaches."""
    import torch
    from diffusers import ZImageTransformer2DModel
    from torch.utils.flop_counter import FlopCounterMode

    cuda = device.startswith("cuda")
    side, words = (128, 64) if cuda else (8, 4)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = ZImageTransformer2DModel(**({} if cuda else SMALL)).eval()
    finally:
        torch.set_default_dtype(before)
    width, peak = model.config.cap_feat_dim, matmul_peak(device, torch.bfloat16)
    found = []
    for rows in (1, 2, 4):
        latents = torch.randn(rows, 16, 1, side, side, device=device, dtype=torch.bfloat16)
        times = torch.full((rows,), 0.5, device=device, dtype=torch.bfloat16)
        texts = torch.randn(rows, words, width, device=device, dtype=torch.bfloat16)

        work = Work(name=f"transformer, {rows} rows", module=model, call=called, inputs=((latents, times, texts),))
        run, graph = eager(work), on_cuda(device, partial(graph_of, eager(work), work.inputs[0]), work)
        with FlopCounterMode(display=False) as counted:
            run(*work.inputs[0])
        for name, way in (("eager", run), ("graph", graph)):
            if isinstance(way, str):
                found.append((f"{work.name}, {name}", 0.0, way))
                continue
            seconds = seconds_of(partial(way, *work.inputs[0]), device)
            share = counted.get_total_flops() / seconds / peak
            found.append((f"{work.name}, {name}", rows / seconds, f"{share:.0%} of the product"))
    return found


def called(model: Any, latents: Tensor, times: Tensor, texts: Tensor) -> Any:
    """A forward of Z-Image's transformer, which takes and gives lists of tensors."""
    import torch

    return torch.stack(model(list(latents), times, list(texts), return_dict=False)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=CONFIGS, default="sd15")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--weights", type=Path, help="where the random weights lie, or are written to")
    parser.add_argument("--keep", action="store_true", help="write the table to benchmarks/results")
    typed = parser.parse_args()
    prepare()
    import torch

    with weights_in(typed.weights, typed.config, typed.device) as folder, quietly(), deterministic(), torch.no_grad():
        rows = [*unet_rows(folder, typed.device), *transformer_rows(typed.device)]
    lines = [
        "# Graphs side by side, and batches", "",
        f"Written by `benchmarks/graph_streams.py`: {machine()}; {typed.device}, {typed.config}.", "",
        "| what | images/s | |", "| --- | ---: | --- |",
        *(f"| {what} | {rate:.2f} | {remark} |" for what, rate, remark in rows),
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    if typed.keep:
        write_result(f"graph_streams-{typed.device.partition(':')[0]}", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
