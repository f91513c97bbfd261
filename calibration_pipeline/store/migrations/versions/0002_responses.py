"""Answers: log, imports, archive, pseudonyms, abilities."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "response_log",
        sa.Column("response_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("candidate_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column(
            "score",
            sa.SmallInteger(),
            nullable=True,
            comment="1 right, 0 wrong. Unchecked: extraction quarantines bad rows and says so.",
        ),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "session_started_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Start of the session; its local day is the day that the answer belongs to.",
        ),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=True,
            comment="Place of the answer in its session, from 1.",
        ),
        sa.Column("time_on_task_ms", sa.Integer(), nullable=True, comment="Milliseconds."),
        sa.Column("option_selected", sa.Text(), nullable=True),
        sa.Column(
            "theta_at_presentation",
            sa.Double(),
            nullable=True,
            comment="The engine's ability estimate, theta.",
        ),
        sa.Column("population_group", sa.Text(), nullable=True),
        sa.Column("engine_version", sa.Text(), nullable=True),
        sa.Column(
            "ingested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("response_id", name="response_log_pkey"),
        schema="calibration",
        comment="Answers as the test engine logged them. Kept for the retention period only.",
    )
    op.create_index(
        "response_log_session_started_at_idx",
        "response_log",
        ["session_started_at"],
        unique=False,
        schema="calibration",
    )
    op.create_table(
        "import_batches",
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("response_count", sa.BigInteger(), nullable=False),
        sa.Column("session_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("file_sha256", name="import_batches_pkey"),
        schema="calibration",
        comment="Files imported into the response log, so that none is imported twice.",
    )
    op.create_table(
        "candidate_map",
        sa.Column("pseudonym", sa.LargeBinary(), nullable=False, comment="16-byte keyed hash."),
        sa.Column("candidate_id", sa.Text(), nullable=False, comment="The source's id."),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "octet_length(pseudonym) = 16", name=op.f("candidate_map_pseudonym_check")
        ),
        sa.PrimaryKeyConstraint("pseudonym", name="candidate_map_pkey"),
        schema="calibration",
        comment="The only link from pseudonyms to people. Deleting a row forgets the person.",
    )
    op.create_index(
        "candidate_map_candidate_id_idx",
        "candidate_map",
        ["candidate_id"],
        unique=False,
        schema="calibration",
    )
    op.create_table(
        "archive_revisions",
        sa.Column("day", sa.Date(), nullable=False, comment="Local day of session start."),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="SHA-256 of the content, without ids."
        ),
        sa.Column(
            "file_name", sa.Text(), nullable=False, comment="Relative to the archive's root."
        ),
        sa.Column(
            "quarantine_file_name",
            sa.Text(),
            nullable=True,
            comment="Null if nothing was quarantined.",
        ),
        sa.Column("response_count", sa.BigInteger(), nullable=False),
        sa.Column("session_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "quarantine_counts",
            postgresql.JSONB(),
            nullable=False,
            comment="Rows left out, by reason.",
        ),
        sa.Column("timezone", sa.Text(), nullable=False, comment="Whose local day this is."),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("day", "revision", name="archive_revisions_pkey"),
        schema="calibration",
        comment="Extractions of days. A file without a row here is an orphan and never read.",
    )
    op.create_table(
        "source_observations",
        sa.Column("observation_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False, comment="What this source state gave."),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("latest_ingested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checksum", sa.BigInteger(), nullable=False, comment="XOR of the rows' hashes."),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["day", "revision"],
            ["calibration.archive_revisions.day", "calibration.archive_revisions.revision"],
            name="source_observations_day_fkey",
        ),
        sa.PrimaryKeyConstraint("observation_id", name="source_observations_pkey"),
        schema="calibration",
        comment="What the source of a day looked like when it was last extracted.",
    )
    op.create_index(
        "source_observations_day_idx",
        "source_observations",
        ["day"],
        unique=False,
        schema="calibration",
    )
    op.create_table(
        "candidate_abilities",
        sa.Column("partition", sa.Date(), nullable=False, comment="The night that estimated it."),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("session_pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column("candidate_pseudonym", sa.LargeBinary(), nullable=False),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=True,
            comment="Snapshot whose parameters were used, if any.",
        ),
        sa.Column(
            "theta", sa.Double(), nullable=False, comment="Posterior mean, in units of theta."
        ),
        sa.Column(
            "theta_se", sa.Double(), nullable=False, comment="Posterior SD, in units of theta."
        ),
        sa.Column("response_count", sa.Integer(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint(
            "partition", "scale", "session_pseudonym", name="candidate_abilities_pkey"
        ),
        schema="calibration",
        comment="Abilities by session. Personal data: replaced and deleted, never append-only.",
    )
    op.create_index(
        "candidate_abilities_candidate_pseudonym_idx",
        "candidate_abilities",
        ["candidate_pseudonym"],
        unique=False,
        schema="calibration",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
