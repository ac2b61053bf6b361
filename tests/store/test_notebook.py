"""The notebook: what goes in comes out, in a SQLite file and on a PostgreSQL server alike."""

import dataclasses
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from promptlab.errors import NotFound, StoreError, WorkspaceError
from promptlab.plan import ResolvedSpec, keys_of, requests_of
from promptlab.records import Environment, ImageStatus, RunStatus, SweepRun
from promptlab.specs import (
    CallSpec,
    Embedding,
    Lora,
    PipelineSpec,
    RunSpec,
    SchedulerSpec,
    Variant,
    options,
    setting_key,
)
from promptlab.specs.settings import SETTINGS
from promptlab.store import migrate, run_list
from promptlab.store.notebook import Notebook
from promptlab.store.sweeps import ScheduledRun
from promptlab.store.tables import Base
from promptlab.store.workspace_database import database_of

SPEC = RunSpec(
    pipeline=PipelineSpec(
        model="some/model",
        revision="c0ffee",
        config="some/configuration",
        vae="some/vae",
        dtype="bfloat16",
        scheduler=SchedulerSpec(name="EulerDiscreteScheduler", options=options({"use_karras_sigmas": True})),
    ),
    call=CallSpec(num_inference_steps=7, guidance_scale=0.0, height=32, width=48, arguments=options({"eta": 0.5})),
    variants=(
        Variant(prompt="한국어 prompt", negative_prompt="no", label="ko"),
        Variant(prompt="b", template="{b}", replacement="a=>b", source=0),
    ),
    seeds=(4294967295, 0, 7),
    batch_size=4,
)
RESOLVED = ResolvedSpec(spec=SPEC, device="cpu", model_identity="commit:c0ffee", vae_identity="sha256:1")
ENVIRONMENT = Environment(facts={"torch": "2.13", "threads": 2, "tf32": False})

THREE = """
import os, sys
from promptlab.store.notebook import Notebook
from promptlab.workspace import Workspace
from tests.store.test_notebook import begin
for _ in range(3):
    if os.fork() == 0:
        begin(Notebook.at(Workspace.at(*sys.argv[1:])))
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in range(3)))
"""


def begin(notebook, resolved=RESOLVED, **given):
    return notebook.begin_run(
        resolved, requests_of(resolved), **{"environment": ENVIRONMENT, "experiment": "warrior", **given}
    )


def made(image, **values):
    return dataclasses.replace(
        image,
        status=ImageStatus.MADE,
        path=f"images/{image.position}.png",
        width=48,
        height=32,
        pixel_sha256="ab" * 32,
        batch=1,
        slot=2,
        seconds=0.5,
        peak_memory=2**33,
        made_at=datetime(2026, 1, 2, tzinfo=UTC),
        **values,
    )


def test_begin_run_owes_every_image(notebook):
    """Before the first pixel the run is RUNNING and each variant × seed is a row, owed."""
    run = begin(notebook, name="first", note="why")
    assert (run.id, run.status, run.name, run.note) == (1, RunStatus.RUNNING, "first", "why")
    assert [(image.variant, image.seed) for image in run.images] == [(v, s) for v in (0, 1) for s in SPEC.seeds]
    assert {image.status for image in run.images} == {ImageStatus.OWED}
    assert len({image.recipe_key for image in run.images}) == 6


def test_run_read_back_equals_what_was_written(notebook):
    """Spec, identities, environment, images and times come back equal to what was written."""
    run = begin(notebook)
    images = [made(image, flag="black" if image.position == 2 else None) for image in run.images]
    notebook.add_images(run.id, images)
    notebook.end_run(run.id, RunStatus.FINISHED, load_seconds=1.5, generate_seconds=3.0)
    back = notebook.run(run.id)
    assert back.spec == SPEC
    assert back.images == tuple(images)
    assert back.environment == ENVIRONMENT
    assert (back.model_identity, back.vae_identity, back.device) == ("commit:c0ffee", "sha256:1", "cpu")
    assert (back.status, back.load_seconds, back.generate_seconds) == (RunStatus.FINISHED, 1.5, 3.0)
    assert back.ended_at is not None
    assert back.ended_at.tzinfo is UTC
    assert (back.seconds_per_image, back.peak_memory) == (0.5, 2**33)


