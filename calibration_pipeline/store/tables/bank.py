"""Tables of the pool: scales, items, decisions about items, anchor sets."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import Float, item_key, metadata, recorded_at

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
    sa.ForeignKeyConstraint(
        ["item_id", "content_version"], [items.c.item_id, items.c.content_version]
    ),
    comment="The anchors of a set and their reference values.",
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
    comment="Which anchor set is in force from which night; the latest one counts.",
)
