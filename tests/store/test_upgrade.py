"""An older database is upgraded, and then used: no row lost, no child row deleted on the way; a file is copied first.

``databases/`` holds a file of every schema there has been before, as the PromptLab of that time wrote it (by its
painter, MLflow's tables beside ours): two wordings at three seeds in run 1, one of its seeds with other words in run 2;
from 0002 on a sweep of two runs, and a run whose pictures are all links to those of run 1; in 0003 run 1 is verified.

0007 is the file of 0006, upgraded, and so is each after it of the one before; in 0009 run 4 has a call argument that
became a setting.
A server of that time has the same rows in the tables of that time.
"""

import gzip
import json
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import JSON, DateTime, MetaData, inspect, text

from promptlab.errors import StoreError, WorkspaceError
from promptlab.plan import ResolvedSpec, keys_of
from promptlab.records import ImageStatus, Outcome, RunStatus
from promptlab.specs import recipe_key, words_key
from promptlab.store import migrate, run_list
from promptlab.store.notebook import Notebook
from promptlab.store.sqlite import SqliteDatabase
from promptlab.store.workspace_database import database_of
from promptlab.workspace import Workspace
from tests.store.test_notebook import ENVIRONMENT, begin

KEPT = Path(__file__).parent / "databases"
REPRESENT = {migrate.REVISIONS[0], migrate.REVISIONS[-2]}
"""The first and the last that is older: all files are upgraded in the suite, and these in ``make check``; of servers
these stand for all."""


def marks_of(revision, kind):
    if revision in REPRESENT:
        return [] if kind == "sqlite" else [pytest.mark.slow]
    return [pytest.mark.slow] if kind == "sqlite" else [pytest.mark.slow, pytest.mark.exhaustive]


EVERY = [
    pytest.param((revision, kind), id=f"{revision}-{kind}", marks=marks_of(revision, kind))
    for revision in migrate.REVISIONS[:-1]
    for kind in ("sqlite", "postgresql")
]
IN_ORDER = ("environments", "sweeps", "runs", "variants", "images", "verifications", "ratings", "votes", "probes")


@pytest.fixture(params=EVERY)
def older(request, tmp_path):
    """A database of an earlier schema."""
    revision, kind = request.param
    file = tmp_path / "old" / "mlflow.db"
    file.parent.mkdir()
    file.write_bytes(gzip.decompress((KEPT / f"{revision}.db.gz").read_bytes()))
    if kind == "sqlite":
        database = database_of(Workspace.at(file.parent))
    else:
        database = database_of(Workspace.at(tmp_path, request.getfixturevalue("empty_postgresql_url")))
        with database.engine(writes=True).begin() as connection:
            migrate.upgrade(connection, revision)
            carry_over(file, connection)
    assert database.revision() == revision
    return database


def carry_over(file, connection):
    """The rows of a file, into the same tables on a server."""
    tables = MetaData()
    tables.reflect(connection, only=lambda name, _: migrate.is_mapped(name))

    def value(column, given):
        if given is not None and isinstance(column.type, JSON):
            return json.loads(given)
        return datetime.fromisoformat(given) if given is not None and isinstance(column.type, DateTime) else given

    with closing(sqlite3.connect(file)) as source:
        source.row_factory = sqlite3.Row
        for name in IN_ORDER:
            table = tables.tables.get(f"promptlab_{name}")
            rows = [] if table is None else source.execute(f"SELECT * FROM {table.name} ORDER BY rowid").fetchall()
            for row in rows:
                connection.execute(table.insert().values({c.name: value(c, row[c.name]) for c in table.columns}))
            if rows and "id" in table.columns:
                counter = f"pg_get_serial_sequence('{table.name}', 'id')"
                connection.execute(text(f"SELECT setval({counter}, {rows[-1]['id']})"))


def counts(database):
    """How many rows each table has, others' included."""
    with database.engine().connect() as connection:
        tables = inspect(connection).get_table_names()
        return {table: connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar() for table in tables}


def test_schemas_that_are_older_have_a_file_each():
    """Whoever adds a revision keeps a database of the one before."""
    assert sorted(path.name for path in KEPT.iterdir()) == [f"{one}.db.gz" for one in migrate.REVISIONS[:-1]]


def test_upgrade_of_an_older_database_keeps_rows_and_takes_new_ones(older):
    """What was in it reads as before, new runs go beside it, and a copy of an old file lies there."""
    had, revision = counts(older), older.revision()
    notebook = Notebook.of(older)
    assert had.items() <= counts(older).items()
    run = notebook.run(1)
    assert [variant.variant.prompt for variant in run.variants] == [
        "a red fox, <b>한국어</b>",
        "a blue fox, <b>한국어</b>",
    ]
    assert (run.experiment, run.note, run.status, run.spec.seeds) == ("foxes", "first", RunStatus.FINISHED, (0, 1, 2))
    assert {image.status for image in run.images} == {ImageStatus.MADE}
    assert (run.images[0].path, run.images[0].stars, run.origin) == ("images/00001/v00-seed0.png", None, None)
    assert {image.verified and image.verified.outcome for image in run.images} == {
        None if revision < "0003" else Outcome.EXACT
    }
    assert run.environment.facts["device"] == "cpu"
    child = notebook.run(2)
    assert (child.parent_run_id, child.images[0].parent) == (1, (1, 1))
    assert [change.field for change in child.changes] == ["prompts", "seeds"]
    before = len(run_list.summaries(older))
    new = begin(notebook)
    assert (new.id, new.environment) == (before + 1, ENVIRONMENT)
    assert len(run_list.summaries(older)) == before + 1
    if older.file is not None:
        (backup,) = map(SqliteDatabase, older.file.parent.glob("*.bak"))
        assert (backup.revision(), counts(backup)) == (revision, had)


