"""A rerun's spec: what was named is changed, all the rest is inherited."""

import dataclasses
from types import SimpleNamespace

import pytest

from promptlab.expand import from_prompts
from promptlab.expand.prompt_edits import inherited
from promptlab.lab import PromptEdit
from promptlab.lab.history.rerun import RunOrImage, derived_spec, rerun_spec
from promptlab.specs import PipelineSpec, RunSpec, Variant

SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="an old warrior"),), seeds=(0, 1))


def test_rerun_spec_with_another_model_has_its_own_size_and_revision():
    """What belongs to a model is not inherited by another; what was named is kept."""
    base = SPEC.vary(revision="c0ffee", height=128, width=128, num_inference_steps=9)
    other = rerun_spec(base, PromptEdit(), {"model": "other"})
    assert (other.pipeline.revision, other.call.height, other.call.width) == (None, None, None)
    assert other.call.num_inference_steps == 9
    named = rerun_spec(base, PromptEdit(), {"model": "other", "height": 64, "width": 64})
    assert (named.call.height, named.call.width) == (64, 64)
    assert rerun_spec(base, PromptEdit(), {"model": "mini"}).pipeline.revision == "c0ffee"


def test_rerun_spec_with_arguments_adds_them_to_the_inherited():
    """A rerun with one more argument keeps the others."""
    base = SPEC.vary(arguments=(("shift", 1), ("eta", 0.5)))
    assert rerun_spec(base, PromptEdit(), {"arguments": (("eta", 0.7),)}).call.arguments == (("eta", 0.7), ("shift", 1))


def test_prompt_edit_of_all_kinds_applies_in_one_order():
    """prompt → replace → prepend → append, several appended ones one after the other."""
    wording = PromptEdit(prompts=("a cat",), replace=("cat=>dog",), prepend=("see ",), append=(", one", ", two"))
    assert [variant.prompt for variant in wording.apply(SPEC.variants)] == ["see a dog, one, two"]


def test_prompt_edit_of_the_negative_prompt_replaces_or_removes_it():
    """Empty text takes it away; leaving it out keeps it."""
    variants = (dataclasses.replace(SPEC.variants[0], negative_prompt="beard"),)
    assert PromptEdit().apply(variants)[0].negative_prompt == "beard"
    assert PromptEdit(negative_prompt="").apply(variants)[0].negative_prompt == ""
    assert PromptEdit(prompts=("x",)).apply(variants)[0].negative_prompt == "beard"


def test_prompt_edit_of_one_image_of_many_wordings_goes_back_to_its_own():
    """Its words and not those of the first are what the new ones are compared with."""
    variants = inherited(from_prompts(["{the oldest|a old|a young} chief"]), only=2)
    made = PromptEdit(prompts=("a {middle aged|grey} chief",)).apply(variants)
    assert [variant.source for variant in made] == [2, 2]


def source_of(spec):
    """A run of ``spec``, of which nothing but that is asked."""
    run = SimpleNamespace(id=1, spec=spec, images=())
    return RunOrImage(run=run)


@pytest.mark.parametrize(
    ("parent", "seeds", "edit", "changes", "size"),
    [
        ({}, (1,), PromptEdit(append=(", red",)), {}, None),
        ({}, (), PromptEdit(append=(", red",)), {}, None),
        ({}, (1,), PromptEdit(append=("{|, red}",)), {}, 4),
        ({}, (1,), PromptEdit(), {}, 4),
        ({}, (1,), PromptEdit(), {"num_inference_steps": 9}, None),
        ({}, (1,), PromptEdit(append=(", red",)), {"batch_size": 4}, 4),
        ({"batch_size": 8}, (1,), PromptEdit(append=(", red",)), {}, 1),
        ({"batch_size": 8}, (), PromptEdit(append=("{, red|, blue}",)), {}, 8),
        ({"batch_size": 2}, (), PromptEdit(append=(", red",)), {}, 2),
        ({"batch_size": 1, "seeds": (1,)}, (), PromptEdit(append=("{, red|, blue|, grey}",)), {}, None),
    ],
)
def test_derived_spec_inherits_the_batch_size_where_an_image_is_asked_for_again(parent, seeds, edit, changes, size):
    """What is there is to the byte what the parent shows; other words and settings pay for no rows but their own."""
    run = SPEC.vary(**{"seeds": tuple(range(8)), "batch_size": 4, **parent})
    assert derived_spec(source_of(run), seeds, edit, changes).batch_size == size
