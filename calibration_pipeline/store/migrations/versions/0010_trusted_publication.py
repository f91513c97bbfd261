"""Drafts that are audited before they are published, people's decisions, and personal data."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEW_APPEND_ONLY_TABLES = (
    "publication_switches",
    "night_acceptances",
    "archive_deletions",
    "retention_runs",
    "privacy_acts",
)

# Also where a session has set session_replication_role to replica.
FIRE_ALWAYS = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN
        SELECT c.relname FROM pg_trigger AS t
        JOIN pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'calibration' AND t.tgname = 'append_only'
    LOOP
        EXECUTE format(
            'ALTER TABLE calibration.%I ENABLE ALWAYS TRIGGER append_only', found.relname
        );
    END LOOP;
END
$$
"""

ALIAS_ITEMS = """
CREATE VIEW calibration.alias_items AS
SELECT a.alias, p.*
FROM calibration.published_items AS p
JOIN calibration.aliases AS a USING (version)
"""


# A version is whole once it is published: rows come with it, in its transaction, or never. (xmin is
# the transaction that wrote a row; publication uses no savepoint, which would have a number of its
# own.)
REFUSE_LATE_ROWS = """
CREATE FUNCTION calibration.refuse_late_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT version FROM added) AS a
        JOIN calibration.snapshots AS s USING (version)
        WHERE s.xmin <> pg_current_xact_id()::xid
    ) THEN
        RAISE EXCEPTION 'calibration.%: a version that is published takes no further rows',
            TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    _create_drafts()
    _create_decisions()
    _create_personal_data()
    for table in NEW_APPEND_ONLY_TABLES:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON calibration.{table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION calibration.refuse_change()"
        )
    op.execute(FIRE_ALWAYS)
    op.execute(REFUSE_LATE_ROWS)
    for table in ("snapshot_items", "snapshot_audits"):
        op.execute(
            f"CREATE TRIGGER whole_at_publication AFTER INSERT ON calibration.{table} "
            f"REFERENCING NEW TABLE AS added FOR EACH STATEMENT "
            f"EXECUTE FUNCTION calibration.refuse_late_rows()"
        )
        op.execute(f"ALTER TABLE calibration.{table} ENABLE ALWAYS TRIGGER whole_at_publication")
    op.execute(ALIAS_ITEMS)
    op.execute(
        "COMMENT ON VIEW calibration.alias_items IS "
        "'Item parameters of the version that each alias points at.'"
    )


def _recorded_at() -> sa.Column[Any]:
    return sa.Column(
        "recorded_at",
        sa.DateTime(timezone=True),
        server_default=sa.text("now()"),
        nullable=False,
    )


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _create_drafts() -> None:
    op.create_table(
        "snapshot_drafts",
        _number("draft_id"),
        sa.Column("partition", sa.Date(), nullable=False, comment="The night's local day."),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column(
            "parent_version",
            sa.Integer(),
            nullable=True,
            comment="What `current` pointed at; publication requires that it still does.",
        ),
        sa.Column(
            "scaling_constant", sa.Double(), nullable=False, comment="D, as in D * a * (theta - b)."
        ),
        sa.Column("window_start", sa.Date(), nullable=False),
        sa.Column("window_end", sa.Date(), nullable=False),
        sa.Column("run_id", sa.UUID(as_uuid=False), nullable=False),
        sa.Column("configuration", postgresql.JSONB(), nullable=False),
        sa.Column("package_versions", postgresql.JSONB(), nullable=False),
        sa.Column(
            "data_digest", sa.Text(), nullable=False, comment="SHA-256 over the window's days."
        ),
        sa.Column("links", postgresql.JSONB(), nullable=False),
        sa.Column(
            "population", postgresql.JSONB(), nullable=False, comment="Mean and sd by scale."
        ),
        sa.Column(
            "content_digest", sa.Text(), nullable=False, comment="SHA-256 of canonical rows."
        ),
        _recorded_at(),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="snapshot_drafts_partition_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="snapshot_drafts_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("draft_id", name="snapshot_drafts_pkey"),
        schema="calibration",
        comment="Versions before their audit, and those that failed it. No reader looks here.",
    )
    op.create_table(
        "snapshot_draft_items",
        sa.Column("draft_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Double(), nullable=False)
            for name in (
                "discrimination",
                "difficulty",
                "guessing",
                "discrimination_se",
                "difficulty_se",
                "guessing_se",
            )
        ),
        sa.Column("covariance", postgresql.ARRAY(sa.Double()), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("window_count", sa.BigInteger(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column("at_bound", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draft_id"],
            ["calibration.snapshot_drafts.draft_id"],
            name="snapshot_draft_items_draft_id_fkey",
            ondelete="CASCADE",
        ),
        schema="calibration",
        comment="The items of drafts, as written: the audit looks for what is twice or missing.",
    )
    op.create_index(
        "snapshot_draft_items_draft_id_idx",
        "snapshot_draft_items",
        ["draft_id"],
        unique=False,
        schema="calibration",
    )
    op.create_table(
        "snapshot_draft_audits",
        sa.Column("draft_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draft_id"],
            ["calibration.snapshot_drafts.draft_id"],
            name="snapshot_draft_audits_draft_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("draft_id", "rule", name="snapshot_draft_audits_pkey"),
        schema="calibration",
        comment="What the audit found in drafts; a version takes its findings along.",
    )


def _create_decisions() -> None:
    op.drop_constraint("run_outcomes_outcome_check", "run_outcomes", schema="calibration")
    op.create_check_constraint(
        op.f("run_outcomes_outcome_check"),
        "run_outcomes",
        "outcome in ('completed', 'completed_empty', 'rejected', 'audit_failed', 'failed', "
        "'partial')",
        schema="calibration",
    )
    op.create_table(
        "publication_switches",
        _number("switch_id"),
        sa.Column("is_frozen", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("switch_id", name="publication_switches_pkey"),
        schema="calibration",
        comment="Freezing and thawing of `current`; the newest row counts.",
    )
    op.create_table(
        "night_acceptances",
        _number("acceptance_id"),
        sa.Column("partition", sa.Date(), nullable=False, comment="The night's local day."),
        sa.Column(
            "state_digest", sa.Text(), nullable=False, comment="Of the rejected state it is for."
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        _recorded_at(),
        sa.PrimaryKeyConstraint("acceptance_id", name="night_acceptances_pkey"),
        schema="calibration",
        comment="Rejected fits that a person has accepted all the same.",
    )


def _create_personal_data() -> None:
    op.add_column(
        "source_observations",
        sa.Column(
            "erased_sessions",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="Left out, because their candidates have been erased.",
        ),
        schema="calibration",
    )
    op.create_table(
        "archive_deletions",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column(
            "replaced_by",
            sa.Integer(),
            nullable=True,
            comment="The revision without the erased sessions; null if nothing is kept.",
        ),
        _recorded_at(),
        sa.CheckConstraint(
            "cause in ('retention', 'erasure')", name=op.f("archive_deletions_cause_check")
        ),
        sa.ForeignKeyConstraint(
            ["day", "revision"],
            ["calibration.archive_revisions.day", "calibration.archive_revisions.revision"],
            name="archive_deletions_day_fkey",
        ),
        sa.PrimaryKeyConstraint("day", "revision", name="archive_deletions_pkey"),
        schema="calibration",
        comment="Archived revisions whose files have been deleted, and why.",
    )
    op.create_table(
        "retention_runs",
        _number("retention_id"),
        sa.Column(
            "deleted_before", sa.Date(), nullable=False, comment="Answers of earlier days are gone."
        ),
        sa.Column("counts", postgresql.JSONB(), nullable=False, comment="What was deleted."),
        _recorded_at(),
        sa.PrimaryKeyConstraint("retention_id", name="retention_runs_pkey"),
        schema="calibration",
        comment="Each deletion of answers older than the retention period.",
    )
    op.create_table(
        "suppressions",
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False, comment="16-byte keyed hash."),
        sa.Column(
            "is_erased",
            sa.Boolean(),
            nullable=False,
            comment="Answers are left out as well; else only the link to the person is.",
        ),
        _recorded_at(),
        sa.CheckConstraint(
            "octet_length(pseudonym) = 16", name=op.f("suppressions_pseudonym_check")
        ),
        sa.PrimaryKeyConstraint("pseudonym", name="suppressions_pkey"),
        schema="calibration",
        comment="Candidates who are never to be linked, or taken in, again.",
    )
    op.create_table(
        "privacy_acts",
        _number("act_id"),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False, comment="What was removed."),
        _recorded_at(),
        sa.CheckConstraint("act in ('forget', 'erase')", name=op.f("privacy_acts_act_check")),
        sa.PrimaryKeyConstraint("act_id", name="privacy_acts_pkey"),
        schema="calibration",
        comment="That somebody was forgotten or erased, and when; never who.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