def test_end_run_keeps_who_made_a_run_first(notebook):
    """A resume by other workers, or by none, changes nothing of it, as it changes no parameter of MLflow's."""
    run = begin(notebook)
    assert notebook.end_run(run.id, RunStatus.KILLED).workers is None
    by_two = notebook.end_run(run.id, RunStatus.KILLED, workers=2, devices=["A100", "H200"])
    assert (by_two.workers, by_two.devices) == (2, ("A100", "H200"))
    again = notebook.end_run(run.id, RunStatus.FINISHED, workers=1, devices=["CPU"])
    assert (again.workers, again.devices) == (2, ("A100", "H200"))
    assert notebook.end_run(run.id, RunStatus.FINISHED).workers == 2


def test_begin_run_writes_the_setting_key(notebook, execute):
    """The one of which its images' recipe keys are made; another setting has another."""
    begin(notebook)
    begin(notebook, dataclasses.replace(RESOLVED, spec=SPEC.vary(clip_skip=1)))
    (first,), (second,) = execute("SELECT setting_key FROM promptlab_runs ORDER BY id")
    assert first == setting_key(SPEC, model_identity="commit:c0ffee", vae_identity="sha256:1") != second


def test_spec_with_every_setting_comes_back_equal(notebook):
    """Each row of the table of settings that has a column, set to something that is not its default."""
    spec = SPEC.vary(
        variant="fp16", loras=(Lora(name="ink", weight=0.5, identity="sha256:2"),), weighting=True, clip_skip=1,
        embeddings=(Embedding(name="cat", token="<cat>"),), guidance_rescale=0.7, guidance_until=0.4,
        variation_seed=4294967295, variation_strength=0.2, device="cuda:1", generator_device="cuda", vae_tiling=True,
        true_cfg_scale=4.0, quantization="gguf:/models/some.gguf", text_encoder_quantization="int8",
    )  # fmt: skip
    plain = RunSpec(pipeline=PipelineSpec(model="m"), variants=SPEC.variants, seeds=SPEC.seeds)
    unset = [row.name for row in SETTINGS.values() if row.column and row.value(spec) == row.value(plain)]
    assert unset == ["seeds"]
    back = begin(notebook, dataclasses.replace(RESOLVED, spec=spec)).spec
    assert (back, back.pipeline.loras[0].identity) == (spec, "sha256:2")


def test_rerun_points_at_the_images_it_came_from(notebook):
    """Each image of a rerun knows its ancestor: same seed, the variant it was varied from; and what changed is kept."""
    parent = begin(notebook)
    spec = SPEC.vary(seeds=(7, 8), num_inference_steps=9, variants=(dataclasses.replace(SPEC.variants[1], source=1),))
    child = begin(notebook, dataclasses.replace(RESOLVED, spec=spec), parent=parent)
    assert child.parent_run_id == parent.id
    assert [image.parent for image in child.images] == [(parent.id, 5), None]
    assert {change.field: (change.before, change.after) for change in child.changes}["num_inference_steps"] == (7, 9)
    assert {change.field for change in child.changes} == {"num_inference_steps", "prompts", "negative_prompts", "seeds"}


def test_environments_that_are_equal_are_stored_once(notebook, execute):
    """Runs in one environment point at one row."""
    begin(notebook)
    begin(notebook)
    begin(notebook, environment=Environment(facts={"torch": "2.11"}))
    assert execute("SELECT count(*) FROM promptlab_environments") == [(2,)]


def test_run_that_is_missing_is_named_with_those_that_are_there(notebook):
    """NotFound says which numbers exist."""
    begin(notebook)
    with pytest.raises(NotFound, match="run 9 does not exist; allowed: 1 to 1; type: promptlab list"):
        notebook.run(9)


def test_untracked_gives_ended_runs_until_marked(notebook):
    """A run is untracked once it has ended, until MLflow has been told."""
    first, second, running = (begin(notebook) for _ in range(3))
    for run in (first, second):
        notebook.end_run(run.id, RunStatus.FINISHED)
    assert notebook.untracked() == (first.id, second.id)
    told = notebook.mark_tracked(first.id, {0: "a" * 32, 1: "b" * 32}, at=datetime.now(UTC))
    assert [variant.mlflow_run_id for variant in told.variants] == ["a" * 32, "b" * 32]
    assert notebook.untracked() == (second.id,)
    assert notebook.run_by_uid(running.uid).id == running.id
    assert notebook.run_by_uid("nobody") is None


