"""A scale's population by group, and what was found in its answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column(
            "population_groups",
            postgresql.JSONB(),
            nullable=False,
            server_default="[]",
            comment="Groups of sessions, the largest first: name, mean, slope, sd, session_count.",
        ),
        sa.Column(
            "common_start",
            sa.Double(),
            nullable=True,
            comment="Theta that the engine starts new candidates from.",
        ),
        sa.Column(
            "screening",
            postgresql.JSONB(),
            nullable=False,
            server_default="{}",
            comment="What was found in the answers: counts by kind.",
        ),
    ):
        op.add_column("state_scales", column, schema="calibration")


def downgrade() -> None:
    refuse_downgrade(revision)
