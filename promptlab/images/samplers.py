"""diffusers' schedulers by the names that AUTOMATIC1111's web UI gives to the same algorithms.

The correspondence is that of diffusers' ``docs/source/en/api/schedulers/overview.md``, read together with the code on
both sides where the table is silent or in doubt: the web UI's ``modules/sd_samplers_kdiffusion.py`` and
``modules/sd_samplers_timesteps.py`` for samplers, ``modules/sd_schedulers.py`` for schedule types. What the web UI does
not have keeps diffusers' own name, so that nothing is taken for what it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from promptlab.spec import Scalar, SchedulerSpec

__all__ = ["Sampler", "sampler_of"]

_NAMES: Final[Mapping[str, str]] = {
    "DDIMScheduler": "DDIM",
    "DDPMScheduler": "DDPM",  # not in the web UI itself; Forge and SD.Next call it so
    "DEISMultistepScheduler": "DEIS",  # likewise
    "DPMSolverSDEScheduler": "DPM++ SDE",  # k-diffusion's sample_dpmpp_sde; the docs' table names Singlestep here
    "EDMEulerScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "EulerDiscreteScheduler": "Euler",
    "HeunDiscreteScheduler": "Heun",
    "KDPM2AncestralDiscreteScheduler": "DPM2 a",
    "KDPM2DiscreteScheduler": "DPM2",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}

_OWN_TIMESTEPS: Final = frozenset({"DDIM", "PLMS", "UniPC"})
"""Samplers of ``sd_samplers_timesteps.py``: the web UI steps them its own way whatever the schedule type says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """A sampler as the web UI writes it.

    Args:
        name: its ``Sampler``, such as ``DPM++ 2M``.
        schedule_type: its ``Schedule type``, such as ``Karras``. Always to be written: left out, the web UI reads
            ``Automatic``, which is Karras for the DPM++ family.
        eta: its ``Eta``, where the noise that the name promises is not added.
    """

    name: str
    schedule_type: str
    eta: float | None = None


def sampler_of(scheduler: SchedulerSpec | None) -> Sampler:
    """The web UI's name for a diffusers scheduler and its options; ``Unknown`` for ``None``."""
    if scheduler is None:
        return Sampler(name="Unknown", schedule_type="Automatic")
    options = dict(scheduler.options)
    name, eta = _NAMES.get(scheduler.name, scheduler.name.removesuffix("Scheduler")), None
    if scheduler.name == "DPMSolverMultistepScheduler":
        name = _multistep(options)
    elif scheduler.name == "DPMSolverSinglestepScheduler":
        # DPM-Solver++(2S) without noise is what k-diffusion's ancestral 2S computes at eta 0.
        noisy = str(options.get("algorithm_type", "")).startswith("sde-")
        name, eta = ("DPM++ SDE", None) if noisy else ("DPM++ 2S a", 0.0)
    return Sampler(name=name, schedule_type=_schedule_type(scheduler.name, name, options), eta=eta)


def _multistep(options: Mapping[str, Scalar]) -> str:
    """``DPMSolverMultistepScheduler`` is a family: the algorithm, its order and its noise make the name."""
    algorithm = str(options.get("algorithm_type", "dpmsolver++"))
    name = f"{'DPM++' if algorithm.endswith('++') else 'DPM'} {options.get('solver_order', 2)}M"
    if not algorithm.startswith("sde-"):
        return name
    return f"{name} SDE Heun" if options.get("solver_type") == "heun" else f"{name} SDE"


def _schedule_type(scheduler: str, name: str, options: Mapping[str, Scalar]) -> str:
    for option, schedule_type in (
        ("use_karras_sigmas", "Karras"),
        ("use_exponential_sigmas", "Exponential"),
        ("use_beta_sigmas", "Beta"),
    ):
        if options.get(option) is True:
            return schedule_type
    if scheduler == "EDMEulerScheduler":
        return "Exponential" if options.get("sigma_schedule") == "exponential" else "Karras"
    if name in _OWN_TIMESTEPS:
        return "Automatic"
    return "SGM Uniform" if options.get("timestep_spacing") == "trailing" else "Uniform"
