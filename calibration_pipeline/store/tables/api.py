"""Table of the HTTP service: who may call it."""

import sqlalchemy as sa

from calibration_pipeline.store.tables.base import Moment, metadata, recorded_at

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("token_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("prefix", sa.Text, nullable=False, unique=True, comment="To recognise it by."),
    sa.Column("digest", sa.Text, nullable=False, unique=True, comment="SHA-256 of the token."),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, comment="Who holds it, or what for."),
    sa.Column("issued_by", sa.Text, nullable=False),
    recorded_at("issued_at"),
    sa.Column("expires_at", Moment, comment="Null: never."),
    sa.Column("revoked_at", Moment, comment="Null: it is accepted."),
    sa.Column("revoked_by", sa.Text),
    sa.Column("last_used_at", Moment, comment="To about a minute."),
    sa.CheckConstraint("role in ('reader', 'operator', 'administrator')", name="role"),
    comment="Tokens of the HTTP service, hashed: whoever reads this table can't call with them.",
)
