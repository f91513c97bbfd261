"""Conditions on long lists of values."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def is_among(column: sa.Column[Any], values: Collection[Any]) -> sa.ColumnElement[bool]:
    """Whether a column has one of many values; none is nobody.

    They are sent as one array. `column.in_(values)` sends each as a parameter of its own, and
    PostgreSQL takes 65,535 of these at most.
    """
    array = sa.literal(list(values), postgresql.ARRAY(column.type))
    return column == sa.any_(array)
