"""What a night folded and dropped, and answers that come after their day was folded."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Until now a day was folded in the revision that the parent's window held, and a day that the
# window lacked in the newest one that there was.
FOLDED_UNTIL_NOW = """
INSERT INTO calibration.state_folds (partition, attempt, day, revision, digest)
SELECT DISTINCT ON (s.partition, s.attempt, r.day)
       s.partition, s.attempt, r.day, r.revision, r.digest
FROM calibration.calibration_states AS s
JOIN calibration.calibration_states AS p
    ON (p.partition, p.attempt) = (s.parent_partition, s.parent_attempt)
JOIN calibration.archive_revisions AS r
    ON r.day > p.folded_through AND r.day <= s.folded_through AND r.recorded_at <= s.recorded_at
LEFT JOIN calibration.state_windows AS w
    ON (w.partition, w.attempt, w.day, w.revision)
     = (p.partition, p.attempt, r.day, r.revision)
ORDER BY s.partition, s.attempt, r.day, w.day IS NULL, r.revision DESC
"""


def upgrade() -> None:
    _add_item_columns()
    _create_folds()
    _create_source_checks()


def _add_item_columns() -> None:
    """Earlier states found no item to have changed; later ones have to say so themselves."""
    for column in (
        sa.Column(
            "carried_shift",
            sa.Double(),
            nullable=False,
            server_default="NaN",
            comment="How much harder later answers make it than earlier ones; units of theta.",
        ),
        sa.Column("carried_shift_se", sa.Double(), nullable=False, server_default="NaN"),
        sa.Column(
            "is_contradicted",
            sa.Boolean(),
            nullable=False,
            server_default="false",
            comment="What the item carried was dropped tonight.",
        ),
        sa.Column(
            "carried_from",
            sa.Date(),
            nullable=True,
            comment="First day that it may carry; null: every day.",
        ),
    ):
        op.add_column("state_items", column, schema="calibration")
    for name in ("carried_shift", "carried_shift_se", "is_contradicted"):
        op.alter_column("state_items", name, server_default=None, schema="calibration")


def _create_folds() -> None:
    op.create_table(
        "state_folds",
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_folds_partition_fkey",
        ),
        sa.PrimaryKeyConstraint("partition", "attempt", "day", name="state_folds_pkey"),
        schema="calibration",
        comment="The archived days that a state folded into the carried information.",
    )
    op.execute(FOLDED_UNTIL_NOW)
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.state_folds FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )


def _create_source_checks() -> None:
    op.create_table(
        "source_checks",
        sa.Column("check_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("checked_through", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("check_id", name="source_checks_pkey"),
        schema="calibration",
        comment="Until when arrivals were searched for late answers; the newest row counts.",
    )
    op.create_index(
        "response_log_late_ingested_at_idx",
        "response_log",
        ["ingested_at"],
        unique=False,
        schema="calibration",
        postgresql_where=sa.text("ingested_at - session_started_at > interval '12 hours'"),
    )


def downgrade() -> None:
    refuse_downgrade(revision)
