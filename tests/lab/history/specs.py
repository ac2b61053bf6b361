"""Specs that the tests of history share."""

from promptlab.specs import PipelineSpec, RunSpec, Variant

CHIEF = "portrait photo of a old warrior chief"


def spec(*prompts, seeds=(0, 1, 2, 3), **changes):
    """Return the spec of a few prompts at four seeds."""
    variants = tuple(Variant(prompt=prompt, label=prompt) for prompt in prompts or (CHIEF,))
    return RunSpec(pipeline=PipelineSpec(model="mini"), variants=variants, seeds=seeds).vary(**changes)
