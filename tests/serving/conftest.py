"""Places where a server of the test's own may listen."""

import pytest

from promptlab.serving.discovery import ServerPlace
from tests.serving.running import running_server, short_folder


@pytest.fixture
def served(painter):
    """What finds a server that paints, for as long as a test lasts."""
    with running_server(painter) as find:
        yield find


@pytest.fixture
def place():
    """Where a server of the test's own may listen."""
    with short_folder() as folder:
        yield ServerPlace(folder=folder / "run", name="s")
