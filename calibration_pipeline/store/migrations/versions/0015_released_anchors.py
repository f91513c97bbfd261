"""Which anchors a night's fit did not hold, and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """States until now held all of their anchors."""
    op.add_column(
        "state_scales",
        sa.Column(
            "released_anchors",
            postgresql.JSONB(),
            nullable=False,
            server_default="[]",
            comment="Anchors that the fit did not hold: pairs of item and reason.",
        ),
        schema="calibration",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
