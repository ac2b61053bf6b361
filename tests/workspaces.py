"""Workspaces that are ready in milliseconds: their tables are made once in a test run, and copied."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock

from promptlab.tracking.schema import import_mlflow_quietly
from promptlab.workspace import Workspace


def made_once(name, tmp_path_factory, make):
    """A file with the tables that ``make(workspace)`` makes, the same for all workers of pytest-xdist."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker of pytest-xdist: its siblings share the folder above
        shared = shared.parent
    template = shared / f"{name}.db"
    with FileLock(shared / f"{name}.lock"):
        if not template.exists():
            workspace = Workspace.at(shared / name)
            make(workspace)
            # Not a copy of the file: MLflow's pool keeps it open, and part of it lies in the write-ahead log beside it.
            with closing(sqlite3.connect(workspace.database)) as source, closing(sqlite3.connect(template)) as plain:
                source.backup(plain)
    return template


def prepared_workspace(folder, prepared_database):
    space = Workspace.at(folder)
    space.root.mkdir()
    shutil.copy(prepared_database, space.database)
    return space


def copy_workspace(made, to):
    copies = {}

    def copy_file(file, target):
        """What MLflow shows is the very file in the images' folder, by a hard link."""
        number = Path(file).stat().st_ino
        if number in copies:
            os.link(copies[number], target)
        else:
            copies[number] = shutil.copy2(file, target)

    ignored = shutil.ignore_patterns("mlflow.db*")
    shutil.copytree(made.root, to.root, ignore=ignored, copy_function=copy_file, dirs_exist_ok=True)
    # Not a copy of the file: part of a database in use lies in the write-ahead log beside it.
    with closing(sqlite3.connect(made.database)) as source, closing(sqlite3.connect(to.database)) as copy:
        source.backup(copy)


def remember_mlflows_tables():
    """Have MLflow make the tables of a new file by its fifty migrations once, and every other file from their outcome.

    Each time would take seconds. Processes that tests start make their own.
    """
    import_mlflow_quietly()
    from mlflow.store.db import utils

    initialize, made = utils._initialize_tables, []

    def initialized(engine):
        if engine.dialect.name != "sqlite":
            initialize(engine)
            return
        if not made:
            initialize(engine)
        with closing(engine.raw_connection()) as connection:
            if not made:
                made.append("\n".join(connection.driver_connection.iterdump()))
                return
            connection.driver_connection.executescript(made[0])

    utils._initialize_tables = initialized


def share_compiled_statements():
    """Have all engines of SQLite take a statement's SQL from each other: ours, and those of MLflow.

    SQLAlchemy compiles a statement once for each engine, and each test has its own, which took a third of a small run.
    """
    from sqlalchemy import util
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.engine import Engine

    made, shared = Engine.__init__, util.LRUCache(5000)

    def initialized(self, pool, dialect, *args, **options):
        made(self, pool, dialect, *args, **options)
        if type(dialect) is SQLiteDialect_pysqlite:
            self._compiled_cache = shared

    def about(dialect):
        return dialect.paramstyle, dialect._json_serializer, dialect._json_deserializer, dialect.server_version_info

    Engine.__init__ = initialized
    SQLiteDialect_pysqlite.__eq__ = lambda one, other: type(one) is type(other) and about(one) == about(other)
    SQLiteDialect_pysqlite.__hash__ = lambda dialect: hash(SQLiteDialect_pysqlite)
