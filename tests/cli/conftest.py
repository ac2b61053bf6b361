"""Within the command line errors spell fields as options; everywhere else as Python users read them."""

import pytest

from promptlab.cli.spelling import spell
from promptlab.errors import spelled_by
from tests.workspaces import copy_workspace, prepared_workspace


@pytest.fixture(autouse=True)
def terminal_spelling():
    """Spell fields in errors as options, also where a test asks a lower room directly."""
    with spelled_by(spell):
        yield


@pytest.fixture
def begin_with(made_workspaces, needed_database, workspace, monkeypatch):
    """Begin a test in a workspace where commands were typed: ``begin_with(("run", "a fox"), ...)``.

    They are carried out once in a test session; each test has a copy of what they made, and may change it.
    """
    from promptlab import cli

    made, folder = made_workspaces

    def begun(*commands):
        key = commands, needed_database
        if key not in made:
            space = prepared_workspace(folder / str(len(made)), needed_database)
            with monkeypatch.context() as patched:
                patched.setenv("PROMPTLAB_ENGINE", "painter")
                patched.setenv("PROMPTLAB_WORKSPACE", str(space.root))
                for command in commands:
                    with pytest.raises(SystemExit) as left:
                        cli.main(command)
                    assert not left.value.code
            made[key] = space
        copy_workspace(made[key], workspace)

    return begun
