"""An older database is backed up, upgraded, and then used: no row lost, no child row deleted on the way.

``databases/`` holds a file of every schema there has been before, as the PromptLab of that time wrote it (by its
painter, MLflow's tables beside ours): two wordings at three seeds in run 1, one of its seeds with other words in run 2;
from 0002 on a sweep of two runs, and a run whose pictures are all links to those of run 1; in 0003 run 1 is verified.
"""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from promptlab.errors import WorkspaceError
from promptlab.plan import ResolvedSpec, keys_of
from promptlab.records import ImageStatus, Outcome, RunStatus
from promptlab.store import glance, migrate
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace
from tests.store.test_notebook import ENVIRONMENT, begin

KEPT = Path(__file__).parent / "databases"


@pytest.fixture(params=migrate.REVISIONS[:-1])
def older(request, tmp_path):
    """A workspace with the database of an earlier schema."""
    workspace = Workspace.at(tmp_path / "old")
    workspace.root.mkdir()
    workspace.database.write_bytes(gzip.decompress((KEPT / f"{request.param}.db.gz").read_bytes()))
    assert glance.revision_of(workspace.database) == request.param
    return workspace


def counts(database):
    """How many rows each table has that both schemas know, MLflow's included."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: connection.execute(f"SELECT count(*) FROM '{table}'").fetchone()[0] for table in tables}


def test_every_earlier_schema_has_its_file():
    """Whoever adds a revision keeps a database of the one before."""
    assert sorted(path.name for path in KEPT.iterdir()) == [f"{one}.db.gz" for one in migrate.REVISIONS[:-1]]


def test_an_older_database_is_upgraded_and_used(older):
    """What was in it reads as before, new runs go beside it, and a backup of the old file lies there."""
    had, revision = counts(older.database), glance.revision_of(older.database)
    notebook = Notebook.at(older)
    assert had.items() <= counts(older.database).items()
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
    before = len(glance.summaries(older.database))
    new = begin(notebook)
    assert (new.id, new.environment) == (before + 1, ENVIRONMENT)
    assert len(glance.summaries(older.database)) == before + 1
    (backup,) = older.root.glob("*.bak")
    assert (glance.revision_of(backup), counts(backup)) == (revision, had)


@pytest.mark.parametrize("older", migrate.REVISIONS[1:-1], indirect=True)
def test_sweeps_and_links_of_an_older_database_stay(older):
    """From the second schema on: the sweep with its places, and pictures that are links."""
    notebook = Notebook.at(older)
    sweep = notebook.sweep(1)
    assert sweep.dimensions == (("steps",),)
    assert [(run.run_id, run.place, run.values) for run in sweep.runs] == [
        (3, (0,), (("steps", "3"),)),
        (4, (1,), (("steps", "4"),)),
    ]
    assert [image.linked for image in notebook.run(5).images] == [(1, 0), (1, 1), (1, 3), (1, 4)]


def test_a_list_says_what_to_type_for_an_older_database(older):
    """Reading does not upgrade: it says which command does."""
    revision = glance.revision_of(older.database)
    with pytest.raises(WorkspaceError, match=rf"has the older schema {revision}.*type: promptlab db upgrade"):
        glance.summaries(older.database)
    assert Notebook.upgrade(older) == revision
    assert len(glance.summaries(older.database)) >= 2


@pytest.mark.parametrize("older", ["0005"], indirect=True)
def test_arguments_that_became_columns_move_there(older):
    """A run made with ``--set guidance_rescale=0.7`` has it where one looks for it today, under the same recipe key."""
    run = Notebook.at(older).run(1)
    assert (run.spec.call.guidance_rescale, run.spec.call.arguments) == (0.7, ())
    keys = keys_of([ResolvedSpec(spec=run.spec, device=run.device, model_identity=run.model_identity)])
    assert keys == [tuple(image.recipe_key for image in run.images)]
