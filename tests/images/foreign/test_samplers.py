"""The way back from a sampler's name to the scheduler that computes it."""

import pytest

from promptlab.images.samplers import automatic_schedule, sampler_of, scheduler_of, split_sampler, with_schedule
from promptlab.specs import SchedulerSpec, options

SDE = {"algorithm_type": "sde-dpmsolver++"}


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
def test_a_name_leads_to_its_scheduler(name, schedule_type, scheduler, given):
    """Sampler and schedule type together give class and options."""
    found = with_schedule(scheduler_of(name), schedule_type)
    assert found == SchedulerSpec(name=f"{scheduler}Scheduler", options=options(given))


@pytest.mark.parametrize("name", ["DPM fast", "DPM adaptive", "Restart", "DPM++ 2M Heun", "", "Euler b"])
def test_an_algorithm_that_nothing_here_computes_has_no_scheduler(name):
    """No name is taken for one that is like it."""
    assert scheduler_of(name) is None


@pytest.mark.parametrize(
    ("name", "schedule_type"),
    [("Euler a", "Karras"), ("DDIM", "Beta"), ("LCM", "SGM Uniform"), ("DPM++ 2M", "KL Optimal")],
)
def test_a_schedule_that_a_scheduler_does_not_have_is_not_set(name, schedule_type):
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
def test_there_and_back_the_name_is_the_same(scheduler):
    """What the name of a scheduler leads back to has that name."""
    written = sampler_of(scheduler)
    kind = automatic_schedule(written.name) if written.schedule_type == "Automatic" else written.schedule_type
    assert sampler_of(with_schedule(scheduler_of(written.name), kind)) == written


def test_old_names_hold_the_schedule_too():
    """Until version 1.9 the web UI had one list of samplers, schedules in their names."""
    assert split_sampler("DPM++ 2M SDE Heun Karras") == ("DPM++ 2M SDE Heun", "Karras")
    assert split_sampler("Euler a") == ("Euler a", None)