@pytest.mark.parametrize("older", [one for one in EVERY if one.values[0][0] > "0001"], indirect=True)
def test_upgrade_of_an_older_database_keeps_sweeps_and_links(older):
    """From the second schema on: the sweep with its places, and pictures that are links."""
    notebook = Notebook.of(older)
    sweep = notebook.sweep(1)
    assert sweep.dimensions == (("steps",),)
    assert [(run.run_id, run.place, run.values) for run in sweep.runs] == [
        (3, (0,), (("steps", "3"),)),
        (4, (1,), (("steps", "4"),)),
    ]
    assert [image.linked for image in notebook.run(5).images] == [(1, 0), (1, 1), (1, 3), (1, 4)]


def test_summaries_of_an_older_database_say_what_to_type(older):
    """Reading does not upgrade: it says which command does."""
    revision = older.revision()
    with pytest.raises(WorkspaceError, match=rf"has the older schema {revision}.*type: promptlab db upgrade"):
        run_list.summaries(older)
    assert older.upgrade() == revision
    assert len(run_list.summaries(older)) >= 2


@pytest.mark.parametrize(
    ("older", "number", "name", "value"),
    [
        (("0005", "sqlite"), 1, "guidance_rescale", 0.7),
        (("0005", "postgresql"), 1, "guidance_rescale", 0.7),
        (("0009", "sqlite"), 4, "true_cfg_scale", 4.0),
        (("0009", "postgresql"), 4, "true_cfg_scale", 4.0),
    ],
    indirect=["older"],
)
def test_upgrade_moves_arguments_that_became_columns(older, number, name, value):
    """A run made with ``--set guidance_rescale=0.7`` has it where one looks for it today, under the same recipe key."""
    run = Notebook.of(older).run(number)
    assert (getattr(run.spec.call, name), run.spec.call.arguments) == (value, ())
    with older.reading("reading columns") as reading:
        (row,) = reading.rows(f"SELECT {name} AS value FROM promptlab_runs WHERE id = {number}")
    assert row["value"] == value
    keys = keys_of([ResolvedSpec(spec=run.spec, device=run.device, model_identity=run.model_identity)])
    assert keys == [tuple(image.recipe_key for image in run.images)]


def test_upgrade_of_an_older_database_gives_its_runs_the_setting_keys_of_their_images(older):
    """With the words and the seed, a run's key is the recipe key that its images have had since they were made."""
    notebook = Notebook.of(older)
    with older.reading("reading keys") as reading:
        keys = {row["id"]: row["setting_key"] for row in reading.rows("SELECT id, setting_key FROM promptlab_runs")}
    assert keys
    for run in map(notebook.run, keys):
        for image in run.images:
            words = words_key(run.variants[image.variant].variant)
            assert recipe_key(keys[run.id], words, image.seed) == image.recipe_key


def test_tables_that_are_being_made_are_seen_whole_or_not_at_all(tmp_path):
    """By a page that lists runs meanwhile: a schema in between would be refused as one that is older."""
    database, seen = database_of(Workspace.at(tmp_path)), set()
    making = threading.Thread(target=database.upgrade)
    making.start()
    while making.is_alive():
        seen.add(database.revision())
    making.join()
    assert seen <= {None, migrate.HEAD}
    assert database.revision() == migrate.HEAD


@pytest.mark.parametrize("older", [EVERY[0]], indirect=True)
def test_upgrade_that_fails_of_a_file_changes_nothing(older):
    """All of it is one transaction."""
    with older.engine(writes=True).begin() as connection:
        connection.execute(text("CREATE TABLE promptlab_search (is_in_the_way int)"))
    had, revision = counts(older), older.revision()
    with pytest.raises(StoreError, match=r"^the database failed while making its tables: .*promptlab_search"):
        older.upgrade()
    assert (older.revision(), counts(older)) == (revision, had)


def test_upgrade_that_fails_on_a_server_changes_nothing(empty_postgresql_url, tmp_path):
    """All of it is one transaction."""
    database = database_of(Workspace.at(tmp_path, empty_postgresql_url))
    with database.engine(writes=True).begin() as connection:
        migrate.upgrade(connection, "0003")
        connection.execute(text("CREATE TABLE promptlab_search (is_in_the_way int)"))
    had = counts(database)
    with pytest.raises(StoreError, match=r"^the database failed while making its tables: .*promptlab_search"):
        database.upgrade()
    assert (database.revision(), counts(database)) == ("0003", had)
