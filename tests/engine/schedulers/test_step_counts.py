"""Steps are counted without torch as the schedulers themselves count them."""

import pytest

from promptlab.engine.pipelines.denoising_steps import timesteps_count
from promptlab.engine.schedulers.step_counts import step_count
from promptlab.engine.sources.class_source import NotTold
from promptlab.specs import SchedulerSpec

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
COUNTED = ["PNDMScheduler", "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler",
           "EulerAncestralDiscreteScheduler"]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spacing", ["leading", *(
    pytest.param(spacing, marks=pytest.mark.exhaustive) for spacing in ("trailing", "linspace")
)])  # fmt: skip
@pytest.mark.parametrize("name", COUNTED)
def test_step_count_is_the_schedulers_own(name, spacing):
    """Of few steps and of many."""
    config = {**BETAS, "timestep_spacing": spacing, "skip_prk_steps": True, "steps_offset": 1}
    for steps in (1, 2, 3, 5, 7, 20, 30, 50, 99, 250):
        if name != "PNDMScheduler" or steps > 1:
            assert step_count(name, config, steps) == timesteps_count(SchedulerSpec(name=name), config, steps), steps


@pytest.mark.parametrize(
    ("name", "changes", "steps"),
    [("HeunDiscreteScheduler", {}, 20), ("DDIMScheduler", {}, 900), ("DDIMScheduler", {"num_train_timesteps": 50}, 20),
     ("PNDMScheduler", {"skip_prk_steps": False}, 20), ("DDIMScheduler", {"timestep_spacing": "log"}, 20)],
)  # fmt: skip
def test_step_count_of_others_is_not_told(name, changes, steps):
    """These are built and asked."""
    with pytest.raises(NotTold):
        step_count(name, {**BETAS, "skip_prk_steps": True, **changes}, steps)
