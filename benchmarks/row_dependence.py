"""Which operations of a model know the row that a number is in? Equal rows go in; whatever comes out unequal is named.

    python benchmarks/row_dependence.py --weights /tmp/sd15 --keep                 # CUDA: half a minute a switch
    python benchmarks/row_dependence.py --device cpu --config tiny --rows 2 3 4    # seconds, to see that it works

N equal rows are sent through the text encoder, the UNet and the VAE, in each dtype, with deterministic kernels. After
each operation that computes (products, convolutions, attention, norms, activations) the rows are compared with the
first; where they differ, the operation and its shapes are noted and the rows made equal again, so that one pass finds
every culprit. Each set of switches is a process of its own, for libraries read them when they start. ``--keep`` writes
`benchmarks/results/row_dependence-DEVICE.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.batch_invariance import CONFIGS, weights_in
from benchmarks.machine import machine, write_result

OPERATIONS = (
    "addmm", "mm", "bmm", "baddbmm", "linear", "convolution", "cudnn_convolution", "mkldnn_convolution",
    "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_flash_attention_for_cpu",
    "native_group_norm", "native_layer_norm", "gelu", "silu",
)  # fmt: skip
"""By aten's names: what computes. Outputs of views are never touched, they may be weights."""

SWITCHES: dict[str, dict[str, str]] = {
    "as it is": {},
    "no room for split-K": {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "CUBLASLT_WORKSPACE_SIZE": "1"},
    "cuBLASLt, no room": {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "CUBLASLT_WORKSPACE_SIZE": "1", "ROWS_BLAS": "cublaslt"},
    "cuDNN with 8 MiB": {
        "CUBLAS_WORKSPACE_CONFIG": ":16:8", "CUBLASLT_WORKSPACE_SIZE": "1", "CUDNN_CONV_WSCAP_DBG": "8",
    },
    "no cuDNN": {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "CUBLASLT_WORKSPACE_SIZE": "1", "ROWS_CUDNN": "0"},
}  # fmt: skip
"""Environments; those of a CPU are all the first."""


def watched(run: Any, rows: int) -> Counter[str]:
    """The operations of ``run`` after which equal rows are unequal, with their shapes."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    found: Counter[str] = Counter()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func.__name__.partition(".")[0]
            first = out[0] if isinstance(out, tuple | list) else out
            if name in OPERATIONS and isinstance(first, torch.Tensor) and first.numel() % rows == 0:
                lines = first.reshape(rows, -1)
                if not bool((lines == lines[:1]).all()):
                    shapes = [tuple(each.shape) for each in args if isinstance(each, torch.Tensor)]
                    found[f"{name} {' × '.join(map(str, shapes))}"] += 1
                    first.copy_(lines[:1].clone().expand_as(lines).reshape(first.shape))
            return out

    with Watch():
        run()
    return found


def asked(folder: str, device: str, rows: list[int], dtypes: list[str]) -> dict[str, dict[str, int]]:
    """For each part, dtype and number of rows: what knows its row, and how often."""
    from promptlab.engine.machine.torch_setup import deterministic, prepare, quietly

    prepare()
    import diffusers
    import torch

    if os.environ.get("ROWS_BLAS"):
        torch.backends.cuda.preferred_blas_library(os.environ["ROWS_BLAS"])
    torch.backends.cudnn.enabled = os.environ.get("ROWS_CUDNN") != "0"
    found = {}
    for name in dtypes:
        dtype = getattr(torch, name)
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, dtype=dtype).to(device)
        side = pipeline.unet.config.sample_size
        generator = torch.Generator("cpu").manual_seed(0)
        latents = torch.randn(1, pipeline.unet.config.in_channels, side, side, generator=generator)
        embeds = torch.randn(1, 77, pipeline.unet.config.cross_attention_dim, generator=generator)
        latents, embeds = (each.to(device, dtype) for each in (latents, embeds))
        words = pipeline.tokenizer(["a fox"], padding="max_length", max_length=77, return_tensors="pt").input_ids

        def parts(count: int, pipeline: Any = pipeline, given: Any = (latents, embeds, words)) -> dict[str, Any]:
            latents, embeds, words = (each.to(device).repeat(count, *[1] * (each.dim() - 1)) for each in given)
            times = torch.full((count,), 501.0, device=device)
            return {
                "text": lambda: pipeline.text_encoder(words),
                "UNet": lambda: pipeline.unet(latents, times, encoder_hidden_states=embeds),
                "VAE": lambda: pipeline.vae.decode(latents),
            }

        for count in rows:
            for part, run in parts(count).items():
                with quietly(), deterministic(), torch.no_grad():
                    found[f"{part}, {name}, {count} rows"] = dict(watched(run, count))
    return found


def table(device: str, found: dict[str, dict[str, dict[str, int]]]) -> str:
    """The document."""
    lines = [
        "# Operations that know their row", "",
        f"Written by `benchmarks/row_dependence.py`: {machine()}; {device}.", "",
        "| switches | part | operations | which |", "| --- | --- | ---: | --- |",
    ]  # fmt: skip
    for switches, parts in found.items():
        for part, operations in parts.items():
            which = "; ".join(f"{name} ({count})" for name, count in sorted(operations.items())) or "none"
            lines.append(f"| {switches} | {part} | {sum(operations.values())} | {which} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=CONFIGS, default="sd15")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float16", "bfloat16"])
    parser.add_argument("--weights", type=Path, help="where the random weights lie, or are written to")
    parser.add_argument("--keep", action="store_true", help="write the table to benchmarks/results")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    typed = parser.parse_args()
    cuda = typed.device.startswith("cuda")
    dtypes = typed.dtypes if cuda else [each for each in typed.dtypes if each != "float16"]
    with weights_in(typed.weights, typed.config, typed.device) as folder:
        if typed.here:
            print(json.dumps(asked(folder, typed.device, typed.rows, dtypes)))
            return
        found = {}
        for name, variables in SWITCHES.items() if cuda else [next(iter(SWITCHES.items()))]:
            command = [sys.executable, __file__, *sys.argv[1:], "--here", "--weights", folder]
            done = subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True, text=True)
            found[name] = json.loads(done.stdout.splitlines()[-1])
    text = table(typed.device, found)
    if typed.keep:
        write_result(f"row_dependence-{typed.device.partition(':')[0]}", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
