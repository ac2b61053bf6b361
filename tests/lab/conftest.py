"""Reads errors as Python users do; what is typed by ``promptlab`` spells them as options all the same."""

import pytest

from promptlab.errors import spell_in_python, spelled_by


@pytest.fixture(autouse=True)
def python_spelling():
    """Spell fields in errors as Python users read them."""
    with spelled_by(spell_in_python):
        yield
