"""Full-text search over words and notes; stars, favourites and votes.

The index is SQLite's FTS5, a document for each variant, and triggers keep it: whoever writes a prompt or a note has
written it there. A later revision that rebuilds ``promptlab_variants`` or ``promptlab_runs`` in batch mode drops their
triggers with the old table and has to make them again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = """
    CREATE VIRTUAL TABLE promptlab_search USING fts5(
        prompt, negative_prompt, template, label, name, note, experiment,
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
"""
FILL = """
    INSERT INTO promptlab_search(rowid, prompt, negative_prompt, template, label, name, note, experiment)
    SELECT variant.id, variant.prompt, variant.negative_prompt, variant.template, variant.label,
           run.name, run.note, run.experiment
    FROM promptlab_variants variant JOIN promptlab_runs run ON run.id = variant.run_id
"""
TRIGGERS = {
    "promptlab_search_variant_added": f"AFTER INSERT ON promptlab_variants BEGIN {FILL} WHERE variant.id = NEW.id; END",
    "promptlab_search_variant_changed": """
        AFTER UPDATE OF prompt, negative_prompt, template, label ON promptlab_variants BEGIN
            UPDATE promptlab_search SET prompt = NEW.prompt, negative_prompt = NEW.negative_prompt,
                                        template = NEW.template, label = NEW.label WHERE rowid = NEW.id;
        END
    """,
    "promptlab_search_variant_deleted": """
        AFTER DELETE ON promptlab_variants BEGIN DELETE FROM promptlab_search WHERE rowid = OLD.id; END
    """,
    "promptlab_search_run_changed": """
        AFTER UPDATE OF name, note, experiment ON promptlab_runs BEGIN
            UPDATE promptlab_search SET name = NEW.name, note = NEW.note, experiment = NEW.experiment
            WHERE rowid IN (SELECT id FROM promptlab_variants WHERE run_id = NEW.id);
        END
    """,
}


def upgrade() -> None:
    op.create_table(
        "promptlab_ratings",
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=True),
        sa.Column("favourite", sa.Boolean(), nullable=False),
        sa.Column("rated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_ratings_image_id")),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_promptlab_ratings")),
    )
    op.create_table(
        "promptlab_votes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("winner_image_id", sa.Integer(), nullable=False),
        sa.Column("loser_image_id", sa.Integer(), nullable=False),
        sa.Column("tie", sa.Boolean(), nullable=False),
        sa.Column("voted_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["winner_image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_votes_winner_image_id")
        ),
        sa.ForeignKeyConstraint(
            ["loser_image_id"], ["promptlab_images.id"], name=op.f("fk_promptlab_votes_loser_image_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promptlab_votes")),
    )
    op.create_index(op.f("ix_promptlab_votes_winner_image_id"), "promptlab_votes", ["winner_image_id"], unique=False)
    op.create_index(op.f("ix_promptlab_votes_loser_image_id"), "promptlab_votes", ["loser_image_id"], unique=False)
    op.create_index(op.f("ix_promptlab_images_seed"), "promptlab_images", ["seed"], unique=False)
    op.execute(INDEX)
    op.execute(FILL)
    for name, body in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {body}")


def downgrade() -> None:
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name}")
    op.execute("DROP TABLE promptlab_search")
    op.drop_index(op.f("ix_promptlab_images_seed"), "promptlab_images")
    op.drop_table("promptlab_votes")
    op.drop_table("promptlab_ratings")
