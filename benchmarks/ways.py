"""Ways of running a module at a fixed shape: eager, channels_last, a CUDA graph over either, torch.compile.

For `kernels.py`, which says how quick they are and whether their bytes are eager's. What only CUDA can do is in
:func:`graph_of`, and tried nowhere else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from promptlab.errors import one_line

if TYPE_CHECKING:
    from torch import Tensor

Run = Callable[..., Any]
"""Takes tensors, gives one."""

LEFT_OUT = "left out: no CUDA"


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is run in several ways.

    Args:
        name: in the table.
        module: with the weights.
        call: runs a module of this kind on the inputs; gives one tensor.
        inputs: of one shape each time, of different numbers.
    """

    name: str
    module: Any
    call: Run
    inputs: tuple[tuple[Tensor, ...], ...]


def denoising(pipeline: Any, rows: int, size: int) -> Work:
    """A forward of the UNet over ``rows`` rows, as the pool calls it."""
    import torch

    unet = pipeline.unet
    channels, width = unet.config.in_channels, unet.config.cross_attention_dim
    side = size // pipeline.vae_scale_factor
    inputs = []
    for seed in range(3):
        generator = torch.Generator("cpu").manual_seed(seed)
        sample = torch.randn(rows, channels, side, side, generator=generator)
        embeds = torch.randn(rows, 77, width, generator=generator)
        timesteps = torch.randint(1, 1000, (rows,), generator=generator).float()  # each slot is at a step of its own
        sample, embeds = (each.to(unet.device, unet.dtype) for each in (sample, embeds))
        inputs.append((sample, timesteps.to(unet.device), embeds))

    def call(module: Any, sample: Tensor, timesteps: Tensor, embeds: Tensor) -> Any:
        return module(
            sample, timesteps, encoder_hidden_states=embeds, timestep_cond=None, added_cond_kwargs=None,
            return_dict=False,
        )[0]  # fmt: skip

    return Work(name=f"UNet, {rows} rows", module=unet, call=call, inputs=tuple(inputs))


def decoding(pipeline: Any, rows: int, size: int) -> Work:
    """The VAE's decoding of a batch, as the pool does it."""
    import torch

    vae, side, inputs = pipeline.vae, size // pipeline.vae_scale_factor, []
    for seed in range(3):
        generator = torch.Generator("cpu").manual_seed(seed)
        latents = torch.randn(rows, vae.config.latent_channels, side, side, generator=generator)
        inputs.append((latents.to(vae.device, vae.dtype),))

    def call(module: Any, latents: Tensor) -> Any:
        return module.decode(latents / module.config.scaling_factor, return_dict=False)[0]

    return Work(name=f"VAE, {rows} rows", module=vae, call=call, inputs=tuple(inputs))


def eager(work: Work) -> Run:
    return lambda *inputs: work.call(work.module, *inputs)


def channels_last(work: Work) -> Run:
    """Of a copy: the channels of a pixel lie together, as cuDNN's quickest convolutions read them."""
    import torch

    module = copy.deepcopy(work.module).to(memory_format=torch.channels_last)

    def run(first: Tensor, *others: Tensor) -> Any:
        return work.call(module, first.contiguous(memory_format=torch.channels_last), *others).contiguous()

    return run


def graph_of(run: Run, inputs: tuple[Tensor, ...]) -> Run:
    """``run``, its kernels recorded once and replayed without Python in between. CUDA only.

    Source: "CUDA Graphs" in PyTorch's notes on CUDA semantics: warm up on a side stream, capture, then fill the memory
    that was read at the capture.
    """
    import torch

    held = tuple(each.clone() for each in inputs)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            run(*held)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run(*held)

    def replay(*fresh: Tensor, weights: Run = run) -> Any:
        del weights  # `run`: the graph reads them, and would not keep them alive
        for there, each in zip(held, fresh, strict=True):
            there.copy_(each)
        graph.replay()
        return out.clone()  # the next replay writes over it, and schedulers of several steps remember predictions

    return replay


def compiled(work: Work) -> Run:
    import torch

    module = copy.deepcopy(work.module)  # it leaves marks on what it compiles
    if hasattr(module, "decode"):
        module.decoder.compile()
    else:
        module = torch.compile(module)
    return lambda *inputs: work.call(module, *inputs)


def ways(work: Work, device: str, *, compiling: bool) -> dict[str, Run | str]:
    """How to run it, by name; or why not."""
    found: dict[str, Run | str] = {"eager": eager(work)}
    found["channels_last"] = attempt(lambda: channels_last(work), work)
    for name, run in tuple(found.items()):
        graph = run if isinstance(run, str) else on_cuda(device, partial(graph_of, run, work.inputs[0]), work)
        found[f"CUDA graph, {name}"] = graph
    found["torch.compile"] = attempt(lambda: compiled(work), work) if compiling else "left out: no --compile"
    return found


def on_cuda(device: str, make: Callable[[], Run], work: Work) -> Run | str:
    return attempt(make, work) if device.startswith("cuda") else LEFT_OUT


def attempt(make: Callable[[], Run], work: Work) -> Run | str:
    """What it makes, once it has run; or in a line why it does not."""
    try:
        run = make()
        run(*work.inputs[0])
    except Exception as error:  # noqa: BLE001 - a way that does not work here is an answer, and the others still count
        return f"failed: {type(error).__name__}, {one_line(error) or 'no words'}"[:160].replace("|", "/")
    return run
