"""The pool: scales, items, decisions, anchor sets."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scales",
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "model in ('Rasch', '1PL', '2PL', '3PL')", name=op.f("scales_model_check")
        ),
        sa.PrimaryKeyConstraint("scale", name="scales_pkey"),
        schema="calibration",
        comment="A sub-skill or an exam; scales are calibrated independently of each other.",
    )
    op.create_table(
        "items",
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column(
            "discrimination",
            sa.Double(),
            nullable=True,
            comment="As imported, per unit of theta; null if unknown.",
        ),
        sa.Column(
            "difficulty",
            sa.Double(),
            nullable=True,
            comment="As imported, in units of theta; null if unknown.",
        ),
        sa.Column(
            "guessing",
            sa.Double(),
            nullable=True,
            comment="As imported, a probability; null if unknown.",
        ),
        sa.Column(
            "author_difficulty",
            sa.Double(),
            nullable=True,
            comment="What the author expected, in units of theta.",
        ),
        sa.Column(
            "content_family",
            sa.Text(),
            nullable=True,
            comment="Items made from one template share a family.",
        ),
        sa.Column(
            "option_count",
            sa.Integer(),
            nullable=True,
            comment="Number of answer options; null if unknown.",
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("content_version >= 1", name=op.f("items_content_version_check")),
        sa.CheckConstraint("discrimination > 0", name=op.f("items_discrimination_check")),
        sa.CheckConstraint("guessing >= 0 and guessing < 1", name=op.f("items_guessing_check")),
        sa.CheckConstraint("option_count >= 1", name=op.f("items_option_count_check")),
        sa.ForeignKeyConstraint(["scale"], ["calibration.scales.scale"], name="items_scale_fkey"),
        sa.PrimaryKeyConstraint("item_id", "content_version", name="items_pkey"),
        schema="calibration",
        comment="The pool. An edited item is a new row with a higher content_version.",
    )
    op.create_table(
        "item_decisions",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False, comment="First night it holds for."),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "decision in ('retire', 'reopen')", name=op.f("item_decisions_decision_check")
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "content_version"],
            ["calibration.items.item_id", "calibration.items.content_version"],
            name="item_decisions_item_id_fkey",
        ),
        sa.PrimaryKeyConstraint("decision_id", name="item_decisions_pkey"),
        schema="calibration",
        comment="Reviewers' decisions, dated: the latest one in force on a night counts.",
    )
    op.create_table(
        "anchor_sets",
        sa.Column("anchor_set_id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column(
            "origin", sa.Text(), nullable=False, comment="Imported with a bank, or selected."
        ),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of keys and values."),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "origin in ('imported', 'selected')", name=op.f("anchor_sets_origin_check")
        ),
        sa.PrimaryKeyConstraint("anchor_set_id", name="anchor_sets_pkey"),
        schema="calibration",
        comment="A version of the items whose parameters are held fixed.",
    )
    op.create_table(
        "anchor_set_items",
        sa.Column("anchor_set_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "discrimination", sa.Double(), nullable=False, comment="Reference, per unit of theta."
        ),
        sa.Column(
            "difficulty", sa.Double(), nullable=False, comment="Reference, in units of theta."
        ),
        sa.Column("guessing", sa.Double(), nullable=False, comment="Reference, a probability."),
        sa.ForeignKeyConstraint(
            ["anchor_set_id"],
            ["calibration.anchor_sets.anchor_set_id"],
            name="anchor_set_items_anchor_set_id_fkey",
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "content_version"],
            ["calibration.items.item_id", "calibration.items.content_version"],
            name="anchor_set_items_item_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "anchor_set_id", "item_id", "content_version", name="anchor_set_items_pkey"
        ),
        schema="calibration",
        comment="The anchors of a set and their reference values.",
    )
    op.create_table(
        "anchor_activations",
        sa.Column("activation_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("anchor_set_id", sa.Integer(), nullable=False),
        sa.Column(
            "effective_from",
            sa.Date(),
            nullable=False,
            comment="First night it holds for; -infinity for imported anchors.",
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["anchor_set_id"],
            ["calibration.anchor_sets.anchor_set_id"],
            name="anchor_activations_anchor_set_id_fkey",
        ),
        sa.PrimaryKeyConstraint("activation_id", name="anchor_activations_pkey"),
        schema="calibration",
        comment="Which anchor set is in force from which night; the latest one counts.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
