"""Families of pipelines: each of them, built tiny, goes through the command line as the bundled model does."""

import json
import shutil
import warnings
from contextlib import suppress
from functools import partial
from importlib.util import find_spec

import pytest

from promptlab.engine.planning_engine import resolve_without_torch
from promptlab.engine.refusals import EarlyChecks, refuse_early
from promptlab.engine.sources.class_source import NotTold
from promptlab.engine.sources.environment_memory import remember_environment
from promptlab.engine.sources.finder import SourceFinder, find_model
from promptlab.errors import EngineError, InputError
from promptlab.specs import CallSpec, PipelineSpec, RunSpec, SchedulerSpec, Variant
from tests.engine.drawing import draw, resolve
from tests.engine.folders import write_hub_cache, write_json
from tests.families.optional import is_there
from tests.families.table import FAMILIES

pytestmark = pytest.mark.slow


def needing(package):
    """Of families whose processors that package makes: benchmarks/families.py proves them where it is installed."""
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} makes its processor and is not installed")


BY_NAME = {family.name: family for family in FAMILIES}


def marks_of(family):
    """Of one family: seven represent their kinds in every run, the others are run by ``make exhaustive``."""
    needs = [needing(family.needs)] if family.needs else []
    return needs if family.represents else [*needs, pytest.mark.exhaustive]


BUILT = [pytest.param(family, id=family.name, marks=marks_of(family)) for family in FAMILIES if family.build]


@pytest.fixture(scope="session")
def saved(engine, tmp_path_factory):
    """The folder of a family's tiny pipeline, made once."""
    import torch

    home, made = tmp_path_factory.mktemp("families"), {}

    def save(name):
        if name not in made:
            needs = BY_NAME[name].needs
            assert not needs or is_there(needs)  # imported now: transformers looks for it when it makes a processor
            folder = home / name
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about configurations that are tiny on purpose
                torch.manual_seed(0)
                BY_NAME[name].build().save_pretrained(folder)
            made[name] = folder
        return made[name]

    return save


@pytest.fixture
def spec_of(saved):
    def make(name, *prompts, negative_prompt="", **changes):
        return RunSpec(
            pipeline=PipelineSpec(model=str(saved(name))), call=CallSpec(), seeds=(1,), device="cpu",
            variants=tuple(Variant(prompt=p, negative_prompt=negative_prompt) for p in prompts or ("a fox",)),
        ).vary(**changes)  # fmt: skip

    return make


def test_families_table_has_every_one_of_diffusers():
    """A family that a new release maps is noticed."""
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    assert set(AUTO_TEXT2IMAGE_PIPELINES_MAPPING) - BY_NAME.keys() == set()
    for family in FAMILIES:
        assert bool(family.build) + bool(family.refused) + bool(family.unproved) == 1, family.name


@pytest.mark.parametrize("family", BUILT)
def test_family_is_run_rerun_and_verified(family, saved, promptlab, monkeypatch):
    """Two prompts at two seeds, other words for one seed, and the same bytes again."""
    monkeypatch.setenv("PROMPTLAB_ENGINE", "diffusers")
    model = ("--model", str(saved(family.name)), "--device", "cpu")
    size = ("--size", str(family.size), "--steps", str(family.steps))
    words = ("run", "a fox", "a tall green tree", "--seeds", "1,2", *model, *size, *family.words)
    for command in (words, ("rerun", "last", "--seed", "2", "--append", ", red"), ("verify", "last")):
        said = promptlab(*command)
        assert (said.code, said.err) == (0, ""), said.err
    assert "exact" in said.out


@pytest.mark.parametrize("family", [each for each in FAMILIES if each.refused], ids=lambda family: family.name)
def test_family_needing_more_than_words_is_refused(family):
    """Control pictures and videos are named in the sentence."""
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING

    from promptlab.engine.pipelines.calls import pipeline_class
    from promptlab.engine.sources.configuration import Configuration

    kind = AUTO_TEXT2IMAGE_PIPELINES_MAPPING[family.name].__name__
    config = Configuration(pipeline_class=kind, parts={}, scheduler=None, vae=None, denoiser=None)
    with pytest.raises(InputError, match=r"no images from text alone: (it draws over a picture|it makes videos)"):
        pipeline_class(config, family.name)


