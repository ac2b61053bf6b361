"""Rows on a server: what keeps it from being used is one line with what to type, and no password is in any of them."""

import os
import re
import subprocess
import sys
import threading
import uuid

import psycopg
import pytest

from promptlab._urls import redacted
from promptlab.errors import InputError, StoreError, WorkspaceError
from promptlab.store.address import displayed_address, read_address
from promptlab.store.notebook import Notebook
from promptlab.store.run_list import summaries
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace
from tests.postgresql import PASSWORD
from tests.store.test_notebook import begin

ENCODED = PASSWORD.replace("/", "%2F").replace("@", "%40")


def at(tmp_path, url):
    return database_of(Workspace.at(tmp_path, url))


@pytest.fixture
def through_tcp(postgresql_server, postgresql_url):
    """The parts of an address at which a password is asked for."""
    return {"port": postgresql_server.port, "name": re.search(r"/(test_\w+)\?", postgresql_url)[1]}


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://promptlab:wr0ng@127.0.0.1:{port}/{name}",
         "does not know promptlab with this password; type: database_url=postgresql://USER:PASSWORD@HOST/NAME"),
        ("postgresql://promptlab@127.0.0.1:{port}/{name}", "asks for a password; type: database_url=postgresql://USER"),
        ("postgresql://promptlab:{password}@127.0.0.1:{port}/nothing",
         "is not there, though its server is; type: createdb -h 127.0.0.1 -p {port} -U promptlab --encoding=UTF8"),
        ("postgresql://promptlab:{password}@127.0.0.1:{unused}/x",
         "cannot be reached: nobody listens at 127.0.0.1:{unused}; type: pg_isready -h 127.0.0.1 -p {unused}"),
        ("postgresql:///x?host=/nowhere", "cannot be reached: nobody listens at /nowhere"),
        ("postgresql://promptlab:{password}@127.0.0.1:{port}/{name}?colour=red",
         "has an option that PostgreSQL does not know, colour"),
        ("postgresql+psycopg2://promptlab:{password}@127.0.0.1:{port}/{name}",
         "needs the driver psycopg2, which is not installed; type: pip install \"promptlab[postgresql]\""),
        ("postgresql+quill://promptlab:{password}@127.0.0.1:{port}/{name}", "names no driver: quill"),
    ],
)  # fmt: skip
def test_server_that_cannot_be_used_raises_one_line(url, sentence, through_tcp, unused_port, tmp_path, monkeypatch):
    """What is wrong, at which address, and what to type; before anything is written."""
    monkeypatch.delenv("PGPASSWORD", raising=False)
    facts = {**through_tcp, "password": ENCODED, "unused": unused_port}
    database = at(tmp_path, url.format(**facts))
    for ask in (database.revision, database.check, database.upgrade, lambda: summaries(database)):
        with pytest.raises(WorkspaceError) as caught:
            ask()
        said = str(caught.value)
        assert sentence.format(**facts) in said
        assert said.startswith(f"database '{displayed_address(url.format(**facts))}' ")
        assert "\n" not in said
        assert not {PASSWORD, ENCODED, "wr0ng"} & set(re.split(r"[\s:@']", said))
        assert PASSWORD not in said
        assert ENCODED not in said


def test_server_with_the_right_password_opens(through_tcp, tmp_path):
    """Signs that mean something in an address are written %2F and %40."""
    url = f"postgresql://promptlab:{ENCODED}@127.0.0.1:{through_tcp['port']}/{through_tcp['name']}"
    workspace = Workspace.at(tmp_path, url)
    notebook = Notebook.at(workspace)
    assert begin(notebook).id == 1
    assert PASSWORD not in repr((workspace, notebook.database, read_address(url)))
    assert ENCODED not in repr((workspace, notebook.database, read_address(url)))


