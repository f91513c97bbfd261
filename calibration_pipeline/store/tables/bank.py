"""Tables of the pool: scales, items, decisions about items, anchor sets."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import (
    Float,
    FloatArray,
    Json,
    item_key,
    metadata,
    recorded_at,
)

scales = sa.Table(
    "scales",
    metadata,
    sa.Column("scale", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    recorded_at(),
    sa.CheckConstraint("model in ('Rasch', '1PL', '2PL', '3PL')", name="model"),
    comment="A sub-skill or an exam; scales are calibrated independently of each other.",
)

items = sa.Table(
    "items",
    metadata,
    *item_key(primary_key=True),
    sa.Column("scale", sa.Text, sa.ForeignKey(scales.c.scale), nullable=False),
    sa.Column("discrimination", Float, comment="As imported, per unit of theta; null if unknown."),
    sa.Column("difficulty", Float, comment="As imported, in units of theta; null if unknown."),
    sa.Column("guessing", Float, comment="As imported, a probability; null if unknown."),
    sa.Column("author_difficulty", Float, comment="What the author expected, in units of theta."),
    sa.Column("content_family", sa.Text, comment="Items made from one template share a family."),
    sa.Column("option_count", sa.Integer, comment="Number of answer options; null if unknown."),
    recorded_at(),
    sa.CheckConstraint("content_version >= 1", name="content_version"),
    sa.CheckConstraint("discrimination > 0", name="discrimination"),
    sa.CheckConstraint("guessing >= 0 and guessing < 1", name="guessing"),
    sa.CheckConstraint("option_count >= 1", name="option_count"),
    comment="The pool. An edited item is a new row with a higher content_version.",
)

item_decisions = sa.Table(
    "item_decisions",
    metadata,
    sa.Column("decision_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    *item_key(),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("effective_from", sa.Date, nullable=False, comment="First night it holds for."),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    recorded_at(),
    sa.ForeignKeyConstraint(
        ["item_id", "content_version"], [items.c.item_id, items.c.content_version]
    ),
    sa.CheckConstraint("decision in ('retire', 'reopen')", name="decision"),
    comment="Reviewers' decisions, dated: the latest one in force on a night counts.",
)

anchor_sets = sa.Table(
    "anchor_sets",
    metadata,
    sa.Column("anchor_set_id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("origin", sa.Text, nullable=False, comment="Imported with a bank, or selected."),
    sa.Column("digest", sa.Text, nullable=False, comment="SHA-256 of keys and values."),
    recorded_at(),
    sa.Column("night", sa.Date, comment="Of the state that it was selected from."),
    sa.Column("proposed_by", sa.Text, comment="Who selected it; null for an import."),
    sa.Column("settings", Json, comment="That it was selected by."),
    sa.Column("remarks", Json, comment="What the selection had to say, by scale."),
    sa.CheckConstraint("origin in ('imported', 'selected')", name="origin"),
    comment="A version of the items whose parameters are held fixed.",
)

anchor_set_items = sa.Table(
    "anchor_set_items",
    metadata,
    sa.Column(
        "anchor_set_id",
        sa.Integer,
        sa.ForeignKey(anchor_sets.c.anchor_set_id),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column("discrimination", Float, nullable=False, comment="Reference, per unit of theta."),
    sa.Column("difficulty", Float, nullable=False, comment="Reference, in units of theta."),
    sa.Column("guessing", Float, nullable=False, comment="Reference, a probability."),
    sa.Column(
        "covariance",
        FloatArray,
        comment="(3 x 3, by rows) of phi, of the reference; null: taken as known.",
    ),
    sa.ForeignKeyConstraint(
        ["item_id", "content_version"], [items.c.item_id, items.c.content_version]
    ),
    comment="The anchors of a set and their reference values.",
)

anchor_candidates = sa.Table(
    "anchor_candidates",
    metadata,
    sa.Column(
        "anchor_set_id",
        sa.Integer,
        sa.ForeignKey(anchor_sets.c.anchor_set_id),
        primary_key=True,
        autoincrement=False,
    ),
    *item_key(primary_key=True),
    sa.Column("scale", sa.Text, nullable=False),
    sa.Column("family", sa.Text, nullable=False, comment="Content family; empty for none."),
    sa.Column("is_present", sa.Boolean, nullable=False, comment="It was an anchor before."),
    sa.Column("is_chosen", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="Why it was chosen or not."),
    sa.Column("stratum", sa.Integer, comment="By difficulty, from 1; null outside the pool."),
    sa.Column("difficulty", Float, nullable=False),
    sa.Column("difficulty_se", Float, nullable=False),
    sa.Column("total_count", sa.BigInteger, nullable=False),
    sa.Column("movement", Float, nullable=False, comment="Of the difficulty; NaN if unknown."),
    sa.Column("movement_se", Float, nullable=False),
    sa.Column("movement_margin", Float, nullable=False, comment="That it was tested against."),
    comment="The whole pool as the selection of an anchor set saw it.",
)

anchor_activations = sa.Table(
    "anchor_activations",
    metadata,
    sa.Column("activation_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column(
        "anchor_set_id", sa.Integer, sa.ForeignKey(anchor_sets.c.anchor_set_id), nullable=False
    ),
    sa.Column(
        "effective_from",
        sa.Date,
        nullable=False,
        comment="First night it holds for; -infinity for imported anchors.",
    ),
    sa.Column("reason", sa.Text, nullable=False),
    recorded_at(),
    sa.Column("decided_by", sa.Text, comment="Null for an import."),
    comment="Which anchor set is in force from which night; the latest one counts.",
)