@pytest.mark.parametrize(
    ("name", "steps", "guidance", "size"),
    [
        ("stable-diffusion-3", 28, 7.0, 64),
        ("flux", 28, 3.5, 256),
        ("if", 100, 7.0, 32),
        ("cascade", 12, None, 512),
        ("qwenimage", 50, None, 512),
        ("pixart-sigma", 20, 4.5, 16),
    ],
)
def test_call_defaults_are_the_familys_own(engine, spec_of, name, steps, guidance, size):
    """Signature, configuration and the pipeline's own code tell what a call makes that is told nothing."""
    call = resolve(engine, spec_of(name)).spec.call
    assert (call.num_inference_steps, call.guidance_scale, call.height, call.width) == (steps, guidance, size, size)
    assert resolve(engine, resolve(engine, spec_of(name)).spec).spec.call == call


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("cascade", {"guidance_scale": 3.0}, "; allowed: arguments=.prior_guidance_scale=3. arguments=.decoder"),
        ("qwenimage", {"guidance_scale": 3.0}, "nothing to QwenImagePipeline; allowed: true_cfg_scale=3"),
        ("flux", {"negative_prompt": "blurry"}, "effect on FluxPipeline at true_cfg_scale 1; .*: true_cfg_scale=4"),
        ("sana", {"true_cfg_scale": 4.0}, "true_cfg_scale 4.0 means nothing to SanaPipeline"),
        ("flux", {"arguments": (("true_cfg", 3),)}, r"'true_cfg' is no argument of .* \(did you mean true_cfg_scale"),
        ("ideogram4", {"num_inference_steps": 20}, "schedule; allowed: 48, or any number with one guidance"),
        ("flux", {"height": 66, "width": 64}, "size '64x66' is not divisible by 4"),
        ("flux-kontext", {"height": 512, "width": 512}, "512x512. is a size that FluxKontextPipeline changes to"),
    ],
)  # fmt: skip
def test_call_setting_that_would_be_dropped_is_refused(engine, spec_of, name, changes, sentence):
    """With the argument that does what was meant, where there is one."""
    with pytest.raises(InputError, match=sentence):
        resolve(engine, spec_of(name, **changes))


WRONG = [
    {},
    {"height": 65, "width": 64},
    {"height": 72, "width": 72},
    {"arguments": (("no_such_argument", 1),)},
    {"scheduler": SchedulerSpec(name="NoSuchScheduler")},
    {"scheduler": SchedulerSpec(name="LCMScheduler", options=(("nothing", 1),))},
    {"guidance_scale": 3.0},
    {"true_cfg_scale": 4.0},
    {"negative_prompt": "blurry"},
]
LEFT_TO_THE_RESOLVER = {"hunyuan", "hunyuan-pag", "wuerstchen", "cascade"}
"""Families of which not everything stands in their source: functions of their modules, pipelines within pipelines."""


def refusal(ask):
    """What is refused by calling it, by its facts; ``None`` where nothing is."""
    try:
        ask()
    except InputError as error:
        return type(error), error.facts
    return None


@pytest.mark.parametrize("family", BUILT)
def test_family_is_refused_early_and_planned_as_by_the_resolver(family, engine, spec_of, monkeypatch, tmp_path):
    """What its source and its configurations tell is what the class tells: sizes, arguments, schedulers, defaults."""
    for wrong in WRONG:
        spec = spec_of(family.name, **wrong)
        early, late = (refusal(partial(ask, [spec])) for ask in (refuse_early, engine.resolve))
        assert early == late or (early is None and family.name in LEFT_TO_THE_RESOLVER), wrong
    monkeypatch.setenv("PROMPTLAB_CACHE", str(tmp_path))
    whole = resolve(engine, spec_of(family.name))
    remember_environment(whole.environment, "cpu", "float32")
    with suppress(NotTold):
        finder = SourceFinder()
        assert resolve_without_torch(spec_of(family.name), EarlyChecks(finder=finder), finder) == whole


def test_true_cfg_scale_steers_flux_away_from_the_negative_prompt(engine, spec_of):
    """It reaches the pipeline's call; typed as an argument of the call, as it was before, it is the same recipe."""
    from promptlab.engine import finished_images
    from promptlab.plan import requests_of

    spec = spec_of("flux", num_inference_steps=2, height=64, width=64)
    guided = spec_of("flux", negative_prompt="blurry", num_inference_steps=2, height=64, width=64, true_cfg_scale=4.0)
    assert guided == guided.vary(true_cfg_scale=None, arguments=(("true_cfg_scale", 4),))
    (plain,), (steered,) = (
        list(finished_images(engine.generate(requests_of(one)))) for one in engine.resolve((spec, guided))
    )
    assert (plain.pixels != steered.pixels).any()


