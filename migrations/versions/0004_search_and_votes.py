"""Full-text search over words and notes; stars, favourites and votes.

The index has a document for each variant, and triggers keep it: whoever writes a prompt or a note has written it there.
It is SQLite's FTS5, or a table with a ``tsvector`` in PostgreSQL.

On SQLite, a later revision that rebuilds ``promptlab_variants`` or ``promptlab_runs`` in batch mode drops their
triggers with the old table and has to make them again. PostgreSQL alters tables in place, and its triggers stay.

PostgreSQL's own parser takes ``a/b`` for a file and ``x.y`` for a host, and leaves accents on. So signs become blanks,
and accents come off, before it sees a text, as FTS5 has it: by ``normalize``, which every server has, and not by the
extension ``unaccent``, which not every server has and not every role may add. Hangul and kana are put together again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQLITE_INDEX = """
    CREATE VIRTUAL TABLE promptlab_search USING fts5(
        prompt, negative_prompt, template, label, name, note, experiment,
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
"""
SQLITE_FILL = """
    INSERT INTO promptlab_search(rowid, prompt, negative_prompt, template, label, name, note, experiment)
    SELECT variant.id, variant.prompt, variant.negative_prompt, variant.template, variant.label,
           run.name, run.note, run.experiment
    FROM promptlab_variants variant JOIN promptlab_runs run ON run.id = variant.run_id
"""
SQLITE_TRIGGERS = {
    "promptlab_search_variant_added": f"""
        AFTER INSERT ON promptlab_variants BEGIN {SQLITE_FILL} WHERE variant.id = NEW.id; END
    """,
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
POSTGRESQL_FILL = """
    INSERT INTO promptlab_search(variant_id, texts, words)
    SELECT variant.id,
           concat_ws(chr(10), variant.prompt, variant.negative_prompt, variant.template, variant.label,
                     run.name, run.note, run.experiment),
           promptlab_document(variant.prompt, 'A') || promptlab_document(run.name, 'B')
           || promptlab_document(run.note, 'B') || promptlab_document(variant.negative_prompt, 'C')
           || promptlab_document(variant.label, 'C') || promptlab_document(run.experiment, 'C')
           || promptlab_document(variant.template, 'D')
    FROM promptlab_variants variant JOIN promptlab_runs run ON run.id = variant.run_id
"""
POSTGRESQL_REFILL = "ON CONFLICT (variant_id) DO UPDATE SET texts = excluded.texts, words = excluded.words"
POSTGRESQL_INDEX = (
    # Letters alone: small, without accents, signs as blanks. {collation} knows the small letters of every script, where
    # the database's own may be "C", which knows those of English only.
    r"""
    CREATE FUNCTION promptlab_letters(given text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT regexp_replace(
            normalize(regexp_replace(normalize(lower(given {collation}), NFD), '[\u0300-\u036f]+', '', 'g'), NFC),
            '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u2000-\u206f'
            '\u3000-\u303f\uff00-\uff0f]+', ' ', 'g')
    $$
    """,
    # A text with a letter of its own behind it, so that no phrase reaches from one text into the next.
    """
    CREATE FUNCTION promptlab_document(given text, weight "char") RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT setweight(to_tsvector('simple', promptlab_letters(coalesce(given, '')) || ' \ua781'), weight)
    $$
    """,
    # One word or phrase: its words one after the other, the last from its beginning; nothing matches what has none.
    """
    CREATE FUNCTION promptlab_query(given text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN letters = '' THEN CAST('' AS tsquery)
                    ELSE to_tsquery('simple', '''' || replace(letters, ' ', ''' <-> ''') || ''':*') END
        FROM (SELECT trim(promptlab_letters(given)) AS letters) words
    $$
    """,
    """
    CREATE TABLE promptlab_search(
        variant_id integer PRIMARY KEY REFERENCES promptlab_variants(id) ON DELETE CASCADE,
        texts text NOT NULL, words tsvector NOT NULL
    )
    """,
    "CREATE INDEX ix_promptlab_search_words ON promptlab_search USING gin(words)",
    POSTGRESQL_FILL,
    f"""
    CREATE FUNCTION promptlab_search_variant() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {POSTGRESQL_FILL} WHERE variant.id = NEW.id {POSTGRESQL_REFILL}; RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION promptlab_search_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        {POSTGRESQL_FILL} WHERE run.id = NEW.id {POSTGRESQL_REFILL}; RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER promptlab_search_variant AFTER INSERT OR UPDATE OF prompt, negative_prompt, template, label
    ON promptlab_variants FOR EACH ROW EXECUTE FUNCTION promptlab_search_variant()
    """,
    """
    CREATE TRIGGER promptlab_search_run AFTER UPDATE OF name, note, experiment
    ON promptlab_runs FOR EACH ROW EXECUTE FUNCTION promptlab_search_run()
    """,
)


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
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute(SQLITE_INDEX)
        op.execute(SQLITE_FILL)
        for name, body in SQLITE_TRIGGERS.items():
            op.execute(f"CREATE TRIGGER {name} {body}")
        return
    unicode = connection.execute(sa.text("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'")).first()
    for statement in POSTGRESQL_INDEX:
        connection.exec_driver_sql(statement.replace("{collation}", 'COLLATE "und-x-icu"' if unicode else ""))


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
        op.execute("DROP TABLE promptlab_search")
    else:
        op.execute("DROP TRIGGER promptlab_search_run ON promptlab_runs")
        op.execute("DROP TRIGGER promptlab_search_variant ON promptlab_variants")
        op.execute("DROP TABLE promptlab_search")
        for function in ("search_run()", "search_variant()", 'document(text, "char")', "query(text)", "letters(text)"):
            op.execute(f"DROP FUNCTION promptlab_{function}")
    op.drop_index(op.f("ix_promptlab_images_seed"), "promptlab_images")
    op.drop_table("promptlab_votes")
    op.drop_table("promptlab_ratings")