def test_summaries_agree_with_the_whole_records(database, notebook):
    """`promptlab list` reads through another door; it must say what the records say."""
    for experiment in ("one", "two", "one"):
        run = begin(notebook, experiment=experiment)
        notebook.add_images(run.id, [made(image) for image in run.images[:3]])
        notebook.end_run(run.id, RunStatus.KILLED)
    quick = run_list.summaries(database)
    assert [summary.id for summary in quick] == [3, 2, 1]
    assert [summary.id for summary in run_list.summaries(database, experiment="one", limit=1)] == [3]
    for summary in quick:
        run = notebook.run(summary.id)
        assert (summary.experiment, summary.status, summary.created_at) == (run.experiment, run.status, run.created_at)
        assert (summary.images, summary.made, summary.variants) == (len(run.images), len(run.made), len(run.variants))
        assert summary.seconds_per_image == run.seconds_per_image
        assert (summary.prompt, summary.model, summary.vae) == ("한국어 prompt", "some/model", "some/vae")
        assert (summary.scheduler, summary.num_inference_steps, summary.dtype) == (
            "EulerDiscreteScheduler", 7, "bfloat16",
        )  # fmt: skip
        assert (summary.parent_run_id, summary.tracked, summary.name) == (None, False, None)


def test_statements_take_any_number_of_runs(notebook):
    """More than SQLite has variables for."""
    run, many = begin(notebook), range(1, 40_001)
    notebook.mark_requested(many)
    assert notebook.last_run_id() == run.id
    assert notebook.uids(many) == {run.id: run.uid}
    notebook.add_images(run.id, [made(image) for image in run.images])
    assert {image.status for image in notebook.owe_images(run.id, many[:-1]).images[1:]} == {ImageStatus.OWED}


def test_last_run_is_the_one_asked_for_last(notebook):
    """Begun, or asked for once more since; of several together the last."""
    first, second, third = (begin(notebook).id for _ in range(3))
    assert notebook.last_run_id() == third
    notebook.mark_requested([first, second])
    assert notebook.last_run_id() == second


def test_queries_of_a_new_run_read_no_whole_table_of_images(in_file):
    """What looks for runs and pictures that exist is answered from indexes, however many there are."""
    notebook, plans = Notebook.at(in_file), []
    keys = [request.recipe_key for request in requests_of(RESOLVED)]

    @event.listens_for(Engine, "before_cursor_execute")
    def explain(connection, cursor, statement, given, *_):
        if statement.startswith("SELECT promptlab_"):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall())

    try:
        notebook.same_run(keys, ENVIRONMENT, "warrior")
        notebook.images_by_recipe_key(keys, ENVIRONMENT)
        notebook.images_by_requested_key(keys, ENVIRONMENT)
        notebook.unfinished()
        notebook.untracked()
        notebook.last_run_id()
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert any("ix_promptlab_images_recipe_key" in step for step in plans)
    by_less = re.compile(r"ix_promptlab_(images_linked|images_env|runs_env).*_id=\?\)$")
    assert not [step for step in plans if by_less.search(step)]
    assert not [step for step in plans if step.startswith("SCAN") and "USING" not in step]


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # of SQLite's; PostgreSQL's is compared
def test_tables_made_by_migrations_equal_the_mapped_ones(database, execute):
    """Alembic sees our tables only, finds nothing to change, and leaves other tables alone."""
    execute("CREATE TABLE experiments (id INTEGER PRIMARY KEY)")
    with database.engine().connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": migrate.VERSION_TABLE,
                "include_name": lambda name, kind, _: kind != "table" or migrate.is_mapped(name),
                "compare_type": True,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_revisions_are_those_of_the_migrations_folder():
    """The constant that spares us alembic's import says what the migrations folder says."""
    scripts = ScriptDirectory(str(migrate.migrations_folder()))
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(migrate.REVISIONS)
    assert scripts.get_heads() == [migrate.HEAD]


def test_database_of_a_newer_schema_is_refused_and_left_alone(workspace, database, execute):
    """The refusal names both schemas, whether one reads or writes."""
    execute("UPDATE promptlab_alembic_version SET version_num = '9999'")
    for look in (
        lambda: Notebook.at(workspace),
        lambda: run_list.summaries(database),
        database.upgrade,
        database.check,
    ):
        with pytest.raises(
            WorkspaceError, match=rf"newer PromptLab \(schema 9999\); allowed: schema {migrate.HEAD} and older"
        ):
            look()
    assert execute("SELECT version_num FROM promptlab_alembic_version") == [("9999",)]


