"""What configuration files alone decide is refused before torch is imported, in the resolver's own words."""

import shutil

import pytest

from promptlab.engine.machine.devices import devices_without_torch
from promptlab.engine.refusals import refuse_early
from promptlab.engine.resolver import Resolver
from promptlab.engine.sources.finder import SourceFinder
from promptlab.errors import InputError
from promptlab.models import bundled
from promptlab.specs import PipelineSpec, RunSpec, SchedulerSpec, Variant
from tests.engine.folders import write_hub_cache
from tests.engine.single_file import write_checkpoint, write_small

PLAIN = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(1,))

WRONG = [
    {"height": 100, "width": 100},
    {"height": 100},
    {"height": 64, "width": 3, "vae": "mini-vae-tiny"},
    {"model": "mimi"},
    {"revision": "main"},
    {"variant": "fp16"},
    {"vae": "mini-vae-tyni"},
    {"config": "somewhere"},
    {"height": 64, "width": 3, "vae": "mini-vae-ft"},
    {"scheduler": SchedulerSpec(name="NoSuchScheduler")},
    {"scheduler": SchedulerSpec(name="FlowMatchEulerDiscreteScheduler")},
    {"scheduler": SchedulerSpec(name="EulerDiscreteScheduler", options=(("use_karas_sigmas", True),))},
    {"scheduler": SchedulerSpec(name="EulerDiscreteScheduler", options=(("use_karras_sigmas", 2),))},
    {"scheduler": SchedulerSpec(name="EulerDiscreteScheduler", options=(("timestep_spacing", "wide"),))},
    {"arguments": (("eeta", 0.5),)},
    {"arguments": (("eta", "much"),)},
    {"arguments": (("guidance_scale", 3),)},
    {"arguments": (("latents", 1),)},
    {"clip_skip": 99},
    {"true_cfg_scale": 4.0},
    {"quantization": "nf4"},
    {"text_encoder_quantization": "nf4"},
]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: "-".join(map(str, (*wrong, *wrong.values())))[:60])
def test_refusal_is_the_resolvers_own(wrong):
    """Class, field and sentence: whoever is refused early is told what they would have been told seconds later."""
    spec = PLAIN.vary(**wrong)
    with pytest.raises(InputError) as late:
        Resolver(SourceFinder()).resolve(spec)
    with pytest.raises(InputError) as early:
        refuse_early([PLAIN, spec])
    assert (type(early.value), early.value.facts) == (type(late.value), late.value.facts)


@pytest.mark.slow
@pytest.mark.skipif(devices_without_torch() is None, reason="this machine may have an accelerator, which torch knows")
@pytest.mark.parametrize("wrong", [{"device": "cuda"}, {"device": "gpu"}, {"generator_device": "cuda"}], ids=str)
def test_refusal_of_a_device_that_is_not_there_is_the_resolvers_own(wrong):
    """A torch for CPUs, or a system that shows no GPU, has one device."""
    test_refusal_is_the_resolvers_own(wrong)


@pytest.mark.slow
def test_refusal_of_a_single_file_and_of_a_cached_model_is_the_resolvers_own(copy_of_mini, tmp_path):
    """Their configurations are found without hashing, and without asking the Hub."""
    write_hub_cache(tmp_path / "hub", "some/model", copy_of_mini())
    small = write_small(tmp_path / "small")
    file = write_checkpoint(tmp_path / "one.safetensors", small)
    for model in ({"model": "some/model"}, {"model": str(file), "config": str(small)}):
        for wrong in WRONG[0], {"arguments": (("eeta", 1),)}, {"scheduler": SchedulerSpec(name="NoSuchScheduler")}:
            test_refusal_is_the_resolvers_own({**model, **wrong, **({"height": 99} if "height" in wrong else {})})


def test_refusal_of_a_folder_reads_its_configuration_alone(tmp_path):
    """Of weights nothing is read: a model of 60 GB is refused as quickly as a small one."""
    folder = tmp_path / "model"
    shutil.copytree(bundled("mini"), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(InputError, match="size '100x64' is not divisible by"):
        refuse_early([PLAIN.vary(model=str(folder), height=64, width=100)])


@pytest.mark.parametrize(
    "right",
    [{}, {"height": 64, "width": 96}, {"vae": "mini-vae-ft"}, {"model": "some/model", "height": 100, "width": 100},
     {"model": "some/model", "vae": "some/vae"}],
    ids="-".join,
)  # fmt: skip
def test_refusal_of_what_is_right_or_not_known_here_is_none(right):
    """What has to be asked of the Hub, or of the pipeline's class, is left to the resolver."""
    refuse_early([PLAIN.vary(**right)])
