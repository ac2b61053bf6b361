"""Translates ComfyUI's names of samplers and schedules, which Fooocus shares, into the web UI's.

The names are those of ``comfy/samplers.py`` (``KSAMPLER_NAMES``, ``SCHEDULER_NAMES``). A sampler with ``_gpu`` behind
it draws its noise elsewhere; with ``_cfg_pp`` it is another algorithm, which nothing here computes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from promptlab.errors import one_line
from promptlab.images.foreign.graph import Node
from promptlab.images.foreign.record import brief, cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.specs import SchedulerSpec, options

__all__ = [
    "CORE_WEIGHTS", "FLOW", "PLAIN", "SCHEDULES", "WEIGHTED", "record_node", "set_comfyui_sampler", "why_with_numbers",
]  # fmt: skip

FLOW: Final = frozenset(
    {"FluxGuidance", "CLIPTextEncodeFlux", "CLIPTextEncodeSD3", "EmptySD3LatentImage", "ModelSamplingAuraFlow",
     "ModelSamplingFlux", "ModelSamplingSD3", "TripleCLIPLoader", "QuadrupleCLIPLoader"}
)  # fmt: skip
"""Nodes that belong to models of flow matching."""

PLAIN: Final = frozenset(
    {"BasicGuider", "BasicScheduler", "BetaSamplingScheduler", "CFGGuider", "CLIPLoader", "ConditioningZeroOut",
     "DualCLIPLoader", "EmptySD3LatentImage", "ExponentialScheduler", "FluxGuidance", "KSamplerSelect",
     "KarrasScheduler", "PreviewImage", "QuadrupleCLIPLoader", "RandomNoise", "Reroute", "TripleCLIPLoader",
     "VAEDecode", "VAEDecodeTiled"}
)  # fmt: skip
"""Nodes that are wholly taken, or change nothing, or are said in another place."""

_MOST: Final = 12
"""Of a node's inputs are named with it."""

SCHEDULES: Final = {
    "BetaSamplingScheduler": "beta",
    "ExponentialScheduler": "exponential",
    "KarrasScheduler": "karras",
}

_SAMPLERS: Final[Mapping[str, str]] = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "deis": "DEIS",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
    "dpmpp_2s_ancestral": "DPM++ 2S a",
    "dpmpp_3m_sde": "DPM++ 3M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "ipndm": "IPNDM",
    "lcm": "LCM",
    "lms": "LMS",
    "sa_solver": "SASolver",
    "tcd": "TCD",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC",
}

_SCHEDULES: Final[Mapping[str, str]] = {
    "beta": "Beta",
    "ddim_uniform": "DDIM",
    "exponential": "Exponential",
    "karras": "Karras",
    "normal": "Normal",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
}

WEIGHTED: Final = re.compile(r"(?<!\\)[(\[][^()\[\]]{1,300}[)\]]|\bembedding:[^\s,()]{1,100}|\bBREAK\b|\bAND\b")
"""Matches what encoders read that follow AUTOMATIC1111's rules, or either's."""

CORE_WEIGHTS: Final = re.compile(r"(?<!\\)\([^()]{1,300}\)|\bembedding:[^\s,()]{1,100}")
"""What ``comfy/sd1_clip.py`` reads as weights and embeddings: ``(word)``, ``(word:1.2)``, ``embedding:name``."""


def record_node(builder: SpecBuilder, node: Node, why: str = "has no counterpart here", *, name: str = "node") -> None:
    """Record a node as a gap, with the numbers and choices that it holds."""
    if builder.is_full:
        builder.cut = True
        return
    builder.record_gap(name, node.kind, why_with_numbers(node, why))


def why_with_numbers(node: Node, why: str) -> str:
    """Return ``why``, and the numbers and choices that a node holds."""
    held = [
        f"{key} {brief(value)}"
        for key, value in node.inputs.items()
        if isinstance(value, int | float) or (isinstance(value, str) and value)
    ]
    return f"{why}: {one_line(', '.join(held[:_MOST]), limit=200)}" if held else why


def set_comfyui_sampler(builder: SpecBuilder, sampler: tuple[str, object], schedule: tuple[str, object]) -> None:
    """Put ComfyUI's sampler and schedule, each with the name of its field, into ``builder``."""
    given = cleaned(sampler[1]).strip()
    kind = cleaned(schedule[1]).strip()
    if not given:
        builder.record_gaps([sampler, schedule])
        return
    plain = given.removesuffix("_gpu")
    builder.set_sampler(
        sampler[0], _SAMPLERS.get(plain, given), _SCHEDULES.get(kind, kind or None), schedule=schedule[0]
    )
    if plain.startswith("uni_pc") and builder.scheduler:
        solver = {"solver_type": "bh2" if plain.endswith("bh2") else "bh1"}
        builder.scheduler = SchedulerSpec(
            name=builder.scheduler.name, options=options({**dict(builder.scheduler.options), **solver})
        )
    if plain == "dpmpp_2s_ancestral" and builder.scheduler:
        builder.record_gap(sampler[0], given, "adds noise in every step, which its counterpart here does not")
