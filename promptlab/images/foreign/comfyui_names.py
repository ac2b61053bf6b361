"""Translates ComfyUI's names of samplers and schedules, which Fooocus shares, into the web UI's.

The names are those of ``comfy/samplers.py`` (``KSAMPLER_NAMES``, ``SCHEDULER_NAMES``). A sampler with ``_gpu`` behind
it draws its noise elsewhere; with ``_cfg_pp`` it is another algorithm, which nothing here computes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from promptlab.images.foreign.record import cleaned
from promptlab.images.foreign.spec_builder import SpecBuilder
from promptlab.specs import SchedulerSpec, options

__all__ = ["WEIGHTED", "set_comfyui_sampler"]

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

WEIGHTED: Final = re.compile(r"(?<!\\)\([^()]{1,300}\)|\bembedding:\S{1,100}")
"""What ``comfy/sd1_clip.py`` reads as weights and embeddings: ``(word)``, ``(word:1.2)``, ``embedding:name``."""


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
