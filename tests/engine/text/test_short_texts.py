"""Short texts are known to be read whole without a tokenizer."""

import pytest

from promptlab.engine.refusals import EarlyChecks
from promptlab.engine.sources.class_source import NotTold
from promptlab.engine.text.short_texts import check_short
from tests.engine.drawing import resolve


def is_short(spec):
    """Whether that is certain."""
    model = EarlyChecks().model(spec.pipeline)
    try:
        check_short(spec, model.config, model.folder, model.kind)
    except NotTold:
        return False
    return True


@pytest.mark.parametrize(
    ("prompt", "negative", "expected"),
    [("", "", True), ("portrait photo of a old warrior chief", "blurry", True), ("x" * 73, "", True),
     ("x" * 74, "", False), ("a fox", "y" * 80, False), ("ein grüner Fuchs", "", False), ("a\nfox", "", False)],
)  # fmt: skip
def test_short_text_is_certain_up_to_the_encoders_length(make_spec, prompt, negative, expected):
    """Of 77 tokens, four of which may be marks; other alphabets may take several tokens a letter."""
    assert is_short(make_spec(prompt, negative_prompt=negative)) is expected


@pytest.mark.slow
def test_short_text_is_never_cut(engine, make_spec):
    """The worst texts of that length, one token a sign, are read whole by the tokenizer."""
    for text in ("!?" * 36, "q9" * 36, "~ " * 36, "zxqj" * 18):
        spec = make_spec(text)
        assert is_short(spec)
        assert engine.truncated_prompts([resolve(engine, spec)]) == ()
