"""Makes the runs that the tests of history look up."""

import pytest

from promptlab.lab import PromptEdit
from tests.lab.history.specs import spec


@pytest.fixture
def story(begin_from):
    """A run, better words, one seed at four ages."""
    return begin_from(tell)


def tell(lab):
    lab.run(spec(num_inference_steps=20))
    lab.rerun(lab.history.find("last"), edit=PromptEdit(append=(", serious eyes",)))
    lab.rerun(
        lab.history.find("last"), seeds=(1,), edit=PromptEdit(replace=("a old=>{the oldest|a old|a|a young}",)),
        changes={"num_inference_steps": 25},
    )  # fmt: skip
