"""What configuration files alone decide is refused before torch is imported, in the resolver's own words."""

import shutil

import pytest

from promptlab.engine.refusals import refuse_early
from promptlab.engine.resolver import Resolver
from promptlab.engine.sources.finder import SourceFinder
from promptlab.errors import InputError
from promptlab.models import bundled
from promptlab.specs import PipelineSpec, RunSpec, Variant

PLAIN = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(1,))

WRONG = [
    {"height": 100, "width": 100},
    {"height": 64, "width": 3, "vae": "mini-vae-tiny"},
    {"model": "mimi"},
    {"revision": "main"},
    {"variant": "fp16"},
    {"vae": "mini-vae-tyni"},
    {"config": "somewhere"},
]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG, ids="-".join)
def test_refusal_is_the_resolvers_own(wrong):
    """Class, field and sentence: whoever is refused early is told what they would have been told seconds later."""
    spec = PLAIN.vary(**wrong)
    with pytest.raises(InputError) as late:
        Resolver(SourceFinder()).resolve(spec)
    with pytest.raises(InputError) as early:
        refuse_early([PLAIN, spec])
    assert (type(early.value), early.value.facts) == (type(late.value), late.value.facts)


def test_refusal_of_a_folder_reads_its_configuration_alone(tmp_path):
    """Of weights nothing is read: a model of 60 GB is refused as quickly as a small one."""
    folder = tmp_path / "model"
    shutil.copytree(bundled("mini"), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(InputError, match="size '100x64' is not divisible by"):
        refuse_early([PLAIN.vary(model=str(folder), height=64, width=100)])


@pytest.mark.parametrize(
    "right",
    [{}, {"height": 64, "width": 96}, {"vae": "mini-vae-ft"}, {"model": "some/model", "height": 100, "width": 100},
     {"model": "some/model", "vae": "some/vae"}, {"height": 100}],
    ids="-".join,
)  # fmt: skip
def test_refusal_of_what_is_right_or_not_known_here_is_none(right):
    """What has to be asked of the Hub, or of the pipeline's class, is left to the resolver."""
    refuse_early([PLAIN.vary(**right)])
