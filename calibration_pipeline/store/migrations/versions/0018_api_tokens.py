"""Tokens of the HTTP service."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from calibration_pipeline.store.migrations.refusal import refuse_downgrade

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _moment(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("token_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False, comment="To recognise it by."),
        sa.Column("digest", sa.Text(), nullable=False, comment="SHA-256 of the token."),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="Who holds it, or what for."),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column(
            "issued_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        _moment("expires_at", "Null: never."),
        _moment("revoked_at", "Null: it is accepted."),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        _moment("last_used_at", "To about a minute."),
        sa.CheckConstraint(
            "role in ('reader', 'operator', 'administrator')",
            name=op.f("api_tokens_role_check"),
        ),
        sa.PrimaryKeyConstraint("token_id", name="api_tokens_pkey"),
        sa.UniqueConstraint("prefix", name="api_tokens_prefix_key"),
        sa.UniqueConstraint("digest", name="api_tokens_digest_key"),
        schema="calibration",
        comment="Tokens of the HTTP service, hashed: whoever reads this table can't call with "
        "them.",
    )


def downgrade() -> None:
    refuse_downgrade(revision)