def test_image_of_another_size_is_refused(engine, spec_of, monkeypatch):
    """Whatever a family does to a size: the first picture is held against what was asked."""
    from promptlab.engine.sampling import pipeline_call
    from promptlab.plan import requests_of

    whole = pipeline_call._image
    monkeypatch.setattr(pipeline_call, "_image", lambda output: whole(output)[:, :32])
    spec = spec_of("stable-diffusion-3", num_inference_steps=1, height=64, width=64)
    with pytest.raises(EngineError, match="size '64x64' is a size that StableDiffusion3Pipeline changes to 64x32"):
        list(draw(engine, requests_of(resolve(engine, spec))))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("stable-diffusion-3", 3),
        ("flux", 2),
        pytest.param("sana", 4, marks=pytest.mark.exhaustive),
        pytest.param("pixart-sigma", 15, marks=pytest.mark.exhaustive),
    ],
)
def test_scheduler_offered_for_a_family_runs(engine, saved, spec_of, name, count):
    """FLUX hands its scheduler sigmas, which Heun's does not take; Stable Diffusion 3 hands none, and is offered it."""
    from promptlab.engine.schedulers.registry import describe_schedulers
    from promptlab.plan import requests_of

    offered = [info.name for info in describe_schedulers(str(saved(name)))]
    assert len(offered) >= count
    assert ("FlowMatchHeunDiscreteScheduler" in offered) is (name == "stable-diffusion-3")
    for each in offered:
        plain = {"arguments": (("use_resolution_binning", False),)} if name in {"sana", "pixart-sigma"} else {}
        spec = spec_of(name, scheduler=SchedulerSpec(name=each), num_inference_steps=4, height=64, width=64, **plain)
        (picture,) = draw(engine, requests_of(resolve(engine, spec)))
        assert picture.flag is None, (each, picture.flag, picture.pixels.mean())


@pytest.mark.parametrize("scheduler", ["PNDMScheduler", "KDPM2AncestralDiscreteScheduler"])
def test_scheduler_failing_on_few_steps_is_refused_with_them(engine, spec_of, scheduler):
    """PNDM's first steps are four in one, and KDPM2's give numbers that are none; with more steps both run."""
    spec = spec_of("pixart-sigma", scheduler=SchedulerSpec(name=scheduler), num_inference_steps=2)
    with pytest.raises(
        InputError, match=r"num_inference_steps 2 are too few for .*; allowed: 8 and more; type: num_inference_steps=8"
    ):
        resolve(engine, spec)
    assert resolve(engine, spec.vary(num_inference_steps=8)).spec.pipeline.scheduler.name == scheduler


def test_prior_in_another_repository_is_found_by_the_model_card(engine, saved, spec_of, tmp_path):
    """The decoder's card names it; both are in the identity, and the picture is that of the whole."""
    from promptlab.plan import requests_of

    whole, decoder, prior = saved("kandinsky22"), tmp_path / "decoder", tmp_path / "prior"
    index = json.loads((whole / "model_index.json").read_text(encoding="utf-8"))
    shutil.copytree(whole, decoder, ignore=shutil.ignore_patterns("prior_*"))
    ours = {name: value for name, value in index.items() if not name.startswith("prior_")}
    write_json(decoder / "model_index.json", {**ours, "_class_name": "KandinskyV22Pipeline"})
    theirs = {name.removeprefix("prior_"): value for name, value in index.items() if name.startswith("prior_")}
    for part in theirs:
        shutil.copytree(whole / f"prior_{part}", prior / part)
    write_json(prior / "model_index.json", {**theirs, "_class_name": "KandinskyV22PriorPipeline"})
    with pytest.raises(InputError, match=r"needs a prior, which no README.md of it names"):
        find_model(str(decoder))
    (decoder / "README.md").write_text("---\nprior:\n- org/prior\n---\n# A decoder\n", encoding="utf-8")
    with pytest.raises(InputError, match="is made with the prior org/prior, which is neither a folder here nor in"):
        find_model(str(decoder))
    write_hub_cache(tmp_path / "hub", "org/prior", prior)
    setting = {"height": 64, "width": 64, "num_inference_steps": 2, "arguments": (("prior_num_inference_steps", 2),)}
    made = [
        next(draw(engine, requests_of(resolve(engine, spec_of("kandinsky22", model=str(model), **setting))))).pixels
        for model in (decoder, whole)
    ]
    assert made[0].tobytes() == made[1].tobytes()
