"""Engines' reports say which exposure control they drew with, and finished controls are sealed."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# What was reported before is of the newest control that the item had by then.
ATTEMPTS_UNTIL_NOW = """
UPDATE calibration.item_proposals AS p
SET attempt = COALESCE(
    (
        SELECT max(c.attempt)
        FROM calibration.exposure_controls AS c
        JOIN calibration.exposure_control_items AS i USING (control_id)
        WHERE c.version = p.version AND i.item_id = p.item_id
          AND i.content_version = p.content_version AND c.recorded_at <= p.recorded_at
    ),
    1
)
"""

# As published versions: rows come with their control, in its transaction, or never. (xmin is the
# transaction that wrote a row; writing a control uses no savepoint.)
REFUSE_LATE_PROBABILITIES = """
CREATE FUNCTION calibration.refuse_late_probabilities() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT control_id FROM added) AS a
        JOIN calibration.exposure_controls AS c USING (control_id)
        WHERE c.xmin <> pg_current_xact_id()::xid
    ) THEN
        RAISE EXCEPTION 'calibration.%: an exposure control that is stored takes no further rows',
            TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$
"""

COMMENTS = {
    "level": "Of ability, from 0, when it came up first.",
    "proposed": "Candidates it came up for, each counted the first time alone.",
    "given": "Of them, those it was open to then.",
}


def upgrade() -> None:
    _add_attempt()
    for column, comment in COMMENTS.items():
        op.alter_column("item_proposals", column, comment=comment, schema="calibration")
    op.execute(REFUSE_LATE_PROBABILITIES)
    op.execute(
        "CREATE TRIGGER whole_when_stored AFTER INSERT ON calibration.exposure_control_items "
        "REFERENCING NEW TABLE AS added FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_late_probabilities()"
    )
    op.execute(
        "ALTER TABLE calibration.exposure_control_items ENABLE ALWAYS TRIGGER whole_when_stored"
    )


def _add_attempt() -> None:
    table = "calibration.item_proposals"
    op.add_column(
        "item_proposals",
        sa.Column(
            "attempt",
            sa.Integer(),
            autoincrement=False,
            nullable=True,
            comment="Of the exposure control whose probabilities were drawn with.",
        ),
        schema="calibration",
    )
    op.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    op.execute(ATTEMPTS_UNTIL_NOW)
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")
    op.alter_column("item_proposals", "attempt", nullable=False, schema="calibration")
    op.drop_constraint("item_proposals_pkey", "item_proposals", schema="calibration")
    op.create_primary_key(
        "item_proposals_pkey",
        "item_proposals",
        ["report_id", "version", "attempt", "item_id", "content_version", "level"],
        schema="calibration",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
