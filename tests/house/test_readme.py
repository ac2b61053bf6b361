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


def test_readme_begins_with_the_two_commands():
    """Whoever opens the README sees what to type."""
    assert README.split("```")[1].split()[:2] == ["make", "demo"]
    assert "\nmake test " in README.split("```")[1]


def test_readme_help_is_the_commands_own():
    """`make docs` writes it anew."""
    assert block('help_of("", "run", "rerun")') == readme.help_of("", "run", "rerun")


def test_readme_tables_are_the_databases_own():
    """Every table and column."""
    assert block("tables()") == readme.tables()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["painter", pytest.param("diffusers", marks=pytest.mark.exhaustive)])
def test_story_of_the_first_minute_prints_what_the_readme_shows(engine):
    """The commands of the first minute print what the README says they print, whoever draws; times apart."""
    assert readme.without_times(block("story()")) == readme.without_times(readme.story(engine))
