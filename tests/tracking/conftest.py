"""What the tests of this room share."""

from __future__ import annotations

import pytest

from promptlab.errors import spell_in_python, spelled_by


@pytest.fixture(autouse=True)
def python_spelling():
    """Spell fields in errors as Python users read them."""
    with spelled_by(spell_in_python):
        yield
