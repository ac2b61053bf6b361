"""`--database`: the commands on a PostgreSQL server, with MLflow's tables in the workspace as ever."""

import sqlite3
from contextlib import closing

import pytest

from promptlab import Lab
from promptlab.testing import Painter
from tests.postgresql import PASSWORD

pytestmark = pytest.mark.mlflow


@pytest.fixture
def on_server(promptlab, postgresql_url, monkeypatch):
    monkeypatch.setenv("PROMPTLAB_DATABASE", postgresql_url)
    return promptlab


def test_database_on_a_server_serves_a_day_s_work(on_server, workspace, postgresql_url):
    """Run, rerun, sweep, verify, look up, judge, doctor, export, import: each does what it does in a file."""
    assert on_server("list").out.startswith("no runs yet")
    assert on_server("run", "a {red|blue} fox", "--seeds", "0-1", "--note", "여우").code == 0
    assert on_server("rerun", "1", "--seed", "1", "--replace", "a=>{one|two}").code == 0
    assert "2 runs, 2 images" in on_server("run", "an owl", "--steps", "3-4").out
    assert "nothing to make: run 1" in on_server("run", "a {red|blue} fox", "--seeds", "0-1").out
    assert "1 exact" in on_server("verify", "1/0").out
    assert [line.split()[0] for line in on_server("list").out.splitlines()[1:]] == ["4", "3", "2", "1"]
    assert "rerun of 1" in on_server("tree").out
    assert on_server("search", "여우", "blue").out.splitlines()[1].startswith("1/3")
    assert "prompts: a => one | two" in on_server("diff", "1", "2").out
    assert on_server("rate", "1/0", "4").out == "1/0  4 of 5 stars\n"
    assert on_server("favourite", "1/1").out == "1/1  favourite\n"
    assert "4.0 of 1" in on_server("best", "--by", "variant").out
    assert on_server("effect", "1").code == 0
    assert "verified      exact" in on_server("show", "1/0").out
    assert on_server("resume").out.startswith("nothing is owed")
    assert on_server("doctor").out == "healthy: 4 runs, 10 pictures, and MLflow agree\n"
    assert on_server("sync").out == "MLflow knows every run already\n"
    assert on_server("export", "1", "--to", str(workspace.root / "out")).code == 0
    assert on_server("db", "upgrade").out.endswith("already\n")
    assert (on_server("db", "backup").code, "pg_dump" in on_server("db", "backup").err) == (2, True)
    with closing(sqlite3.connect(workspace.database)) as mlflows:
        assert mlflows.execute("SELECT count(*) FROM promptlab_runs").fetchone() == (0,)
        assert mlflows.execute("SELECT count(*) FROM runs").fetchone()[0] > 0
    lab = Lab(workspace.root, database=postgresql_url, engine=Painter())
    assert (len(lab.history.to_pandas()), lab.history.find("1/0").run.images[0].stars) == (10, 4)


def test_database_rows_lost_on_a_server_come_back_from_the_pictures(
    on_server, workspace, empty_postgresql_url, monkeypatch
):
    """Another, empty database: doctor says what to type, and the runs come back under their numbers."""
    on_server("run", "a fox", "--seeds", "0-1")
    on_server("rerun", "last", "--append", ", rain")
    monkeypatch.setenv("PROMPTLAB_DATABASE", empty_postgresql_url)
    said = on_server("doctor")
    assert "not there, though pictures are" in said.out
    assert "promptlab import images" in said.out
    assert on_server("import", str(workspace.root / "images")).code == 0
    assert [line.split()[0] for line in on_server("list").out.splitlines()[1:]] == ["2", "1"]
    assert "run 3" in on_server("run", "an owl").out


def test_database_password_is_neither_said_nor_kept(promptlab, workspace, postgresql_server, postgresql_url):
    """A next command names the database without it, and no file of the workspace has it: records, tags, reports."""
    encoded = PASSWORD.replace("/", "%2F").replace("@", "%40")
    name = postgresql_url.partition("@/")[2].partition("?")[0]
    place = f"127.0.0.1:{postgresql_server.port}/{name}"
    said = promptlab("run", "a fox", "--seeds", "0-1", "--database", f"postgresql://promptlab:{encoded}@{place}")
    assert f"--database postgresql://promptlab@{place}" in said.out
    files = [path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()]
    for secret in (PASSWORD, encoded):
        assert secret not in said.out + said.err
        assert not any(secret.encode() in content for content in files)


def test_database_address_that_is_none_is_refused_first(promptlab, monkeypatch):
    """By the name of what it was read from, and before anything is done."""
    said = promptlab("run", "a fox", "--database", "redis://me:hidden@h/x")
    assert (said.code, said.err[:63]) == (2, "promptlab: --database 'redis://***@h/x' is of redis, in which P")
    monkeypatch.setenv("PROMPTLAB_DATABASE", "nonsense")
    assert promptlab("list").err.startswith("promptlab: PROMPTLAB_DATABASE 'nonsense' is no database's address; ")


def test_database_in_another_file_holds_the_records(promptlab, workspace, tmp_path):
    """``sqlite:///FILE`` is an address, too; the workspace's own file is MLflow's alone then."""
    file = tmp_path / "records.db"
    assert promptlab("run", "a fox", "--database", f"sqlite:///{file}").code == 0
    assert promptlab("doctor", "--database", f"sqlite:///{file}").out == "healthy: 1 run, 1 picture, and MLflow agree\n"
    assert promptlab("list").out.startswith("no runs yet")
