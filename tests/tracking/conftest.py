"""Workspaces that have MLflow's tables already: they take seconds to make, and a moment to copy."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from promptlab.workspace import Workspace


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory, prepared_database) -> Path:
    """One plain file with all tables and nothing in them."""
    template = tmp_path_factory.mktemp("template") / "mlflow.db"
    # Not a copy of the file: MLflow's pool keeps it open, and part of it lies in the write-ahead log beside it.
    with closing(sqlite3.connect(prepared_database)) as source, closing(sqlite3.connect(template)) as target:
        source.backup(target)
    return template


@pytest.fixture
def workspace(tmp_path, mlflow_template) -> Workspace:
    """An empty workspace with all tables, in a folder with a blank in its name."""
    folder = tmp_path / "work space"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    return Workspace.at(folder)


@pytest.fixture
def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
