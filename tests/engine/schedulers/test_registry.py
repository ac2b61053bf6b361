"""Schedulers: options that mean something to a class are taken, all others are refused."""

import json

import pytest

from promptlab.engine.schedulers.registry import describe_schedulers
from promptlab.errors import InputError, UnknownValue
from promptlab.specs import SchedulerSpec
from promptlab.specs.schedulers import ALIASES, parse_scheduler
from tests.engine.drawing import draw, resolve

COMPATIBLE = [
    "DDIMScheduler", "DDPMScheduler", "DEISMultistepScheduler", "DPMSolverMultistepScheduler", "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler", "EDMEulerScheduler", "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler", "LCMScheduler",
    "LMSDiscreteScheduler", "PNDMScheduler", "TCDScheduler", "UniPCMultistepScheduler",
]  # fmt: skip


@pytest.fixture(scope="module")
def config(mini):
    return json.loads((mini / "scheduler" / "scheduler_config.json").read_text())


@pytest.mark.slow
def test_scheduler_aliases_are_diffusers_classes(config):
    """Each short name leads to a class that diffusers has, and to options that it takes."""
    from promptlab.engine.schedulers.config_options import scheduler_options
    from promptlab.engine.schedulers.registry import build_scheduler

    for alias, spec in ALIASES.items():
        known = {option.name: option for option in scheduler_options(spec.name)}
        assert all(known[key].admits(value) for key, value in spec.options), alias
        assert type(build_scheduler(spec, config)).__name__ == spec.name


@pytest.mark.slow
def test_schedulers_of_the_bundled_model_are_seventeen():
    """The list for a model names what fits, its own marked, each with aliases and options."""
    found = {info.name: info for info in describe_schedulers("mini")}
    assert list(found) == COMPATIBLE
    assert [name for name, info in found.items() if info.is_default] == ["PNDMScheduler"]
    solver = found["DPMSolverMultistepScheduler"]
    assert solver.aliases == ("dpmsolver++", "dpmsolver", "sde-dpmsolver++")
    choices = {option.name: option.choices for option in solver.options}
    assert choices["solver_type"] == ("midpoint", "heun")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lcm", "tcd"])
def test_schedulers_of_distilled_models_are_offered_for_few_steps(engine, make_spec, name):
    """diffusers lists them as compatible with nothing, and they run; more steps than they have are refused at once."""
    spec = make_spec(scheduler=parse_scheduler(name), num_inference_steps=4, guidance_scale=1.0)
    assert resolve(engine, spec).spec.pipeline.scheduler == parse_scheduler(name)
    with pytest.raises(InputError, match=f"num_inference_steps 60 are too many for {name}"):
        resolve(engine, spec.vary(num_inference_steps=60))


@pytest.mark.slow
def test_schedulers_of_edm_take_turns():
    """Playground 2.5 has one of two, and diffusers lists none beside it; both step with its configuration."""
    from promptlab.engine.schedulers.registry import fitting_schedulers, resolve_scheduler

    own, config = "EDMDPMSolverMultistepScheduler", {"sigma_data": 0.5, "sigma_min": 0.002, "sigma_max": 80.0}
    assert fitting_schedulers(own, config) == (own, "EDMEulerScheduler")
    asked = parse_scheduler("edm-euler")
    assert resolve_scheduler(asked, own, config, {"in_channels": 4, "out_channels": 4}) == asked


