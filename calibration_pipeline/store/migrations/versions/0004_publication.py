"""Publication: snapshots, audits, aliases, the fence."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshots",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Date(), nullable=False, comment="The night's local day."),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("parent_version", sa.Integer(), nullable=True),
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
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("scaling_constant > 0", name=op.f("snapshots_scaling_constant_check")),
        sa.CheckConstraint("version >= 1", name=op.f("snapshots_version_check")),
        sa.ForeignKeyConstraint(
            ["parent_version"],
            ["calibration.snapshots.version"],
            name="snapshots_parent_version_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="snapshots_partition_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="snapshots_run_id_fkey"
        ),
        sa.PrimaryKeyConstraint("version", name="snapshots_pkey"),
        schema="calibration",
        comment="Published versions with their manifests.",
    )
    op.create_table(
        "snapshot_items",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column(
            "discrimination", sa.Double(), nullable=False, comment="Per unit of theta, given D."
        ),
        sa.Column("difficulty", sa.Double(), nullable=False, comment="In units of theta."),
        sa.Column("guessing", sa.Double(), nullable=False, comment="A probability."),
        sa.Column("discrimination_se", sa.Double(), nullable=False, comment="Standard error."),
        sa.Column("difficulty_se", sa.Double(), nullable=False, comment="Standard error."),
        sa.Column("guessing_se", sa.Double(), nullable=False, comment="Standard error."),
        sa.Column(
            "covariance",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="(3 x 3, by rows) of phi.",
        ),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False, comment="Where the values come from."),
        sa.Column(
            "window_count", sa.BigInteger(), nullable=False, comment="Answers in the window."
        ),
        sa.Column("total_count", sa.BigInteger(), nullable=False, comment="Answers in all."),
        sa.Column(
            "at_bound", sa.Text(), nullable=False, comment="Which parameters stand at a bound."
        ),
        sa.CheckConstraint(
            "source in ('anchor', 'fitted', 'carried', 'author')",
            name=op.f("snapshot_items_source_check"),
        ),
        sa.CheckConstraint(
            "track in ('provisional', 'trusted')", name=op.f("snapshot_items_track_check")
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["calibration.snapshots.version"], name="snapshot_items_version_fkey"
        ),
        sa.PrimaryKeyConstraint(
            "version", "item_id", "content_version", name="snapshot_items_pkey"
        ),
        schema="calibration",
        comment="Every item of the pool, in every version.",
    )
    op.create_table(
        "snapshot_audits",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["calibration.snapshots.version"], name="snapshot_audits_version_fkey"
        ),
        sa.PrimaryKeyConstraint("version", "rule", name="snapshot_audits_pkey"),
        schema="calibration",
        comment="What the audit before publication found.",
    )
    op.create_table(
        "aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version"], ["calibration.snapshots.version"], name="aliases_version_fkey"
        ),
        sa.PrimaryKeyConstraint("alias", name="aliases_pkey"),
        schema="calibration",
        comment="Names that point at a version; `current` is what the test engine reads.",
    )
    op.create_table(
        "alias_moves",
        sa.Column("move_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=True),
        sa.Column("to_version", sa.Integer(), nullable=False),
        sa.Column(
            "run_id", sa.UUID(as_uuid=False), nullable=True, comment="Null when a person moved it."
        ),
        sa.Column("moved_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["from_version"],
            ["calibration.snapshots.version"],
            name="alias_moves_from_version_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["run_id"], ["calibration.runs.run_id"], name="alias_moves_run_id_fkey"
        ),
        sa.ForeignKeyConstraint(
            ["to_version"], ["calibration.snapshots.version"], name="alias_moves_to_version_fkey"
        ),
        sa.PrimaryKeyConstraint("move_id", name="alias_moves_pkey"),
        schema="calibration",
        comment="Every move of an alias, forward or back.",
    )
    op.create_table(
        "publication_fence",
        sa.Column("fence", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False, comment="Grows with each holder."),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("fence", name=op.f("publication_fence_single_row_check")),
        sa.PrimaryKeyConstraint("fence", name="publication_fence_pkey"),
        schema="calibration",
        comment="One row: the newest holder of the calibration lock. Only its token may publish.",
    )
    op.execute(
        "INSERT INTO calibration.publication_fence (token, holder, acquired_at) "
        "VALUES (0, 'nobody yet', now())"
    )


def downgrade() -> None:
    refuse_downgrade(revision)
