"""Anchor sets that are selected: from what, by whom, why each item; errors of the references."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

NEW_COLUMNS: tuple[tuple[str, str, sa.types.TypeEngine[Any], str], ...] = (
    ("anchor_sets", "night", sa.Date(), "Of the state that it was selected from."),
    ("anchor_sets", "proposed_by", sa.Text(), "Who selected it; null for an import."),
    ("anchor_sets", "settings", postgresql.JSONB(), "That it was selected by."),
    ("anchor_sets", "remarks", postgresql.JSONB(), "What the selection had to say, by scale."),
    (
        "anchor_set_items",
        "covariance",
        postgresql.ARRAY(sa.Double()),
        "(3 x 3, by rows) of phi, of the reference; null: taken as known.",
    ),
    ("anchor_activations", "decided_by", sa.Text(), "Null for an import."),
)


def upgrade() -> None:
    """All sets until now were imported: nobody selected them, and their references are known."""
    for table, name, kind, comment in NEW_COLUMNS:
        column = sa.Column(name, kind, nullable=True, comment=comment)
        op.add_column(table, column, schema="calibration")
    _create_candidates()
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.anchor_candidates FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )
    op.execute("ALTER TABLE calibration.anchor_candidates ENABLE ALWAYS TRIGGER append_only")


def _create_candidates() -> None:
    op.create_table(
        "anchor_candidates",
        sa.Column("anchor_set_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("scale", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False, comment="Content family; empty for none."),
        sa.Column("is_present", sa.Boolean(), nullable=False, comment="It was an anchor before."),
        sa.Column("is_chosen", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was chosen or not."),
        sa.Column(
            "stratum",
            sa.Integer(),
            nullable=True,
            comment="By difficulty, from 1; null outside the pool.",
        ),
        sa.Column("difficulty", sa.Double(), nullable=False),
        sa.Column("difficulty_se", sa.Double(), nullable=False),
        sa.Column("total_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "movement", sa.Double(), nullable=False, comment="Of the difficulty; NaN if unknown."
        ),
        sa.Column("movement_se", sa.Double(), nullable=False),
        sa.Column(
            "movement_margin", sa.Double(), nullable=False, comment="That it was tested against."
        ),
        sa.ForeignKeyConstraint(
            ["anchor_set_id"],
            ["calibration.anchor_sets.anchor_set_id"],
            name="anchor_candidates_anchor_set_id_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "anchor_set_id", "item_id", "content_version", name="anchor_candidates_pkey"
        ),
        schema="calibration",
        comment="The whole pool as the selection of an anchor set saw it.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
