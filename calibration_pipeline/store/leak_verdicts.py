"""Verdicts of the leak watch on a state's items. Computing them again adds; the newest count."""

from dataclasses import fields
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import ItemKey, LeakVerdicts
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.results import open_evaluation, read_evaluation
from calibration_pipeline.store.tables import leak_verdicts
from calibration_pipeline.store.transactions import Transactions

_FIELDS = tuple(field.name for field in fields(LeakVerdicts))
_KINDS = {
    "alarm_item": "int64",
    "answers_since_onset": "int64",
    "is_suspected": "bool",
    "is_watched": "bool",
    "uses_times": "bool",
    "alarm_day": "datetime64[D]",
    "onset_day": "datetime64[D]",
}


def write_leak_verdicts(
    database: Transactions,
    partition: date,
    attempt: int,
    run_id: str,
    keys: tuple[ItemKey, ...],
    verdicts: LeakVerdicts,
) -> None:
    """Store a state's verdicts; `keys` are its items, in the verdicts' order."""
    columns = [getattr(verdicts, name).tolist() for name in _FIELDS]
    with database.begin() as connection:
        evaluation = open_evaluation(connection, "leaks", partition, attempt, run_id)
        copy_rows(
            connection,
            leak_verdicts,
            ("evaluation_id", "position", "item_id", "content_version", *_FIELDS),
            (
                [evaluation, position, *key, *values]
                for position, (key, *values) in enumerate(zip(keys, *columns, strict=True))
            ),
        )


def read_leak_verdicts(
    engine: sa.Engine, partition: date, attempt: int | None = None
) -> tuple[tuple[ItemKey, ...], LeakVerdicts] | None:
    """Read a night's items and the verdicts on them; None if there are none.

    Parameters
    ----------
    attempt
        Which try at the night; the newest one with verdicts if None.
    """
    rows = read_evaluation(engine, "leaks", leak_verdicts, partition, attempt)
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: row.position)
    arrays: dict[str, Any] = {
        name: np.array([getattr(row, name) for row in ordered], _KINDS.get(name, "float64"))
        for name in _FIELDS
    }
    return tuple((row.item_id, row.content_version) for row in ordered), LeakVerdicts(**arrays)