@pytest.mark.slow
def test_schedulers_without_a_model_are_those_with_an_alias():
    """The list without a model has flow-matching schedulers too, and none is a default."""
    found = describe_schedulers()
    assert {info.name for info in found} == {spec.name for spec in ALIASES.values()}
    assert not any(info.is_default for info in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("flow-euler", r"scheduler 'flow-euler' does not fit this model.*; allowed: ddim, ddpm, deis, "),
        ("NoSuchScheduler", r"scheduler 'NoSuchScheduler' is unknown.*; allowed: ddim, "),
        ("euler:use_karas_sigmas=true", r"'use_karas_sigmas' is no option of euler .did you mean use_karras_sigmas"),
        ("euler:use_karras_sigmas=3", r"=3' does not fit the option; allowed: use_karras_sigmas=true, false"),
        ("dpmsolver++:solver_type=midpint", r"allowed: solver_type=midpoint, heun; type: scheduler=dpmsolver\+\+"),
        ("dpmsolver++:solver_order=2.5", r"allowed: solver_order=a whole number"),
        ("dpmsolver-sde:noise_sampler_seed=3", "'noise_sampler_seed' is no option of dpmsolver-sde"),
        ("euler:use_karras_sigmas=true,use_beta_sigmas=true", "cannot be built: Only one .*: options that go together"),
        ("ddim:beta_schedule=wavy", "cannot be built: wavy is not implemented"),
    ],
)  # fmt: skip
def test_scheduler_or_option_that_does_not_fit_is_refused(engine, make_spec, text, sentence):
    """Schedulers, options and values that diffusers would take silently or fail on late are refused early."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, make_spec(scheduler=parse_scheduler(text)))


@pytest.mark.slow
def test_schedulers_of_a_flow_matching_model_are_flow_matching(engine, make_spec, flux):
    """The model decides which schedulers fit: here the classic ones are refused."""
    spec = make_spec(model=str(flux))
    with pytest.raises(UnknownValue, match=r"does not fit this model.*; allowed: flow-euler, flow-lcm;"):
        resolve(engine, spec.vary(scheduler=parse_scheduler("euler")))
    resolved = resolve(engine, spec.vary(scheduler=parse_scheduler("flow-lcm")))
    assert resolved.spec.pipeline.scheduler == SchedulerSpec(name="FlowMatchLCMScheduler")


@pytest.mark.slow
def test_scheduler_options_that_change_nothing_are_dropped(engine, make_spec):
    """The default named and the default left out are one recipe."""
    plain = resolve(engine, make_spec(scheduler=parse_scheduler("euler")))
    named = resolve(engine, make_spec(scheduler=parse_scheduler("euler:use_karras_sigmas=false")))
    own = resolve(engine, make_spec(scheduler=parse_scheduler("pndm:steps_offset=1")))
    assert plain == named
    assert own == resolve(engine, make_spec())


def cases(config):
    """Every scheduler that fits, with every value of every option that can be listed; one option at a time."""
    from promptlab.engine.schedulers.config_options import scheduler_options
    from promptlab.engine.schedulers.registry import fitting_schedulers

    for name in fitting_schedulers("PNDMScheduler", config):
        yield SchedulerSpec(name=name)
        for option in scheduler_options(name):
            values = option.choices or ((True, False) if option.kind == "bool" else WRITTEN_DOWN.get(option.name, ()))
            yield from (SchedulerSpec(name=name, options=((option.name, value),)) for value in values)


WRITTEN_DOWN = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "prediction_type": ("epsilon", "sample", "v_prediction"),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "interpolation_type": ("linear", "log_linear"),
}
"""What some classes take as any text, and others list."""


@pytest.mark.exhaustive
def test_scheduler_options_all_run_or_are_refused_early(config):
    """What resolving lets through was stepped to its end; what it refuses has a reason, and all plain ones run."""
    from promptlab.engine.schedulers.registry import resolve_scheduler

    fewer = {**config, "num_train_timesteps": 100}  # some tables take their time
    refused, ran = {}, 0
    for spec in cases(fewer):
        try:
            resolve_scheduler(spec, "PNDMScheduler", fewer, {"in_channels": 4, "out_channels": 4})
            ran += 1
        except InputError as error:
            refused[str(spec)] = str(error)
    assert ran > 250
    assert not [spec for spec in refused if ":" not in spec]
    assert all("; allowed: options that go together; type: " in each for each in refused.values())
    assert "`mu` must be passed" in refused["UniPCMultistepScheduler:use_dynamic_shifting=true"]
    assert len(refused) < 20, refused


@pytest.mark.slow
def test_scheduler_noise_of_flow_matching_comes_from_generators(engine, make_spec, tmp_path):
    """FLUX's pipeline hands its scheduler no generator: noise of the steps is the image's all the same."""
    import warnings

    from promptlab.plan import requests_of
    from tests.families.transforming import flux

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flux().save_pretrained(tmp_path / "flux")
    for text in ("flow-euler:stochastic_sampling=true", "flow-lcm"):
        spec = make_spec(model=str(tmp_path / "flux"), scheduler=parse_scheduler(text), seeds=(1, 2))
        tasks = requests_of(resolve(engine, spec))
        first, second = ([picture.pixels.tobytes() for picture in draw(engine, some)] for some in (tasks, tasks[1:]))
        assert first[1:] == second
        assert first[0] != first[1]


@pytest.mark.slow
def test_scheduler_objects_are_fresh(config):
    """Two batches never share a scheduler, and each gets the seeds of its own images."""
    from promptlab.engine.machine.torch_setup import quietly
    from promptlab.engine.schedulers.registry import build_scheduler

    spec = parse_scheduler("dpmsolver-sde")
    first, second = build_scheduler(spec, config, [1, 2]), build_scheduler(spec, config, [3, 4])
    with quietly():
        first.set_timesteps(3)
    assert (first.noise_sampler_seed, second.noise_sampler_seed) == ([1, 2], [3, 4])
    assert len(second.timesteps) != len(first.timesteps)


@pytest.mark.slow
def test_scheduler_noise_is_that_of_the_generators_device(config):
    """Latents on an accelerator, generators on the CPU: the noise of the Brownian tree is the CPU's, to the bit. Here
    the accelerator is torch's meta device, which has no numbers of its own."""
    import torch

    from promptlab.engine.machine.torch_setup import quietly
    from promptlab.engine.schedulers.noise_sampler import draw_on_device
    from promptlab.engine.schedulers.registry import build_scheduler

    spec, latents = parse_scheduler("dpmsolver-sde"), torch.randn(2, 4, 8, 8)
    plain, travelling = (draw_on_device(build_scheduler(spec, config, [1, 2]), "cpu") for _ in range(2))
    with quietly():
        for scheduler, sample in ((plain, latents), (travelling, latents.to("meta"))):
            scheduler.set_timesteps(3)
            moved = scheduler.step(sample, scheduler.timesteps[0], sample).prev_sample
            assert moved.shape == latents.shape
            scheduler.step(moved, scheduler.timesteps[1], moved)
        assert type(plain.noise_sampler).__name__ == "BrownianTreeNoiseSampler"
        travelling.noise_sampler._home = torch.device("cpu")
        sigmas = plain.sigmas[2], plain.sigmas[3]
        assert torch.equal(plain.noise_sampler(*sigmas), travelling.noise_sampler(*sigmas))


def test_scheduler_drawing_by_generators_is_unchanged():
    """Only one of them has a noise of its own."""
    from promptlab.engine.schedulers.noise_sampler import draw_on_device

    scheduler = object()
    assert draw_on_device(scheduler, "cpu") is scheduler
