"""What a command suggests to type next works as it stands."""

import pytest

from promptlab.expand import from_prompts
from promptlab.expand.prompt_edits import appended, replaced
from promptlab.expand.suggestions import suggested_edit


@pytest.mark.parametrize(
    ("prompts", "field"),
    [
        (("portrait photo of a old warrior chief",), "replace"),
        (("a red fox", "a red owl"), "replace"),
        (("a red fox", "a blue fox"), "append"),
        (("Old king", "fox, gold"), "append"),
        (("a fox, rim light",), "append"),
        (("",), "append"),
    ],
)
def test_suggested_edit_changes_every_prompt(prompts, field):
    """Words that all prompts have, as words of their own, and a template of others; else words behind them."""
    variants = from_prompts(prompts)
    said, value = suggested_edit(prompts)
    assert said == field
    made = replaced(variants, value) if field == "replace" else appended(variants, value)
    assert not {variant.prompt for variant in made} & set(prompts)
    assert len(made) == (2 if field == "replace" else 1) * len(prompts)
