"""Shared fixtures: errors are read as Python users read them, unless a file's place is named."""

from __future__ import annotations

import pytest

from promptlab.errors import spell_in_python, spelled_by


@pytest.fixture(autouse=True)
def python_spelling():
    """Spell fields as a Python user sets them."""
    with spelled_by(spell_in_python):
        yield
