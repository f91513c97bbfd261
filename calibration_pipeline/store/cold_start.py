"""Where new items should be shown. Computing it again adds; the newest computation counts.

Light to import: test engines may read it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.records import ColdStartItem
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.results import open_evaluation, read_evaluation
from calibration_pipeline.store.tables import cold_start_items, state_evaluations
from calibration_pipeline.store.transactions import Transactions

_FIELDS = (
    "scale",
    "total_count",
    "difficulty",
    "difficulty_se",
    "answers_needed",
    "answers_cautious",
    "answers_unaimed",
)
_LISTS = ("abilities", "shares", "path_answers", "path_se")


def write_cold_start(
    database: Transactions,
    partition: date,
    attempt: int,
    run_id: str,
    items: Sequence[ColdStartItem],
) -> None:
    """Store a state's cold-start list; an empty one is a result too."""
    with database.begin() as connection:
        evaluation = open_evaluation(connection, "cold start", partition, attempt, run_id)
        copy_rows(
            connection,
            cold_start_items,
            ("evaluation_id", "item_id", "content_version", *_FIELDS, *_LISTS),
            (
                [
                    evaluation,
                    *item.key,
                    *(getattr(item, name) for name in _FIELDS),
                    *(list(getattr(item, name)) for name in _LISTS),
                ]
                for item in items
            ),
        )


def read_cold_start(
    engine: sa.Engine, partition: date, attempt: int | None = None
) -> tuple[ColdStartItem, ...]:
    """Read a night's cold-start list, in order of item; see `read_flags` for `attempt`."""
    rows = read_evaluation(engine, "cold start", cold_start_items, partition, attempt)
    return tuple(sorted(map(_item, rows), key=lambda item: item.key))


def newest_cold_start_night(engine: sa.Engine) -> date | None:
    """Give the newest night with a cold-start list; None before the first."""
    nights = state_evaluations.c
    query = sa.select(sa.func.max(nights.partition)).where(nights.kind == "cold start")
    with engine.connect() as connection:
        found: date | None = connection.scalar(query)
    return found


def _item(row: sa.Row[Any]) -> ColdStartItem:
    values: dict[str, Any] = {name: getattr(row, name) for name in _FIELDS}
    values |= {name: tuple(getattr(row, name)) for name in _LISTS}
    return ColdStartItem(key=(row.item_id, row.content_version), **values)
