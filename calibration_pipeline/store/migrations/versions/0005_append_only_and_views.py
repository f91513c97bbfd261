"""History can't be changed, and readers have views."""

from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

APPEND_ONLY_TABLES = (
    "scales",
    "items",
    "item_decisions",
    "anchor_sets",
    "anchor_set_items",
    "anchor_activations",
    "archive_revisions",
    "runs",
    "run_outcomes",
    "calibration_states",
    "state_scales",
    "state_windows",
    "state_items",
    "state_evaluations",
    "flags",
    "links",
    "snapshots",
    "snapshot_items",
    "snapshot_audits",
    "alias_moves",
)

REFUSE_CHANGE = """
CREATE FUNCTION calibration.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'calibration.% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$
"""

PUBLISHED_ITEMS = """
CREATE VIEW calibration.published_items AS
SELECT s.version, s.scaling_constant, s.partition, s.published_at,
       i.item_id, i.content_version, i.scale,
       i.discrimination, i.difficulty, i.guessing,
       i.discrimination_se, i.difficulty_se, i.guessing_se,
       i.track, i.source, i.window_count, i.total_count, i.at_bound
FROM calibration.snapshot_items AS i
JOIN calibration.snapshots AS s USING (version)
"""

CURRENT_ITEMS = """
CREATE VIEW calibration.current_items AS
SELECT p.*
FROM calibration.published_items AS p
JOIN calibration.aliases AS a USING (version)
WHERE a.alias = 'current'
"""


def upgrade() -> None:
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY_TABLES:
        # Once per statement: no cost per row, and a statement that touches no row is refused too.
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON calibration.{table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION calibration.refuse_change()"
        )
    op.execute(PUBLISHED_ITEMS)
    op.execute(CURRENT_ITEMS)
    op.execute(
        "COMMENT ON VIEW calibration.published_items IS "
        "'Item parameters of every published version, stated with its scaling constant D.'"
    )
    op.execute(
        "COMMENT ON VIEW calibration.current_items IS "
        "'Item parameters of the version that the alias current points at.'"
    )


def downgrade() -> None:
    refuse_downgrade(revision)
