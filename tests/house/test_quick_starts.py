"""The quick starts: pages and command say the same, every fact has a source, every command can be typed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import warnings
from importlib.util import find_spec

import pytest

from promptlab.cli import promptlab as group
from promptlab.cli.parse import experiment_of, sweep_of, takes_run_options
from promptlab.cli.render.known_models import command_line, first_command
from promptlab.models.known import UNKNOWN, known_families
from tests.families.table import FAMILIES
from tests.house import quick_starts
from tests.house.source import ROOT

PAGES = ROOT / "docs" / "quick-starts"
KNOWN = {one.name: one for one in known_families()}
BY_NAME = {family.name: family for family in FAMILIES}


def commands_of(name):
    """Every command in the code blocks of a page, as words."""
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("promptlab ")]


def typed_run(words):
    """What ``promptlab run`` reads of words, as it would before it looks for a model."""
    command = group.commands["run"]
    context = command.make_context("run", list(words))
    return takes_run_options(lambda options, **_: options)(**context.params)


@pytest.mark.parametrize("name", KNOWN)
def test_quick_start_shows_what_the_file_says(name):
    """`make docs` writes it; nothing of a page is written by hand that the command says too."""
    assert quick_starts.page(name) in (PAGES / f"{name}.md").read_text(encoding="utf-8")


def test_quick_starts_are_one_page_each():
    """Each model has a page, and each page a model; the index names all."""
    assert {path.stem for path in PAGES.glob("*.md")} == {"index", *KNOWN}
    assert quick_starts.index() in (PAGES / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KNOWN)
def test_quick_start_facts_have_sources(name):
    """What is said was read somewhere; the family is one that is tried, and the class is diffusers' own."""
    one = KNOWN[name]
    for fact, known in one.facts():
        assert known is None or (known.says.strip() and known.source.strip()), fact
    assert BY_NAME[one.family].build is not None
    assert one.pipeline in (ROOT / "docs" / "families.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", KNOWN)
def test_quick_start_commands_are_read_as_they_are_typed(name):
    """Every option of them exists and takes its value: one run, of four seeds, of the page's model."""
    commands = commands_of(name)
    assert commands[0] == list(first_command(KNOWN[name]))
    for words in commands:
        sweep = sweep_of(experiment_of(typed_run(words[2:])))
        assert [len(spec.seeds) for spec in sweep.specs] == [4]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", KNOWN)
def test_quick_start_commands_plan_for_a_tiny_model_of_the_family(name, promptlab, tmp_path, monkeypatch):
    """With weights of the same classes in the model's place, nothing of the command is refused."""
    monkeypatch.delenv("PROMPTLAB_ENGINE", raising=False)
    one = KNOWN[name]
    family = BY_NAME[one.family]
    if family.needs and find_spec(family.needs) is None:
        pytest.skip(f"{family.needs} makes its processor and is not installed")
    import torch

    folder = tmp_path / "tiny"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about configurations that are tiny on purpose
        torch.manual_seed(0)
        pipeline = family.build()
        pipeline.save_pretrained(folder)
        if "--variant" in one.words:
            pipeline.save_pretrained(folder, variant="fp16")
    (words,) = commands_of(name)
    words[words.index("--model") + 1] = str(folder)
    said = promptlab("plan", *words[2:])
    assert said.code == 0, said.err
    assert "4 images" in said.out


def test_models_known_lists_them_offline(promptlab):
    """The same file, in words and as JSON; what is not known is said to be not known. Neither torch nor the Hub."""
    said = promptlab("models", "--known")
    assert (said.code, said.err) == (0, "")
    for one in KNOWN.values():
        assert one.title in said.out
        assert command_line(one) in said.out
        assert one.licence is None or one.licence.says in said.out
    assert UNKNOWN in said.out
    told = json.loads(promptlab("models", "--known", "--json").out)
    assert [one["name"] for one in told] == list(KNOWN)
    assert told[0]["licence"]["source"]


def test_models_known_imports_nothing_heavy():
    """A list is there at once."""
    code = (
        "import sys; from promptlab.models.known import known_families; known_families(); "
        "print(sorted({'torch', 'diffusers', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
