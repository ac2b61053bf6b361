"""A spec's columns: read from the table of settings, so that a new setting has its column without an edit here."""

import dataclasses

from sqlalchemy import Float

from promptlab.specs import PipelineSpec, RunSpec, SchedulerSpec, options
from promptlab.specs.settings import SETTINGS
from promptlab.store.spec_columns import COLUMNS, columns_of, decoded, spec_of
from promptlab.store.table_base import setting_column
from promptlab.store.tables import RunRow
from tests.store.test_notebook import SPEC


def test_spec_of_columns_of_a_spec_is_the_spec():
    """Also of one that says nothing, and of a scheduler without options."""
    plain = RunSpec(pipeline=PipelineSpec(model="m"), variants=SPEC.variants, seeds=(1,))
    for spec in (SPEC, plain, SPEC.vary(scheduler=SchedulerSpec(name="PNDM")), SPEC.vary(arguments=options({}))):
        assert columns_of(spec).keys() == set(COLUMNS)
        assert spec_of(columns_of(spec), spec.variants) == spec


def test_spec_of_an_older_database_takes_missing_columns_for_defaults():
    """A migration reads rows from before a setting was there."""
    plain = RunSpec(pipeline=PipelineSpec(model="m"), variants=SPEC.variants, seeds=(1,))
    later = ("loras", "embeddings", "weighting", "clip_skip", "guidance_until", "variation_seed", "config", "machine")
    columns = {name: value for name, value in columns_of(plain).items() if name not in later}
    assert spec_of(columns, SPEC.variants) == plain


def test_decoded_reads_json_and_leaves_other_text():
    """A model may be named like a number."""
    assert decoded({"model": "1", "seeds": "[1]", "loras": None, "machine": "null", "id": 3}) == {
        "model": "1", "seeds": [1], "loras": None, "machine": None, "id": 3,
    }  # fmt: skip


def test_setting_column_of_a_new_setting_is_nullable_and_of_its_kind():
    """Whatever it is called: nothing in this room names it."""
    row = dataclasses.replace(SETTINGS["guidance"], name="new", sets=("new",), column="new")
    column = setting_column(row).column
    assert (type(column.type), column.nullable, column.index) == (Float, True, None)


def test_run_row_has_every_column_of_the_table_of_settings():
    """A row of the table that names a column is mapped."""
    named = {row.column for row in SETTINGS.values() if row.column}
    assert named <= set(COLUMNS) <= set(RunRow.__table__.columns.keys())
