"""Tables of versions before they are published: written, audited, and gone once they are."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import (
    Float,
    FloatArray,
    Json,
    item_key,
    metadata,
    recorded_at,
)
from calibration_pipeline.store.tables.calibration import STATE_KEY, runs

snapshot_drafts = sa.Table(
    "snapshot_drafts",
    metadata,
    sa.Column("draft_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("partition", sa.Date, nullable=False, comment="The night's local day."),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column(
        "parent_version",
        sa.Integer,
        comment="What `current` pointed at; publication requires that it still does.",
    ),
    sa.Column("scaling_constant", Float, nullable=False, comment="D, as in D * a * (theta - b)."),
    sa.Column("window_start", sa.Date, nullable=False),
    sa.Column("window_end", sa.Date, nullable=False),
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), nullable=False),
    sa.Column("configuration", Json, nullable=False),
    sa.Column("package_versions", Json, nullable=False),
    sa.Column("data_digest", sa.Text, nullable=False, comment="SHA-256 over the window's days."),
    sa.Column("links", Json, nullable=False),
    sa.Column("population", Json, nullable=False, comment="Mean and sd by scale."),
    sa.Column("content_digest", sa.Text, nullable=False, comment="SHA-256 of canonical rows."),
    recorded_at(),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    comment="Versions before their audit, and those that failed it. No reader looks here.",
)

# No key over the items: the audit is to find what stands twice, in what was really written.
snapshot_draft_items = sa.Table(
    "snapshot_draft_items",
    metadata,
    sa.Column(
        "draft_id",
        sa.BigInteger,
        sa.ForeignKey(snapshot_drafts.c.draft_id, ondelete="CASCADE"),
        nullable=False,
    ),
    *item_key(),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("discrimination", Float, nullable=False),
    sa.Column("difficulty", Float, nullable=False),
    sa.Column("guessing", Float, nullable=False),
    sa.Column("discrimination_se", Float, nullable=False),
    sa.Column("difficulty_se", Float, nullable=False),
    sa.Column("guessing_se", Float, nullable=False),
    sa.Column("covariance", FloatArray, nullable=False),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("window_count", sa.BigInteger, nullable=False),
    sa.Column("total_count", sa.BigInteger, nullable=False),
    sa.Column("at_bound", sa.Text, nullable=False),
    comment="The items of drafts, as written: the audit looks for what is twice or missing.",
)
sa.Index("snapshot_draft_items_draft_id_idx", snapshot_draft_items.c.draft_id)

snapshot_draft_audits = sa.Table(
    "snapshot_draft_audits",
    metadata,
    sa.Column(
        "draft_id",
        sa.ForeignKey(snapshot_drafts.c.draft_id, ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    comment="What the audit found in drafts; a version takes its findings along.",
)
