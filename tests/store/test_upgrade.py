"""An older database is backed up, upgraded, and then used: no row lost, no child row deleted on the way."""

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.config import Config

from promptlab.errors import WorkspaceError
from promptlab.store import glance, migrate
from promptlab.store.database import open_sqlite
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace
from tests.store.test_notebook import begin

ROWS = """
INSERT INTO promptlab_environments VALUES (1, 'e', '2026-01-01 00:00:00.000000', '{"torch": "2.11"}');
INSERT INTO promptlab_runs
    (id, uid, experiment, status, created_at, model, model_identity, scheduler_options, call_arguments, seeds, device,
     generator_device, environment_id, changes)
    VALUES (1, 'u', 'warrior', 'FINISHED', '2026-01-01 00:00:00.000000', 'mini', 'sha256:1', '{}', '{}', '[7]', 'cpu',
            'cpu', 1, '[]');
INSERT INTO promptlab_variants (id, run_id, position, label, prompt, negative_prompt) VALUES (1, 1, 0, 'a', 'a', '');
INSERT INTO promptlab_images (id, run_id, position, variant_id, seed, status, recipe_key, path)
    VALUES (1, 1, 0, 1, 7, 'MADE', 'k', 'images/00001/v00-seed7.png');
"""


def older(workspace, revision):
    """A database as PromptLab wrote it when ``revision`` was its schema, with a run in it."""
    workspace.root.mkdir()
    config = Config()
    config.set_main_option("script_location", str(migrate.migrations_folder()))
    engine = open_sqlite(workspace.database, foreign_keys=False)
    with engine.connect().execution_options(writes=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    with closing(sqlite3.connect(workspace.database)) as connection:
        connection.executescript(ROWS)


def test_a_database_of_the_first_schema_is_upgraded_and_used(tmp_path):
    """What was in it reads as before, new runs go beside it, and a backup of the old file lies there."""
    workspace = Workspace.at(tmp_path / "old")
    older(workspace, "0001")
    notebook = Notebook.at(workspace)
    run = notebook.run(1)
    assert (run.experiment, run.spec.seeds, run.images[0].path) == ("warrior", (7,), "images/00001/v00-seed7.png")
    assert (run.sweep_id, run.images[0].linked) == (None, None)
    assert begin(notebook).id == 2
    assert [summary.id for summary in glance.summaries(workspace.database)] == [2, 1]
    (backup,) = workspace.root.glob("*.bak")
    assert glance.revision_of(backup) == "0001"


def test_a_list_says_what_to_type_for_an_older_database(tmp_path):
    """Reading does not upgrade: it says which command does."""
    workspace = Workspace.at(tmp_path / "old")
    older(workspace, "0001")
    with pytest.raises(WorkspaceError, match=r"has the older schema 0001.*type: promptlab db upgrade"):
        glance.summaries(workspace.database)
    assert Notebook.upgrade(workspace) == "0001"
    assert len(glance.summaries(workspace.database)) == 1
