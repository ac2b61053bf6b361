"""A rerun's spec: what was named is changed, all the rest is inherited."""

import dataclasses

from promptlab.lab import PromptEdit
from promptlab.lab.history.rerun import rerun_spec
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
