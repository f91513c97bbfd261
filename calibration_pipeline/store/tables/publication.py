"""Tables of what readers see: snapshots, their items and audits, aliases, the fence."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import (
    Float,
    FloatArray,
    Json,
    Moment,
    item_key,
    metadata,
    recorded_at,
)
from calibration_pipeline.store.tables.calibration import STATE_KEY, runs

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("partition", sa.Date, nullable=False, comment="The night's local day."),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("parent_version", sa.Integer, sa.ForeignKey("calibration.snapshots.version")),
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
    recorded_at("published_at"),
    sa.ForeignKeyConstraint(["partition", "attempt"], STATE_KEY),
    sa.CheckConstraint("version >= 1", name="version"),
    sa.CheckConstraint("scaling_constant > 0", name="scaling_constant"),
    comment="Published versions with their manifests.",
)

snapshot_items = sa.Table(
    "snapshot_items",
    metadata,
    sa.Column(
        "version",
        sa.Integer,
        sa.ForeignKey(snapshots.c.version),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("discrimination", Float, nullable=False, comment="Per unit of theta, given D."),
    sa.Column("difficulty", Float, nullable=False, comment="In units of theta."),
    sa.Column("guessing", Float, nullable=False, comment="A probability."),
    sa.Column("discrimination_se", Float, nullable=False, comment="Standard error."),
    sa.Column("difficulty_se", Float, nullable=False, comment="Standard error."),
    sa.Column("guessing_se", Float, nullable=False, comment="Standard error."),
    sa.Column("covariance", FloatArray, nullable=False, comment="(3 x 3, by rows) of phi."),
    sa.Column("track", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False, comment="Where the values come from."),
    sa.Column("window_count", sa.BigInteger, nullable=False, comment="Answers in the window."),
    sa.Column("total_count", sa.BigInteger, nullable=False, comment="Answers in all."),
    sa.Column("at_bound", sa.Text, nullable=False, comment="Which parameters stand at a bound."),
    sa.CheckConstraint("track in ('provisional', 'trusted')", name="track"),
    sa.CheckConstraint("source in ('anchor', 'fitted', 'carried', 'author')", name="source"),
    comment="Every item of the pool, in every version.",
)

snapshot_audits = sa.Table(
    "snapshot_audits",
    metadata,
    sa.Column("version", sa.ForeignKey(snapshots.c.version), primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    comment="What the audit before publication found.",
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("version", sa.ForeignKey(snapshots.c.version), nullable=False),
    comment="Names that point at a version; `current` is what the test engine reads.",
)

alias_moves = sa.Table(
    "alias_moves",
    metadata,
    sa.Column("move_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("from_version", sa.ForeignKey(snapshots.c.version)),
    sa.Column("to_version", sa.ForeignKey(snapshots.c.version), nullable=False),
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), comment="Null when a person moved it."),
    sa.Column("moved_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    recorded_at("moved_at"),
    comment="Every move of an alias, forward or back.",
)

publication_switches = sa.Table(
    "publication_switches",
    metadata,
    sa.Column("switch_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("is_frozen", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    recorded_at(),
    comment="Freezing and thawing of `current`; the newest row counts.",
)

publication_fence = sa.Table(
    "publication_fence",
    metadata,
    sa.Column("fence", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("token", sa.BigInteger, nullable=False, comment="Grows with each holder."),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("acquired_at", Moment, nullable=False),
    sa.CheckConstraint("fence", name="single_row"),
    comment="One row: the newest holder of the calibration lock. Only its token may publish.",
)
