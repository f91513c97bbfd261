"""What became of a presented item: scored, omitted, not reached or invalid."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "response_log",
        sa.Column(
            "outcome",
            sa.Text(),
            nullable=True,
            comment="scored, omitted, not_reached or invalid; null is scored. "
            "Unchecked, like score.",
        ),
        schema="calibration",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
