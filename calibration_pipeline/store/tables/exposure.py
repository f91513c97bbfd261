"""Tables of exposure control: with what probability items may be given, and what engines report."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import (
    Float,
    FloatArray,
    Json,
    item_key,
    metadata,
    recorded_at,
)
from calibration_pipeline.store.tables.calibration import runs
from calibration_pipeline.store.tables.publication import snapshot_items, snapshots

exposure_controls = sa.Table(
    "exposure_controls",
    metadata,
    sa.Column("control_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey(snapshots.c.version), nullable=False),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, comment="From 1; the newest one counts."),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column(
        "maximum_rate",
        Float,
        nullable=False,
        comment="Share of a level's candidates that may see an item.",
    ),
    sa.Column("settings", Json, nullable=False, comment="The test, who takes it, the search."),
    sa.Column(
        "cuts", FloatArray, nullable=False, comment="Between levels of ability, in units of theta."
    ),
    sa.Column("worst_rate", Float, nullable=False, comment="Highest simulated rate of any item."),
    sa.Column("worst_rate_without", Float, nullable=False, comment="The same without control."),
    sa.Column("mean_length", Float, nullable=False, comment="Items of a simulated test."),
    sa.Column(
        "mean_sd", Float, nullable=False, comment="Of ability at a test's end: its mean error."
    ),
    sa.Column("mean_sd_without", Float, nullable=False, comment="The same without control."),
    sa.Column("candidates", sa.BigInteger, nullable=False, comment="Simulated, to judge by."),
    sa.Column("cycles", sa.Integer, nullable=False, comment="Of the search."),
    sa.Column(
        "is_reached", sa.Boolean, nullable=False, comment="The worst rate is within the tolerance."
    ),
    sa.Column("run_id", sa.ForeignKey(runs.c.run_id), comment="Null where a person found it."),
    sa.Column("found_by", sa.Text, nullable=False),
    recorded_at(),
    sa.UniqueConstraint("version", "scale", "attempt"),
    sa.CheckConstraint("method in ('eligibility', 'sympson-hetter')", name="method"),
    sa.CheckConstraint("maximum_rate > 0 and maximum_rate <= 1", name="maximum_rate"),
    comment="Searches for probabilities that keep items of a version from being seen too often.",
)

exposure_control_items = sa.Table(
    "exposure_control_items",
    metadata,
    sa.Column(
        "control_id",
        sa.BigInteger,
        sa.ForeignKey(exposure_controls.c.control_id),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column(
        "level", sa.Integer, primary_key=True, autoincrement=False, comment="Of ability, from 0."
    ),
    sa.Column(
        "probability", Float, nullable=False, comment="With which it is open to a candidate."
    ),
    sa.Column(
        "simulated_rate", Float, nullable=False, comment="Share of a level's candidates who saw it."
    ),
    sa.Column("rate_without", Float, nullable=False, comment="The same without control."),
    sa.CheckConstraint("probability >= 0 and probability <= 1", name="probability"),
    comment="With what probability each item may be given.",
)

item_proposals = sa.Table(
    "item_proposals",
    metadata,
    sa.Column(
        "report_id",
        sa.Text,
        primary_key=True,
        comment="The engine's own; a report that is sent twice counts once.",
    ),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column(
        "attempt",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        comment="Of the exposure control whose probabilities were drawn with.",
    ),
    *item_key(primary_key=True),
    sa.Column(
        "level",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        server_default="0",
        comment="Of ability, from 0, when it came up first.",
    ),
    sa.Column("day", sa.Date, nullable=False, comment="Local day of the sessions."),
    sa.Column(
        "proposed",
        sa.BigInteger,
        nullable=False,
        comment="Candidates it came up for, each counted the first time alone.",
    ),
    sa.Column(
        "given", sa.BigInteger, nullable=False, comment="Of them, those it was open to then."
    ),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["version", "item_id", "content_version"],
        [snapshot_items.c.version, snapshot_items.c.item_id, snapshot_items.c.content_version],
    ),
    sa.CheckConstraint("given >= 0 and given <= proposed", name="given"),
    comment="Counters of engines: how often an item came up, and how often it was open. They add.",
)
sa.Index("item_proposals_day_idx", item_proposals.c.day)
