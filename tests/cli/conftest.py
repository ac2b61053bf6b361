"""Within the command line errors spell fields as options; everywhere else as Python users read them."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from promptlab.cli.spelling import spell
from promptlab.errors import spelled_by
from promptlab.workspace import Workspace


@pytest.fixture(autouse=True)
def terminal_spelling():
    """Spell fields in errors as options, also where a test asks a lower room directly."""
    with spelled_by(spell):
        yield


@pytest.fixture(scope="session")
def made_workspaces(tmp_path_factory):
    """Hold the folders that :func:`begin_with` made, by the commands that were typed in them."""
    return {}, tmp_path_factory.mktemp("made")


@pytest.fixture
def begin_with(made_workspaces, prepared_database, workspace, monkeypatch):
    """Begin a test in a workspace where commands were typed: ``begin_with(("run", "a fox"), ...)``.

    They are carried out once in a test session; each test has a copy of what they made, and may change it.
    """
    from promptlab import cli

    made, folder = made_workspaces

    def begun(*commands):
        if commands not in made:
            space = Workspace.at(folder / str(len(made)))
            space.root.mkdir()
            shutil.copy(prepared_database, space.database)
            with monkeypatch.context() as patched:
                patched.setenv("PROMPTLAB_ENGINE", "painter")
                patched.setenv("PROMPTLAB_WORKSPACE", str(space.root))
                for command in commands:
                    with pytest.raises(SystemExit) as left:
                        cli.main(command)
                    assert not left.value.code
            made[commands] = space
        space = made[commands]
        shutil.copytree(space.root, workspace.root, ignore=shutil.ignore_patterns("mlflow.db*"), dirs_exist_ok=True)
        # Not a copy of the file: part of a database in use lies in the write-ahead log beside it.
        with closing(sqlite3.connect(space.database)) as source, closing(sqlite3.connect(workspace.database)) as copy:
            source.backup(copy)

    return begun