def test_notebook_opened_twice_migrates_once(workspace, notebook):
    """A current database is opened as it is, without a backup."""
    begin(notebook)
    assert notebook.database.upgrade() == migrate.HEAD
    assert begin(Notebook.at(workspace)).id == 2
    assert not list(workspace.root.glob("*.bak"))


def test_foreign_keys_refuse_dangling_rows(notebook, execute):
    """An image cannot point at a run that is not there, nor be one's parent and vanish."""
    run = begin(notebook)
    for statement in (
        f"UPDATE promptlab_images SET run_id = {run.id + 1}",
        f"DELETE FROM promptlab_variants WHERE run_id = {run.id}",
        "INSERT INTO promptlab_ratings VALUES (999, 5, false, '2026-01-01 00:00:00')",
    ):
        with pytest.raises(IntegrityError):
            execute(statement)


def test_database_that_fails_raises_one_line(notebook, execute):
    """SQLAlchemy's exceptions stay in the store."""
    execute("DROP TABLE promptlab_ratings")
    with pytest.raises(StoreError, match=r"^the database failed while beginning a run: [^\n]*promptlab_ratings[^\n]*$"):
        begin(notebook)


def test_numbers_of_runs_have_no_holes_and_restored_ones_are_kept(notebook):
    """A run that brings its own number is followed by the next; what failed on the way took none."""
    first = begin(notebook)
    with pytest.raises(StoreError):
        begin(notebook, dataclasses.replace(RESOLVED, device="x\ud800"))
    back = notebook.restore_run(dataclasses.replace(first, id=7, uid="f" * 32, images=()), {})
    assert (first.id, back.id, begin(notebook).id) == (1, 7, 8)
    sweep = {"experiment": "e", "name": None, "note": None, "dimensions": [["steps"]], "runs": ()}
    one = notebook.begin_sweep(**sweep, key="1")
    assert notebook.restore_sweep(dataclasses.replace(one, uid="e" * 32), {}).id == 2
    assert notebook.begin_sweep(**sweep, key="2").id == 3


def test_start_run_of_a_sweep_keeps_the_order_of_numbers(notebook):
    """Whichever starts first: MLflow shows each variant a millisecond after the one before it."""
    runs = [
        ScheduledRun(resolved=RESOLVED, keys=keys_of([RESOLVED])[0], place=SweepRun(run_id=0, place=(at,), values=()))
        for at in range(6)
    ]
    notebook.begin_sweep(experiment="e", name=None, note=None, dimensions=[["steps"]], key="1", runs=runs)
    for number in (4, 1, 6, 2, 5, 3):
        notebook.start_run(number)
    starts = [notebook.run(number).created_at for number in range(1, 7)]
    assert all(later - earlier >= timedelta(milliseconds=2) for earlier, later in pairwise(starts))
    again = notebook.end_run(2, RunStatus.FAILED).created_at
    assert notebook.start_run(2).created_at == again


def test_last_run_id_of_runs_asked_for_together_is_the_last_of_them(notebook):
    """However they are named; a run that begins afterwards is asked for later."""
    assert notebook.last_run_id() is None
    for _ in range(4):
        begin(notebook)
    assert notebook.last_run_id() == 4
    notebook.mark_requested([3, 1, 2])
    notebook.start_run(1)
    assert notebook.last_run_id() == 3
    assert notebook.last_run_id() == 3 < begin(notebook).id == notebook.last_run_id()


@pytest.mark.slow
def test_notebook_opened_by_many_processes_makes_one_schema(request, workspace):
    """Commands that start together where nothing is make one schema, a run each, and one environment."""
    url = workspace.database_url
    if url is not None:
        url = request.getfixturevalue("empty_postgresql_url")
    command = [sys.executable, "-c", THREE, str(workspace.root), *filter(None, [url])]
    done = subprocess.run(command, capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    database = database_of(dataclasses.replace(workspace, database_url=url))
    assert [summary.id for summary in run_list.summaries(database)] == [3, 2, 1]
    with database.reading("counting") as reading:
        assert list(reading.rows("SELECT count(*) AS n FROM promptlab_environments")) == [{"n": 1}]
