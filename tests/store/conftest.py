"""Both databases keep the same promises: what asks for `workspace` or `notebook` here is run on each of them."""

import shutil

import pytest
from sqlalchemy import text

from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def workspace(request, tmp_path):
    """A workspace in which nothing is yet."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return Workspace.at(tmp_path / "space", url)


@pytest.fixture
def notebook(workspace, our_tables):
    if workspace.database_url is None:
        workspace.root.mkdir()
        shutil.copy(our_tables, workspace.database)
    return Notebook.at(workspace)


@pytest.fixture
def database(notebook):
    """The notebook's own, so that no second pool of connections is opened."""
    return notebook.database


@pytest.fixture
def in_file(tmp_path):
    """A workspace with its rows in a file: for what is SQLite's alone."""
    return Workspace.at(tmp_path / "space")


@pytest.fixture
def execute(database):
    """Carry out a statement as another program would, past the notebook; gives its rows, if it has any."""

    def carried_out(statement, **given):
        with database.engine(writes=True).begin() as connection:
            result = connection.execute(text(statement), given)
            return [tuple(row) for row in result] if result.returns_rows else []

    return carried_out
