"""The README shows what the code does today."""

import re

import pytest

from tests.house import readme

README = (readme.ROOT / "README.md").read_text(encoding="utf-8")


def block(call):
    """What stands in the README below the cog lines that call ``call``."""
    found = re.search(rf"cog\.out\({re.escape(call)}\)\n\]\]\] -->\n(.*?)<!-- \[\[\[end\]\]\]", README, flags=re.DOTALL)
    assert found, call
    return found[1]


def test_the_two_commands_come_first():
    """Whoever opens the README sees what to type."""
    assert README.split("```")[1].split()[:2] == ["make", "demo"]
    assert "\nmake test " in README.split("```")[1]


def test_help_is_the_commands_own():
    """`make docs` writes it anew."""
    assert block('help_of("", "run", "rerun")') == readme.help_of("", "run", "rerun")


def test_tables_are_the_databases_own():
    """Every table and column."""
    assert block("tables()") == readme.tables()


@pytest.mark.slow
def test_the_story_is_what_happens():
    """The three commands of the first minute print what the README says they print."""
    assert readme.without_times(block("story()")) == readme.without_times(readme.story())
