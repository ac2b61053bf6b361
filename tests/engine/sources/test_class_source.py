"""What is read from diffusers' source is what the imported class says of itself."""

import inspect

import pytest

from promptlab.engine.pipelines.calls import _kind
from promptlab.engine.schedulers.config_options import scheduler_options, scheduler_source
from promptlab.engine.schedulers.registry import fitting_schedulers
from promptlab.engine.sources.auto_pipeline import text_to_image_class, text_to_image_name
from promptlab.engine.sources.class_source import NotTold, class_source, is_named, named, parameters_of
from promptlab.engine.sources.glance import origin_of
from promptlab.specs.schedulers import ALIASES

pytestmark = pytest.mark.slow  # it imports diffusers

SCHEDULERS = sorted({spec.name for spec in ALIASES.values()})
CONFIGS = [
    ("PNDMScheduler", {"beta_schedule": "scaled_linear"}, "StableDiffusionPipeline"),
    ("FlowMatchEulerDiscreteScheduler", {}, "FluxPipeline"),
    ("FlowMatchEulerDiscreteScheduler", {}, "StableDiffusion3Pipeline"),
    ("DPMSolverMultistepScheduler", {"use_flow_sigmas": True}, "SanaPipeline"),
    ("EDMEulerScheduler", {}, "StableDiffusionXLPipeline"),
    ("DDPMWuerstchenScheduler", {}, "WuerstchenCombinedPipeline"),
    ("SCMScheduler", {}, "SanaSprintPipeline"),
]


def said(parameters):
    """Names, defaults, and what may be typed: all that is asked of parameters."""
    return [
        (each.name, each.kind, each.default, kind.types, kind.choices)
        for each in parameters.values()
        for kind in [_kind(each.annotation)]
    ]


def assert_same(name, method):
    import diffusers

    theirs = inspect.signature(getattr(getattr(diffusers, name), method)).parameters
    assert said(parameters_of(class_source(name), method)) == said(theirs), (name, method)


@pytest.mark.parametrize(
    ("name", "method"),
    [("StableDiffusionPipeline", "__call__"), ("StableDiffusionPipeline", "prepare_latents"),
     ("AutoencoderKL", "__init__"), ("FlowMatchEulerDiscreteScheduler", "set_timesteps")],
)  # fmt: skip
def test_class_source_has_the_parameters_of_the_class(name, method):
    """With their defaults and kinds."""
    assert_same(name, method)


@pytest.mark.exhaustive
def test_class_source_of_every_text_to_image_pipeline_is_found():
    """Of each that diffusers lists, and under each name that leads to it."""
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING, SUPPORTED_TASKS_MAPPINGS

    for kind in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values():
        for method in ("__call__", "__init__"):
            assert_same(kind.__name__, method)
    for table in SUPPORTED_TASKS_MAPPINGS:
        for kind in table.values():
            found = text_to_image_class(kind.__name__)
            assert text_to_image_name(kind.__name__) == (found and found.__name__)


@pytest.mark.parametrize("name", ["PNDMScheduler", *(
    pytest.param(name, marks=pytest.mark.exhaustive) for name in SCHEDULERS if name != "PNDMScheduler"
)])  # fmt: skip
def test_scheduler_options_are_read_from_source(name):
    """Options that are typed are checked before diffusers is imported."""
    assert scheduler_options(name, scheduler_source) == scheduler_options(name)


@pytest.mark.parametrize(
    ("own", "config", "pipeline"),
    [pytest.param(*each, marks=[pytest.mark.exhaustive] if place > 1 else []) for place, each in enumerate(CONFIGS)],
)
def test_schedulers_that_fit_are_read_from_source(own, config, pipeline):
    """The same for classic and for flow-matching models."""
    assert fitting_schedulers(own, config, pipeline, scheduler_source) == fitting_schedulers(own, config, pipeline)


def test_names_of_diffusers_are_read_from_source():
    """Those of classes, and of dummies in the place of classes that lack a package."""
    import diffusers

    assert named(r"\w+Scheduler") == {name for name in dir(diffusers) if name.endswith("Scheduler")}
    assert not is_named("NoScheduler")


@pytest.mark.parametrize("name", ["NothingPipeline", "not a name", "OnnxStableDiffusionPipeline", "CLIPTextModel"])
def test_class_that_is_not_there_is_not_told(name):
    """Of another library, or without the package that it needs."""
    with pytest.raises(NotTold):
        class_source(name)


@pytest.mark.parametrize(
    "shapes",
    [
        {"model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3]},
        {"conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias": [1280]},
        {"double_blocks.0.img_attn.norm.key_norm.scale": [128], "img_in.weight": [3072, 64]},
    ],
    ids=["v1", "xl", "flux"],
)
def test_origin_of_a_checkpoint_is_the_one_that_diffusers_tells(shapes):
    """diffusers' own lines, carried out without torch."""
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config

    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    theirs = fetch_diffusers_config(tensors)["pretrained_model_name_or_path"]
    assert origin_of({name: {"shape": shape} for name, shape in shapes.items()}) == theirs
