"""Items compared between population groups."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "state_differences",
        sa.Column("partition", sa.Date(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("population_group", sa.Text(), nullable=False),
        sa.Column(
            "reference_group", sa.Text(), nullable=False, comment="The group it is compared with."
        ),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="By item, in the bank's order."
        ),
        sa.Column(
            "shift",
            sa.Double(),
            nullable=False,
            comment="How much harder the item is for the group, in units of theta.",
        ),
        sa.Column("shift_se", sa.Double(), nullable=False),
        sa.Column(
            "mh_delta",
            sa.Double(),
            nullable=False,
            comment="The same as a Mantel-Haenszel delta: negative where it is harder.",
        ),
        sa.Column("mh_delta_se", sa.Double(), nullable=False),
        sa.Column(
            "adjusted_p_value",
            sa.Double(),
            nullable=False,
            comment="Smallest false discovery rate at which the item differs.",
        ),
        sa.ForeignKeyConstraint(
            ["partition", "attempt"],
            ["calibration.calibration_states.partition", "calibration.calibration_states.attempt"],
            name="state_differences_partition_fkey",
        ),
        sa.PrimaryKeyConstraint(
            "partition",
            "attempt",
            "item_id",
            "content_version",
            "population_group",
            name="state_differences_pkey",
        ),
        schema="calibration",
        comment="A state's items that were compared between population groups of equal ability.",
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.state_differences FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )


def downgrade() -> None:
    refuse_downgrade(revision)
