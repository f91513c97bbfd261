"""What a flag is compared with, and reviewers' decisions on flags."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Flags until now don't say what they were compared with."""
    op.add_column(
        "flags",
        sa.Column(
            "compared_with",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="What reference is.",
        ),
        schema="calibration",
    )
    op.add_column(
        "flags",
        sa.Column(
            "compared_on",
            sa.Date(),
            nullable=True,
            comment="Night or day of the reference; null if undated.",
        ),
        schema="calibration",
    )
    _create_decisions()
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.flag_decisions FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )
    op.execute("ALTER TABLE calibration.flag_decisions ENABLE ALWAYS TRIGGER append_only")


def _create_decisions() -> None:
    op.create_table(
        "flag_decisions",
        sa.Column("decision_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("flag_reason", sa.Text(), nullable=False, comment="Of the flag it is about."),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column(
            "night",
            sa.Date(),
            nullable=False,
            comment="Newest night whose flags the reviewer had seen.",
        ),
        sa.Column(
            "evidence", sa.Double(), nullable=False, comment="|z| of the flag on that night."
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "decision in ('acknowledge', 'dismiss', 'reopen')",
            name=op.f("flag_decisions_decision_check"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id", "content_version"],
            ["calibration.items.item_id", "calibration.items.content_version"],
            name="flag_decisions_item_id_fkey",
        ),
        sa.PrimaryKeyConstraint("decision_id", name="flag_decisions_pkey"),
        schema="calibration",
        comment="Reviewers' decisions on flags; the newest one on an item and reason counts.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
