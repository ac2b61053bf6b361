"""Rows in a SQLite file: the file as such, whoever else writes to it, and copies of it."""

import json
import sqlite3
from contextlib import closing

import pytest

from promptlab.errors import StoreError, WorkspaceError
from promptlab.store import run_list
from promptlab.store.notebook import Notebook
from promptlab.store.sqlite import SqliteDatabase, connect_readonly
from tests.store.test_notebook import begin


def test_connection_for_reading_refuses_to_write(in_file):
    """The connection for reading refuses to write."""
    begin(Notebook.at(in_file))
    with closing(connect_readonly(in_file.database)) as connection:
        assert connection.execute("SELECT count(*) FROM promptlab_runs").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM promptlab_runs")


def test_file_of_a_newer_schema_keeps_every_byte(in_file):
    """Refused means not touched."""
    Notebook.at(in_file)
    with closing(sqlite3.connect(in_file.database)) as connection:
        connection.execute("UPDATE promptlab_alembic_version SET version_num = '9999'")
        connection.commit()
    before = in_file.database.read_bytes()
    with pytest.raises(WorkspaceError, match="newer PromptLab"):
        Notebook.at(in_file)
    assert in_file.database.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all, but text", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_file_that_is_no_database_is_refused(in_file, content):
    """Another kind of file under our name is never touched."""
    in_file.root.mkdir()
    in_file.database.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"mlflow\.db' (is not a SQLite file|is damaged|cannot be read)"):
        Notebook.at(in_file)
    assert in_file.database.read_bytes() == content
    assert [path.name for path in in_file.root.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("held", ["CAST(x'd0d0' AS TEXT)", "'[1,'"])
def test_reading_of_damaged_rows_is_one_line(in_file, held):
    """Bytes that are no text, and text that is no JSON, are errors of the file and not of the program."""
    Notebook.at(in_file)
    with (
        pytest.raises(StoreError, match="listing failed: "),
        SqliteDatabase(in_file.database).reading("listing") as rows,
    ):
        json.loads(next(iter(rows.rows(f"SELECT {held} AS held")))["held"])


def test_file_whose_schema_is_no_text_is_refused(in_file):
    """SQLite names the damage in the file's own bytes."""
    Notebook.at(in_file)
    with closing(sqlite3.connect(in_file.database)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        spoil = "UPDATE sqlite_master SET name = CAST(x'd0d0' AS TEXT), sql = 'CREATE x' WHERE name = 'promptlab_votes'"
        connection.execute(spoil)
        connection.commit()
    with pytest.raises(WorkspaceError, match=r"mlflow\.db' is damaged"):
        SqliteDatabase(in_file.database).revision()


def test_file_that_is_empty_is_a_new_database(in_file):
    """SQLite takes an empty file for an empty database, and so do we."""
    in_file.root.mkdir()
    in_file.database.touch()
    assert begin(Notebook.at(in_file)).id == 1


def test_backup_of_the_same_second_has_a_name_of_its_own(in_file):
    """Three in a row are three files; an interrupted one leaves nothing."""
    Notebook.at(in_file)
    database = SqliteDatabase(in_file.database)
    copies = [database.backup(None) for _ in range(3)]
    assert len({copy.stat().st_ino for copy in copies}) == 3
    assert {SqliteDatabase(copy).revision() for copy in copies} == {database.revision()}
    with pytest.raises(StoreError, match="could not be copied to"):
        database.backup(in_file.root / "nowhere" / "copy.db")
    assert sorted(in_file.root.glob("*.bak")) == sorted(copies)
    assert not list(in_file.root.rglob("*.part"))


def test_backup_is_a_whole_database(in_file):
    """The copy beside the file opens and has the rows, also while the original is in WAL mode."""
    begin(Notebook.at(in_file))
    copy = SqliteDatabase(in_file.database).backup(None)
    assert [summary.id for summary in run_list.summaries(SqliteDatabase(copy))] == [1]
    assert not list(in_file.root.glob("*.part*"))


def test_connections_have_foreign_keys_and_wal(in_file):
    """Foreign keys are on in every connection, and readers do not wait for writers."""
    with Notebook.at(in_file).database.engine().connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
