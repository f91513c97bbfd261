"""The metadata that every table belongs to, and the column types that they share."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

SCHEMA = "calibration"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
    },
)

Float = sa.Double
FloatArray = postgresql.ARRAY(sa.Double, dimensions=1)
Moment = sa.DateTime(timezone=True)
Json = postgresql.JSONB


def recorded_at(name: str = "recorded_at") -> sa.Column[datetime]:
    """Build the column that says when the database took the row in."""
    return sa.Column(name, Moment, nullable=False, server_default=sa.func.now())


def item_key(*, primary_key: bool = False) -> tuple[sa.Column[str], sa.Column[int]]:
    """Build the two columns that name an item."""
    return (
        sa.Column("item_id", sa.Text, primary_key=primary_key, nullable=False),
        sa.Column(
            "content_version",
            sa.Integer,
            primary_key=primary_key,
            nullable=False,
            autoincrement=False,
        ),
    )
