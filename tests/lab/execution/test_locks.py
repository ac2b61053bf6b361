"""Who is at a run: by files of the workspace, or by the server that has the records."""

import subprocess
import sys

import pytest

from promptlab.errors import InputError
from promptlab.lab.execution.file_locks import FileLocks
from promptlab.lab.execution.locks import RunLocks
from promptlab.specs import PipelineSpec, RunSpec, Variant
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace

SPEC = RunSpec(pipeline=PipelineSpec(model="mini"), variants=(Variant(prompt="a fox"),), seeds=(1,))

HOLDER = """
import sys
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace
locks = database_of(Workspace.at("nowhere", sys.argv[1])).locks()
print(locks.take("run", int(sys.argv[2]), timeout=1), flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["files", pytest.param("server", marks=pytest.mark.slow)])
def two(request, tmp_path):
    """The locks of two processes, as far as locks can tell."""
    if request.param == "files":
        yield tuple(FileLocks(Workspace.at(tmp_path)) for _ in range(2))
        return
    url = request.getfixturevalue("postgresql_url")
    locks = tuple(Notebook.at(Workspace.at(tmp_path, url)).database.locks() for _ in range(2))
    yield locks
    for each in locks:
        each.close()


@pytest.mark.parametrize("kind", ["beginning", "run", "sweep"])
def test_locks_that_one_holds_the_other_sees_and_does_not_get(two, kind):
    """Until they are released; taken twice, they are released twice."""
    one, other = two
    assert one.take(kind, 7, timeout=0)
    assert one.take(kind, 7, timeout=0)
    assert one.is_held(kind, 7)
    assert other.is_held(kind, 7)
    assert not other.take(kind, 7, timeout=0)
    one.release(kind, 7)
    assert other.is_held(kind, 7)
    one.release(kind, 7)
    assert not other.is_held(kind, 7)
    assert other.take(kind, 7, timeout=0)


def test_locks_of_other_kinds_and_numbers_are_others(two):
    """Run 7 is not sweep 7, nor run 8."""
    one, other = two
    one.take("run", 7, timeout=0)
    assert not other.is_held("sweep", 7)
    assert not other.is_held("run", 8)
    assert other.take("sweep", 7, timeout=0)


def test_run_that_another_makes_is_busy_and_refused(two, lab):
    """As ``resume`` asks, and as a run is taken up."""
    one, other = two
    run = lab.run(SPEC)
    ours, theirs = (RunLocks(lab.workspace, lab.notebook.sweep_of, locks) for locks in (one, other))
    with ours.held([run]):
        assert theirs.busy(run.id)
        assert theirs.busy_of({run.id: None}) == {run.id}
        with pytest.raises(InputError, match="is being made by another process"), theirs.held([run]):
            pass
    assert not theirs.busy(run.id)


@pytest.mark.slow
def test_locks_of_a_killed_process_are_released_by_the_server(postgresql_url):
    """The server ends what a connection held when it is gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, postgresql_url, "7"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "True\n"
    locks = Notebook.at(Workspace.at("nowhere", postgresql_url)).database.locks()
    assert not locks.take("run", 7, timeout=0)
    process.kill()
    process.communicate()
    assert locks.take("run", 7, timeout=30)
    locks.close()


@pytest.mark.slow
def test_locks_whose_connection_is_gone_are_released_without_an_error(postgresql_url):
    """A server that was started anew in the middle of a run: the run is made, and no error of its locks ends it."""
    from sqlalchemy import text

    database = Notebook.at(Workspace.at("nowhere", postgresql_url)).database
    one, other = database.locks(), database.locks()
    assert one.take("run", 7, timeout=0)
    assert one.take("run", 8, timeout=0)
    with database.engine().connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"))
    one.release("run", 7)
    one.release("run", 8)
    assert other.take("run", 7, timeout=30)
    assert not one.take("run", 7, timeout=0)
    other.release("run", 7)
    assert one.take("run", 7, timeout=0)
    one.release("run", 7)
