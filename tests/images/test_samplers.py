"""The names by which other tools know our schedulers."""

import pytest

from promptlab.images.samplers import sampler_of
from promptlab.specs import SchedulerSpec, options

SDE = {"algorithm_type": "sde-dpmsolver++"}


@pytest.mark.parametrize(
    ("scheduler", "given", "name", "schedule_type"),
    [
        ("DDIM", {}, "DDIM", "Automatic"),
        ("DDPM", {}, "DDPM", "Uniform"),
        ("DEISMultistep", {}, "DEIS", "Uniform"),
        ("DPMSolverMultistep", {}, "DPM++ 2M", "Uniform"),
        ("DPMSolverMultistep", {"use_karras_sigmas": True}, "DPM++ 2M", "Karras"),
        ("DPMSolverMultistep", SDE, "DPM++ 2M SDE", "Uniform"),
        ("DPMSolverMultistep", {**SDE, "use_exponential_sigmas": True}, "DPM++ 2M SDE", "Exponential"),
        ("DPMSolverMultistep", {**SDE, "solver_type": "heun"}, "DPM++ 2M SDE Heun", "Uniform"),
        ("DPMSolverMultistep", {**SDE, "solver_order": 3}, "DPM++ 3M SDE", "Uniform"),
        ("DPMSolverMultistep", {"algorithm_type": "dpmsolver"}, "DPM 2M", "Uniform"),
        ("DPMSolverSDE", {"use_karras_sigmas": True}, "DPM++ SDE", "Karras"),
        ("DPMSolverSinglestep", {}, "DPM++ 2S a", "Uniform"),
        ("DPMSolverSinglestep", SDE, "DPM++ SDE", "Uniform"),
        ("EDMEuler", {}, "Euler", "Karras"),
        ("EDMEuler", {"sigma_schedule": "exponential"}, "Euler", "Exponential"),
        ("EulerAncestralDiscrete", {}, "Euler a", "Uniform"),
        ("EulerDiscrete", {"timestep_spacing": "trailing"}, "Euler", "SGM Uniform"),
        ("EulerDiscrete", {"use_beta_sigmas": True}, "Euler", "Beta"),
        ("HeunDiscrete", {"use_karras_sigmas": False}, "Heun", "Uniform"),
        ("KDPM2AncestralDiscrete", {}, "DPM2 a", "Uniform"),
        ("KDPM2Discrete", {}, "DPM2", "Uniform"),
        ("LMSDiscrete", {"use_karras_sigmas": True}, "LMS", "Karras"),
        ("PNDM", {}, "PLMS", "Automatic"),
        ("UniPCMultistep", {}, "UniPC", "Automatic"),
        ("LCM", {}, "LCM", "Uniform"),
    ],
)  # fmt: skip
def test_schedulers_have_the_web_uis_names(scheduler, given, name, schedule_type):
    """Class and options together give the sampler and the schedule type that A1111 has for the same algorithm."""
    sampler = sampler_of(SchedulerSpec(name=f"{scheduler}Scheduler", options=options(given)))
    assert (sampler.name, sampler.schedule_type) == (name, schedule_type)


def test_an_ancestral_name_for_a_quiet_sampler_says_that_no_noise_is_added():
    """DPM++ 2S exists in the web UI with noise only, so eta 0 is written beside the name."""
    assert sampler_of(SchedulerSpec(name="DPMSolverSinglestepScheduler")).eta == 0
    assert sampler_of(SchedulerSpec(name="EulerAncestralDiscreteScheduler")).eta is None


def test_no_scheduler_is_not_taken_for_one():
    """A spec that was never resolved has no sampler that another tool would set."""
    assert sampler_of(None).name == "Unknown"
