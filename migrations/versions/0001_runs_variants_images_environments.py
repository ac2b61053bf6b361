"""The first tables: runs, their variants and images, and the environments they were made in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "promptlab_environments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_environments")),
        sa.UniqueConstraint("hash", name=op.f("uq_promptlab_environments_hash")),
    )
    op.create_table(
        "promptlab_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=32), nullable=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("tracked_at", sa.DateTime(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_identity", sa.String(length=80), nullable=False),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("weights_variant", sa.Text(), nullable=True),
        sa.Column("vae", sa.Text(), nullable=True),
        sa.Column("vae_identity", sa.String(length=80), nullable=True),
        sa.Column("dtype", sa.String(length=16), nullable=True),
        sa.Column("scheduler", sa.Text(), nullable=True),
        sa.Column("scheduler_options", sa.JSON(), nullable=False),
        sa.Column("num_inference_steps", sa.Integer(), nullable=True),
        sa.Column("guidance_scale", sa.Float(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("call_arguments", sa.JSON(), nullable=False),
        sa.Column("seeds", sa.JSON(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=True),
        sa.Column("asked_device", sa.String(length=32), nullable=True),
        sa.Column("device", sa.String(length=32), nullable=False),
        sa.Column("generator_device", sa.String(length=32), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("load_seconds", sa.Float(), nullable=True),
        sa.Column("generate_seconds", sa.Float(), nullable=True),
        sa.Column("parent_run_id", sa.Integer(), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["promptlab_environments.id"], name=op.f("fk_promptlab_runs_environment_id")
        ),
        sa.ForeignKeyConstraint(["parent_run_id"], ["promptlab_runs.id"], name=op.f("fk_promptlab_runs_parent_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_runs")),
        sa.UniqueConstraint("uid", name=op.f("uq_promptlab_runs_uid")),
    )
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promptlab_runs_environment_id"), ["environment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_runs_experiment_id"), ["experiment", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_runs_parent_run_id"), ["parent_run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_runs_scheduler"), ["scheduler"], unique=False)

    op.create_table(
        "promptlab_variants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("negative_prompt", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=True),
        sa.Column("replacement", sa.Text(), nullable=True),
        sa.Column("source", sa.Integer(), nullable=True),
        sa.Column("mlflow_run_id", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["promptlab_runs.id"], name=op.f("fk_promptlab_variants_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_variants")),
        sa.UniqueConstraint("run_id", "position", name=op.f("uq_promptlab_variants_run_id_position")),
    )
    op.create_table(
        "promptlab_images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("recipe_key", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("pixel_sha256", sa.String(length=64), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("peak_memory", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.DateTime(), nullable=True),
        sa.Column("flag", sa.String(length=32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("parent_image_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["parent_image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_images_parent_image_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["promptlab_runs.id"], name=op.f("fk_promptlab_images_run_id")),
        sa.ForeignKeyConstraint(["variant_id"], ["promptlab_variants.id"], name=op.f("fk_promptlab_images_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_images")),
        sa.UniqueConstraint("run_id", "position", name=op.f("uq_promptlab_images_run_id_position")),
    )
    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_promptlab_images_parent_image_id"), ["parent_image_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_images_pixel_sha256"), ["pixel_sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_images_recipe_key"), ["recipe_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_promptlab_images_variant_id"), ["variant_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("promptlab_images", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promptlab_images_variant_id"))
        batch_op.drop_index(batch_op.f("ix_promptlab_images_recipe_key"))
        batch_op.drop_index(batch_op.f("ix_promptlab_images_pixel_sha256"))
        batch_op.drop_index(batch_op.f("ix_promptlab_images_parent_image_id"))

    op.drop_table("promptlab_images")
    op.drop_table("promptlab_variants")
    with op.batch_alter_table("promptlab_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_promptlab_runs_scheduler"))
        batch_op.drop_index(batch_op.f("ix_promptlab_runs_parent_run_id"))
        batch_op.drop_index(batch_op.f("ix_promptlab_runs_experiment_id"))
        batch_op.drop_index(batch_op.f("ix_promptlab_runs_environment_id"))

    op.drop_table("promptlab_runs")
    op.drop_table("promptlab_environments")
