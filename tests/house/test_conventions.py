"""Holds promptlab's source to its conventions: names, docstrings, options. Only syntax trees are read, in a second."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest

from tests.house import source
from tests.house.verbs import begins_with_verb, third_person

pytestmark = pytest.mark.xdist_group("source")  # one worker reads all of it

ROOMS = source.rooms()

LONGEST = 100
"""Characters of a first line: what editors and ``help()`` show beside a name without wrapping."""

OPTION = re.compile(r"""[`'"(\s]*--[a-z]""")
"""What the text of an option of the command line begins with."""


def of_room(room):
    """Return the modules of one room."""
    return [module for module in source.modules() if module.room == room]


def twice(places):
    """Return the names that lie in more than one place, with these places."""
    return {name: found for name, found in places.items() if len(found) > 1}


def test_public_classes_named_alike_are_refused():
    """A class is found by its name alone: ``git grep 'class Reader'`` has one answer."""
    places = defaultdict(list)
    for module in source.modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{module.place}:{node.lineno}")
    assert twice(places) == {}


@pytest.mark.parametrize("room", ROOMS)
def test_files_named_alike_in_a_room_are_refused(room):
    """An editor's "open file" is not a guess: within a room, folders below it included, a file's name is its own."""
    places = defaultdict(list)
    for module in of_room(room):
        if module.path.stem != "__init__":
            places[module.path.name].append(module.place)
    assert twice(places) == {}


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_first_line_begins_with_a_verb(room):
    """A first line says what is done to what; one that describes a noun hides that. ``verbs.py`` lists the verbs."""
    assert [
        f"{docstring.place}: {docstring.first_line}"
        for module in of_room(room)
        for docstring in source.docstrings(module)
        if not begins_with_verb(docstring.first_line)
    ] == []


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_first_line_fits_beside_a_name(room):
    """Editors show the first line alone."""
    assert [
        f"{docstring.place}: {len(docstring.first_line)} characters"
        for module in of_room(room)
        for docstring in source.docstrings(module)
        if len(docstring.first_line) > LONGEST
    ] == []


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_options_below_the_command_line_are_not_spelled(room):
    """Whoever uses ``RunSpec`` from Python is told ``guidance_scale``: below ``cli``, an error names fields.

    ``promptlab.errors.ref`` spells them within a sentence, ``promptlab.cli.spelling`` as options in a terminal.
    """
    assert [
        f"{module.place}:{node.lineno}: {node.value!r}"
        for module in of_room(room)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and OPTION.match(node.value)
    ] == []


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("Return the missing package, or None.", True),
        ("Caches loaded pipelines.", True),
        ("Carries out runs.", True),
        ("Does nothing.", True),
        ("The missing package.", False),
        ("Whether it is missing.", False),
        ("Pipelines that were loaded.", False),
        ("return the missing package", False),
        ("``path`` as it is typed.", False),
        ("", False),
    ],
)
def test_first_line_is_judged_by_its_first_word(line, held):
    """The rule itself, with what it lets pass and what it stops."""
    assert begins_with_verb(line) is held


def test_third_person_is_spelled_as_in_english():
    """Verbs are listed once, in the imperative."""
    assert [third_person(verb) for verb in ("run", "copy", "say", "match", "pass", "be", "have")] == [
        "runs", "copies", "says", "matches", "passes", "is", "has",
    ]  # fmt: skip
