"""The README and docs/reference/ show what the code does today."""

import re

import pytest

from tests.house import readme, reference

README = (readme.ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = readme.ROOT / "docs" / "reference"


def block(call, text=README):
    """What stands below the cog lines that call ``call``."""
    found = re.search(rf"cog\.out\({re.escape(call)}\)\n\]\]\] -->\n(.*?)<!-- \[\[\[end\]\]\]", text, flags=re.DOTALL)
    assert found, call
    return found[1]


def test_readme_begins_with_the_two_commands():
    """Whoever opens the README sees what to type."""
    assert README.split("```")[1].split()[:2] == ["make", "demo"]
    assert "\nmake test " in README.split("```")[1]


def test_readme_is_read_in_one_go():
    """What is longer has a page in docs/."""
    assert len(README.splitlines()) <= 140


@pytest.mark.parametrize(
    ("page", "call", "made"),
    [
        ("commands.md", "commands()", reference.commands),
        ("experiment-file.md", "experiment_fields()", reference.experiment_fields),
        ("formats.md", "tables()", readme.tables),
    ],
)
def test_reference_page_is_made_from_the_code(page, call, made):
    """`make docs` writes it anew: the help of every command, every field of a file, every table and column."""
    assert block(call, (REFERENCE / page).read_text(encoding="utf-8")) == made()


def test_reference_of_environment_variables_is_whole():
    """Every variable of PromptLab's own that the code reads has a line."""
    page = (REFERENCE / "environment-variables.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (readme.ROOT / "promptlab").rglob("*.py"))
    read = set(re.findall(r"\bPROMPTLAB_[A-Z]+(?:_[A-Z]+)*\b", sources)) - {"PROMPTLAB_COMPLETE"}
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_story_of_the_first_minute_prints_what_the_readme_shows(promptlab, workspace, tmp_path, monkeypatch):
    """The commands of the first minute print what the README says they print, whoever draws; times apart."""
    workspace.root.rename(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTLAB_WORKSPACE", "demo")
    monkeypatch.setenv("COLUMNS", "100")
    told = readme.story_typed(lambda *words: promptlab(*words).out)
    assert readme.without_times(block("story()")) == readme.without_times(told)


@pytest.mark.exhaustive
@pytest.mark.parametrize("engine", ["painter", "diffusers"])
def test_story_of_the_first_minute_in_processes_of_its_own_prints_the_same(engine):
    """As ``make demo`` does it, by the model and in a new workspace each time."""
    assert readme.without_times(block("story()")) == readme.without_times(readme.story(engine))