def test_driver_that_is_missing_is_named_with_its_extra(tmp_path):
    """Whoever has not installed it learns what to type."""
    script = (
        "import sys; sys.modules['psycopg'] = None; from promptlab import cli; "
        "cli.main(['list', '--database', 'postgresql://me:hidden@127.0.0.1/x'])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr == (
        "promptlab: database 'postgresql://me@127.0.0.1/x' needs the driver psycopg, which is not installed; "
        'type: pip install "promptlab[postgresql]"\n'
    )


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            "mysql://me:hidden@host/x",
            "'mysql://***@host/x' is of mysql, in which PromptLab cannot search; allowed:",
        ),
        ("postgresql://me:hid/den@host/x", "'postgresql://***@host/x' is no address"),
        ("postgresql://me:hidden@host", "names no database"),
        ("postgresql://me:hidden@host:port/x", "is no address"),
        ("me:hidden@host/x", "'***@host/x' is no database's address"),
        ("sqlite://", "names no file; allowed: sqlite:///FILE"),
    ],
)
def test_address_that_is_none_is_refused_without_its_password(typed, sentence):
    """Also when it is so wrong that nobody can tell which part is the password."""
    with pytest.raises(InputError) as caught:
        read_address(typed)
    assert sentence in str(caught.value)
    assert "hid" not in str(caught.value)
    assert "hid" not in redacted(typed)


def test_database_of_another_encoding_is_refused(postgresql_server, tmp_path):
    """Prompts are in every script; what cannot hold them is no home for them."""
    name = f"latin_{uuid.uuid4().hex[:8]}"
    postgresql_server.create(name, encoding="LATIN1")
    try:
        with pytest.raises(
            WorkspaceError, match="keeps text as LATIN1; allowed: a database of the encoding UTF8; type"
        ):
            Notebook.at(Workspace.at(tmp_path, postgresql_server.url(name)))
    finally:
        postgresql_server.drop(name)


def test_role_that_may_not_write_is_told_what_its_owner_types(postgresql_server, empty_postgresql_url, tmp_path):
    """A role without rights: since PostgreSQL 15 every role that does not own the database."""
    role = f"guest_{uuid.uuid4().hex[:8]}"
    postgresql_server.admin(f"CREATE ROLE {role} LOGIN")
    try:
        database = at(tmp_path, empty_postgresql_url.replace("promptlab@", f"{role}@"))
        with pytest.raises(WorkspaceError, match=rf"does not let {role} write in its schema public; type: psql .*GRA"):
            Notebook.of(database)
    finally:
        postgresql_server.admin(f"DROP ROLE {role}")


def test_server_that_goes_away_raises_one_line_and_reconnects(postgresql_url, postgresql_server, tmp_path):
    """Once begun, it is no wrong input any more; the next question connects anew."""
    notebook = Notebook.at(Workspace.at(tmp_path, postgresql_url))
    run = begin(notebook)
    name = re.search(r"/(test_\w+)\?", postgresql_url)[1]
    ended = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    postgresql_server.admin(ended)
    assert notebook.run(run.id) == run
    postgresql_server.admin(ended)
    postgresql_server.admin(f"ALTER DATABASE {name} RENAME TO gone_{name}")
    try:
        with pytest.raises(StoreError, match=r"^the database failed while reading a run: database .* is not there"):
            notebook.run(run.id)
    finally:
        postgresql_server.admin(f"ALTER DATABASE gone_{name} RENAME TO {name}")


def test_writers_come_one_after_the_other(postgresql_url, tmp_path):
    """Who writes waits for whoever is writing, reads what that one wrote, and readers wait for nobody."""
    notebook = Notebook.at(Workspace.at(tmp_path, postgresql_url))
    done = []
    with notebook.database.engine(writes=True).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO promptlab_environments(hash, created_at, facts) VALUES ('x', now(), '{}')"
        )
        second = threading.Thread(target=lambda: done.append(begin(notebook).id))
        second.start()
        assert summaries(notebook.database) == ()
        with psycopg.connect(postgresql_url) as looking:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while looking.execute(waiting).fetchone() == (0,):
                os.sched_yield()
        assert done == []
    second.join()
    assert done == [1]


def test_backup_of_a_server_names_its_own_command(postgresql_url, tmp_path):
    """The command is said, without the password."""
    with pytest.raises(InputError, match=r"is on a server, which copies it itself; type: pg_dump .* --file=b\.dump"):
        at(tmp_path, postgresql_url).backup(tmp_path.relative_to(tmp_path) / "b.dump")
