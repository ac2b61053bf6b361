"""Within the command line errors spell fields as options; everywhere else as Python users read them."""

import pytest

from promptlab.cli.spelling import spell
from promptlab.errors import spelled_by


@pytest.fixture(autouse=True)
def terminal_spelling():
    """Spell fields in errors as options, also where a test asks a lower room directly."""
    with spelled_by(spell):
        yield
