"""Standard errors of the linking constants."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Constants until now were taken as known, and what was published with them says so."""
    for name, comment in (
        ("slope_se", "0: taken as known."),
        ("intercept_se", None),
        ("slope_intercept_covariance", None),
    ):
        op.add_column(
            "links",
            sa.Column(name, sa.Double(), nullable=False, server_default="0", comment=comment),
            schema="calibration",
        )


def downgrade() -> None:
    refuse_downgrade(revision)
