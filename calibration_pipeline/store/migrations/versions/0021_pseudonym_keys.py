"""By what the key of the pseudonyms is recognised."""

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pseudonym_keys",
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "fingerprint",
            sa.LargeBinary(),
            nullable=False,
            comment="16-byte hash, keyed with the key.",
        ),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "octet_length(fingerprint) = 16", name=op.f("pseudonym_keys_fingerprint_check")
        ),
        sa.PrimaryKeyConstraint("ordinal", name="pseudonym_keys_pkey"),
        schema="calibration",
        comment="By what the key of the pseudonyms is recognised; the last one is in use.",
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        "ON calibration.pseudonym_keys FOR EACH STATEMENT "
        "EXECUTE FUNCTION calibration.refuse_change()"
    )
    op.execute("ALTER TABLE calibration.pseudonym_keys ENABLE ALWAYS TRIGGER append_only")


def downgrade() -> None:
    refuse_downgrade(revision)
