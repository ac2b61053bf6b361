"""Schedulers and the names that other tools have for them, both ways."""

import pytest

from promptlab.images.samplers import automatic_schedule, sampler_of, scheduler_of, split_sampler, with_schedule
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
def test_sampler_of_scheduler_and_options_is_the_web_uis_name(scheduler, given, name, schedule_type):
    """Class and options together give the sampler and the schedule type that A1111 has for the same algorithm."""
    sampler = sampler_of(SchedulerSpec(name=f"{scheduler}Scheduler", options=options(given)))
    assert (sampler.name, sampler.schedule_type) == (name, schedule_type)


def test_sampler_of_a_quiet_2s_says_eta_zero():
    """DPM++ 2S exists in the web UI with noise only, so eta 0 is written beside the name."""
    assert sampler_of(SchedulerSpec(name="DPMSolverSinglestepScheduler")).eta == 0
    assert sampler_of(SchedulerSpec(name="EulerAncestralDiscreteScheduler")).eta is None


def test_sampler_of_no_scheduler_is_unknown():
    """A spec that was never resolved has no sampler that another tool would set."""
    assert sampler_of(None).name == "Unknown"


@pytest.mark.parametrize(
    ("name", "schedule_type", "scheduler", "given"),
    [
        ("DPM++ 2M", "Karras", "DPMSolverMultistep", {"use_karras_sigmas": True}),
        ("DPM++ 2M", "Uniform", "DPMSolverMultistep", {}),
        ("DPM++ 2M SDE", "Exponential", "DPMSolverMultistep", {**SDE, "use_exponential_sigmas": True}),
        ("DPM++ 2M SDE Heun", "Beta", "DPMSolverMultistep", {**SDE, "solver_type": "heun", "use_beta_sigmas": True}),
        ("DPM++ 3M SDE", "Karras", "DPMSolverMultistep", {**SDE, "solver_order": 3, "use_karras_sigmas": True}),
        ("DPM++ SDE", "Karras", "DPMSolverSDE", {"use_karras_sigmas": True}),
        ("DPM++ 2S a", "Karras", "DPMSolverSinglestep", {"use_karras_sigmas": True}),
        ("DPM2", "Normal", "KDPM2Discrete", {}),
        ("DPM2 a", "Karras", "KDPM2AncestralDiscrete", {"use_karras_sigmas": True}),
        ("Euler", "SGM Uniform", "EulerDiscrete", {"timestep_spacing": "trailing"}),
        ("Euler a", "Simple", "EulerAncestralDiscrete", {"timestep_spacing": "trailing"}),
        ("LMS", "Uniform", "LMSDiscrete", {}),
        ("Heun", "Uniform", "HeunDiscrete", {}),
        ("DDIM", "Uniform", "DDIM", {}),
        ("PLMS", "Uniform", "PNDM", {}),
        ("UniPC", "Uniform", "UniPCMultistep", {}),
        ("LCM", "Uniform", "LCM", {}),
    ],
)
def test_scheduler_of_a_sampler_and_schedule_type_is_class_and_options(name, schedule_type, scheduler, given):
    """Sampler and schedule type together give class and options."""
    found = with_schedule(scheduler_of(name), schedule_type)
    assert found == SchedulerSpec(name=f"{scheduler}Scheduler", options=options(given))


@pytest.mark.parametrize("name", ["DPM fast", "DPM adaptive", "Restart", "DPM++ 2M Heun", "", "Euler b"])
def test_scheduler_of_an_unknown_algorithm_is_none(name):
    """No name is taken for one that is like it."""
    assert scheduler_of(name) is None


@pytest.mark.parametrize(
    ("name", "schedule_type"),
    [("Euler a", "Karras"), ("DDIM", "Beta"), ("LCM", "SGM Uniform"), ("DPM++ 2M", "KL Optimal")],
)
def test_schedule_a_scheduler_lacks_is_not_set(name, schedule_type):
    """diffusers would refuse or ignore the option."""
    assert with_schedule(scheduler_of(name), schedule_type) is None


@pytest.mark.parametrize(
    "scheduler",
    [
        SchedulerSpec(name=f"{name}Scheduler", options=options(given))
        for name in ("DPMSolverMultistep", "DPMSolverSDE", "DPMSolverSinglestep", "EulerDiscrete", "HeunDiscrete",
                     "KDPM2Discrete", "LMSDiscrete", "UniPCMultistep", "DEISMultistep")
        for given in ({}, {"use_karras_sigmas": True}, {"use_beta_sigmas": True})
    ]
    + [
        SchedulerSpec(name="DPMSolverMultistepScheduler", options=options({"algorithm_type": algorithm, **given}))
        for algorithm in ("sde-dpmsolver++", "dpmsolver", "sde-dpmsolver")
        for given in ({"solver_order": 3}, {"solver_type": "heun"}, {"use_karras_sigmas": True})
    ]
    + [
        SchedulerSpec(name=f"{name}Scheduler")
        for name in ("DDIM", "PNDM", "DDPM", "LCM", "TCD", "EulerAncestralDiscrete", "FlowMatchEulerDiscrete")
    ],
    ids=str,
)  # fmt: skip
def test_sampler_read_back_has_the_name_that_was_written(scheduler):
    """What the name of a scheduler leads back to has that name."""
    written = sampler_of(scheduler)
    kind = automatic_schedule(written.name) if written.schedule_type == "Automatic" else written.schedule_type
    assert sampler_of(with_schedule(scheduler_of(written.name), kind)) == written


def test_sampler_of_an_old_name_is_split_from_its_schedule():
    """Until version 1.9 the web UI had one list of samplers, schedules in their names."""
    assert split_sampler("DPM++ 2M SDE Heun Karras") == ("DPM++ 2M SDE Heun", "Karras")
    assert split_sampler("Euler a") == ("Euler a", None)
