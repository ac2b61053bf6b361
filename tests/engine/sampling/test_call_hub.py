"""The hub: every family's images share forwards, each is what it is alone, and what cannot be shared is found out."""

import random
from collections import Counter
from functools import wraps

import pytest

from promptlab.engine import NO_PERMISSIONS, create_engine
from promptlab.engine.sampling.call_hub import Hub
from promptlab.images.png import pixel_sha256
from promptlab.lab.execution.preflight import survey
from promptlab.plan import requests_of
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from tests.engine.drawing import draw
from tests.families.optional import is_there
from tests.families.table import FAMILIES

pytestmark = pytest.mark.slow

BY_NAME = {family.name: family for family in FAMILIES}
ROWS = 4
UNBINNED = (("use_resolution_binning", False),)
MIXED = {
    "stable-diffusion": (("EulerDiscreteScheduler", "DDIMScheduler"), {}),
    "stable-diffusion-xl": (("EulerDiscreteScheduler", "UniPCMultistepScheduler"), {}),
    "stable-diffusion-3": (("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"), {}),
    "flux": (("FlowMatchEulerDiscreteScheduler",) * 2, {}),
    "sana": (("UniPCMultistepScheduler", "DPMSolverMultistepScheduler"), {"arguments": UNBINNED}),
    "lumina2": (("FlowMatchEulerDiscreteScheduler",) * 2, {}),
    "qwenimage": ((None, None), {}),
    "z-image": ((None, None), {}),
}
"""Families, two schedulers each, and what else they are told."""
KEPT = {"flux", "qwenimage"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a family's tiny pipeline, made once."""
    import warnings

    import torch

    home, made = tmp_path_factory.mktemp("families"), {}

    def save(name):
        if name not in made:
            assert not BY_NAME[name].needs or is_there(BY_NAME[name].needs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                BY_NAME[name].build().save_pretrained(home / name)
            made[name] = home / name
        return made[name]

    return save


@pytest.fixture(scope="module")
def fresh():
    """An engine that has seen nothing."""
    return create_engine()


@pytest.fixture
def heard(fresh, monkeypatch):
    """The rows of each forward of the denoiser that the engine has loaded, from the call on."""
    rows = []

    def hear():
        pipeline = fresh._pipelines._pipeline
        kind = type(getattr(pipeline, "transformer", None) or pipeline.unet)
        forward = kind.forward

        def counting(self, *args, **kwargs):
            first = next(each for each in (*args, *kwargs.values()) if isinstance(each, list) or each.dim())
            rows.append(len(first))
            return forward(self, *args, **kwargs)

        monkeypatch.setattr(kind, "forward", wraps(forward)(counting))
        return rows

    return hear


def sweep_of(engine, folder, schedulers, steps=(2, 3), prompts=("a fox",), seeds=(1, 2, 3), size=64, **changes):
    specs = [
        RunSpec(
            pipeline=PipelineSpec(model=str(folder), scheduler=None if name is None else SchedulerSpec(name=name)),
            call=CallSpec(num_inference_steps=count, height=size, width=size),
            variants=tuple(Variant(prompt=prompt) for prompt in prompts), seeds=seeds, batch_size=ROWS, device="cpu",
        ).vary(**changes)
        for name, count in zip(schedulers, steps, strict=True)
    ]  # fmt: skip
    return [request for resolved in engine.resolve(specs) for request in requests_of(resolved)]


def hashes(engine, requests):
    return {drawn.request.recipe_key: pixel_sha256(drawn.pixels) for drawn in draw(engine, requests)}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in KEPT else pytest.mark.exhaustive) for name in MIXED]
)
def test_hub_of_a_familys_mixed_sweep_takes_the_fewest_forwards(fresh, saved, heard, name):
    """Two schedulers, two numbers of steps, three seeds: ceil(work / rows), and each image is what it is alone."""
    schedulers, changes = MIXED[name]
    requests = sweep_of(fresh, saved(name), schedulers, **changes)
    random.Random(1).shuffle(requests)
    hashes(fresh, requests[:1])  # what it reads is found out by its first forward
    rows = heard()
    whole = hashes(fresh, requests)
    together = len(rows)
    for request in requests:
        assert hashes(fresh, [request]).items() <= whole.items()
    assert len(set(whole.values())) == len(requests) == 6
    assert len(set(rows)) == 1
    assert together == -(-(len(rows) - together) // ROWS)


def test_hub_of_a_denoiser_that_cuts_to_the_longest_shares_equal_masks(fresh, saved):
    """Lumina 2 looks at the masks of its texts: only equal ones share forwards, and so company decides nothing."""
    requests = sweep_of(fresh, saved("lumina2"), (None, None), prompts=("a fox", "a tall green tree"), seeds=(1, 2))
    whole = hashes(fresh, requests)
    for request in requests:
        assert hashes(fresh, [request]).items() <= whole.items()


def test_resolver_of_a_denoiser_with_experts_gives_each_image_its_own_forward(fresh, saved):
    """HiDream's recipes say so, in a sweep too, and differ from those of images that were made in batches before."""
    folder = saved("hidream (not mapped)")
    spec = RunSpec(
        pipeline=PipelineSpec(model=str(folder)), call=CallSpec(num_inference_steps=1, height=128, width=128),
        variants=(Variant(prompt="a fox"),), seeds=(1, 2, 3), device="cpu",
    )  # fmt: skip
    unnamed, most, named = fresh.resolve([spec, spec.vary(batch_size="auto"), spec.vary(batch_size=4)])
    assert [one.batch_size for one in (unnamed, most, named)] == [1, 1, 4]
    assert [one.rows for one in (unnamed, most, named)] == [1, 1, 1]
    assert unnamed.setting_key == most.setting_key != named.setting_key
    swept = survey(fresh, [spec, spec.vary(num_inference_steps=2)], permissions=NO_PERMISSIONS).runs
    assert [run.resolved.batch_size for run in swept] == [1, 1]


def test_hub_of_calls_that_change_the_denoiser_keeps_them_apart(fresh, saved):
    """PAG's calls put processors of theirs into it: with guidance, without, and to the end in any order."""
    folder = saved("stable-diffusion-xl-pag")
    requests = sweep_of(fresh, folder, ("EulerDiscreteScheduler", "DDIMScheduler"), seeds=(1, 2))
    requests += sweep_of(fresh, folder, ("DDIMScheduler",), steps=(3,), seeds=(1, 2), guidance_scale=1.0)
    whole = hashes(fresh, requests)
    assert len(set(whole.values())) == 6
    for request in requests:
        assert hashes(fresh, [request]).items() <= whole.items()


def test_hub_of_a_module_that_cannot_be_shared_goes_on_alone(engine, make_spec, monkeypatch):
    """A denoiser that takes two rows and no more: found out by the first forward, and its images come out."""
    import diffusers

    forward, rows = diffusers.UNet2DConditionModel.forward, Counter()

    @wraps(forward)
    def narrow(self, sample, *args, **kwargs):
        rows[len(sample)] += 1
        if len(sample) > 2:
            raise ValueError("two rows, please")
        return forward(self, sample, *args, **kwargs)

    requests = requests_of(engine.resolve([make_spec("a", "b", seeds=(1, 2), batch_size=4)])[0])
    reasons = []
    close = Hub.close
    monkeypatch.setattr(diffusers.UNet2DConditionModel, "forward", narrow)
    monkeypatch.setattr(Hub, "close", lambda hub: (reasons.extend(hub.alone), close(hub)))
    assert len(hashes(engine, requests)) == 4
    assert reasons == ["unet: two rows, please"]
    assert rows[2] == 4 * 3  # PNDM's two steps are three
    assert rows[8] == 1 + 4  # all together, and each beside itself


def test_hub_leaves_modules_and_gradients_as_they_were(engine, make_spec):
    """Between two events and afterwards nothing is caught, whoever is under way; also when it is left half-way."""
    import torch

    requests = requests_of(engine.resolve([make_spec("a", "b", seeds=(1, 2), batch_size=2)])[0])
    generation = iter(engine.generate(requests))
    for _, event in zip(range(6), generation, strict=False):
        pipeline = engine._pipelines._pipeline
        if pipeline is not None:
            assert "forward" not in vars(pipeline.unet), event
            assert "decode" not in vars(pipeline.vae), event
        assert torch.is_grad_enabled()
    generation.close()
    assert torch.is_grad_enabled()
    assert len(hashes(engine, requests)) == 4
