"""compel's brackets are read in steps that grow with the text; what is read is what it was."""

import pytest
from compel import Compel
from pyparsing import ParserElement

from promptlab.engine.machine.packrat import remembering
from tests.counting import calls

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "text",
    [
        "a fox",
        "(hat)1.5 of a (red fox)-- b++",
        "((a))1.1 (",
        '("a", "b c").blend(0.7, 0.3)',
        "a [b] {c} \\(d\\) 'e'",
        "",
    ],
)
def test_weights_read_with_a_memory_are_those_read_without(text):
    """Attempts have no effects, so remembering them changes nothing."""
    without = str(Compel.parse_prompt_string(text))
    with remembering():
        assert str(Compel.parse_prompt_string(text)) == without
    assert not ParserElement._packratEnabled


@pytest.mark.parametrize("text", ["(" * 6, "(" * 6 + "a" + ")" * 6])
def test_brackets_twice_as_deep_take_twice_the_work(text):
    """Without a memory each further bracket takes five times as long."""
    with remembering():
        assert calls(Compel.parse_prompt_string, text * 2) < 6 * calls(Compel.parse_prompt_string, text)
