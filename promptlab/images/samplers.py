"""Maps diffusers' schedulers to the web UI's names of the same algorithms, and back.

The correspondence is that of diffusers' ``docs/source/en/api/schedulers/overview.md``, read together with the code on
both sides where the table is silent or in doubt: the web UI's ``modules/sd_samplers_kdiffusion.py`` and
``modules/sd_samplers_timesteps.py`` for samplers, ``modules/sd_schedulers.py`` for schedule types. What the web UI does
not have keeps diffusers' own name, so that nothing is taken for what it is not.

:func:`sampler_of` names a scheduler, :func:`scheduler_of` and :func:`with_schedule` find it again: what the one wrote,
the others read back, and the name of what they found is the name that was read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from promptlab.specs import Scalar, SchedulerSpec, options

__all__ = ["Sampler", "automatic_schedule", "sampler_of", "scheduler_of", "split_sampler", "with_schedule"]

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


_CLASSES: Final[Mapping[str, str]] = {
    **{name: scheduler for scheduler, name in _NAMES.items() if scheduler != "EDMEulerScheduler"},
    "DPM++ 2S a": "DPMSolverSinglestepScheduler",  # without the noise that the name promises
    **{
        name: f"{name}Scheduler"
        for name in (
            "FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete", "FlowMatchLCM", "IPNDM", "LCM", "SASolver", "TCD",
        )
    },
}  # fmt: skip
"""The other way round. ``EDMEulerScheduler`` shares its name with the one that other models have."""

_MULTISTEP: Final = re.compile(r"DPM(\+\+)? ([123])M( SDE)?( Heun)?")

_SCHEDULES: Final[Mapping[str, Mapping[str, Scalar]]] = {
    "uniform": {},
    "normal": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "sgm uniform": {"timestep_spacing": "trailing"},
    "simple": {"timestep_spacing": "trailing"},  # every n-th of the model's own sigmas, counted from the noisy end
    "ddim": {"timestep_spacing": "leading"},
}
"""Schedule types (``modules/sd_schedulers.py``) as config values of diffusers' schedulers."""

_FIXED_SIGMAS: Final = frozenset({"DDIMScheduler", "DDPMScheduler", "EulerAncestralDiscreteScheduler", "PNDMScheduler"})
"""Classes without ``use_karras_sigmas`` and its like; they do know ``timestep_spacing``."""

_AUTOMATIC: Final[Mapping[str, str]] = {
    "DPM++ 2M": "Karras",
    "DPM++ 2M SDE": "Exponential",
    "DPM++ 2M SDE Heun": "Exponential",
    "DPM++ 2S a": "Karras",
    "DPM++ 3M SDE": "Exponential",
    "DPM++ SDE": "Karras",
    "DPM2": "Karras",
    "DPM2 a": "Karras",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """Names a sampler as the web UI writes it.

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
    """Return the web UI's name for a diffusers scheduler and its options; ``Unknown`` for None."""
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
    """Name ``DPMSolverMultistepScheduler``, a family, by its algorithm, order and noise."""
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


def scheduler_of(name: str) -> SchedulerSpec | None:
    """Return the diffusers scheduler that computes what the web UI's sampler ``name`` does.

    On a uniform schedule.

    ``None`` where there is none: ``DPM fast``, ``DPM adaptive``, ``Restart`` and what extensions add.
    """
    scheduler = _CLASSES.get(name)
    if scheduler is not None:
        return SchedulerSpec(name=scheduler)
    family = _MULTISTEP.fullmatch(name)
    if family is None:
        return None
    newer, order, noisy, heun = family.groups()
    if heun and not noisy:
        return None
    given: dict[str, Scalar] = {}
    if noisy or not newer:
        given["algorithm_type"] = f"{'sde-' if noisy else ''}dpmsolver{newer or ''}"
    if not newer:
        given["final_sigmas_type"] = "sigma_min"  # the older algorithm divides by the last sigma
    if order != "2":
        given["solver_order"] = int(order)
    if heun:
        given["solver_type"] = "heun"
    return SchedulerSpec(name="DPMSolverMultistepScheduler", options=options(given))


def with_schedule(scheduler: SchedulerSpec, schedule_type: str) -> SchedulerSpec | None:
    """Return ``scheduler`` on the web UI's ``schedule_type``; None where it has no such schedule."""
    given = _SCHEDULES.get(schedule_type.strip().lower())
    if given is None:
        return None
    if not given:
        return scheduler
    if scheduler.name in _FIXED_SIGMAS and "timestep_spacing" not in given:
        return None
    if scheduler.name.startswith("FlowMatch") or scheduler.name in ("LCMScheduler", "TCDScheduler"):
        return None  # trained for timesteps of their own
    return SchedulerSpec(name=scheduler.name, options=options({**dict(scheduler.options), **given}))


def automatic_schedule(name: str) -> str:
    """Return the schedule type that ``Automatic`` means for the sampler ``name``.

    ``scheduler`` in the web UI's options.
    """
    return _AUTOMATIC.get(name, "Uniform")


def split_sampler(name: str) -> tuple[str, str | None]:
    """Split ``DPM++ 2M Karras`` into sampler and schedule type, which were one until version 1.9.

    The rule is that of ``get_sampler_and_scheduler`` in ``modules/sd_samplers.py``.
    """
    for schedule_type in ("Karras", "Exponential", "SGM Uniform", "SGMUniform", "Beta", "Simple", "Normal", "Uniform"):
        if name.endswith(f" {schedule_type}"):
            return name.removesuffix(f" {schedule_type}"), schedule_type.replace("SGMUniform", "SGM Uniform")
    return name, None
