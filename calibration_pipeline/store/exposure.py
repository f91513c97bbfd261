"""Exposure controls of published versions, and engines' counters. Rows are added, never changed.

Light to import: test engines read it.
"""

from collections.abc import Collection
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.records import ItemProposals, ScaleExposure
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.published import one_view
from calibration_pipeline.store.tables import (
    exposure_control_items,
    exposure_controls,
    item_proposals,
)
from calibration_pipeline.store.transactions import Transactions
from calibration_pipeline.store.turns import Turn, wait_for_turn

_PLAIN = (
    "scale",
    "method",
    "maximum_rate",
    "mean_length",
    "mean_sd",
    "mean_sd_without",
    "candidates",
    "cycles",
    "is_reached",
)
"""Fields of a `ScaleExposure` whose columns have their names and values."""
_ITEM_COLUMNS = (
    "control_id",
    "item_id",
    "content_version",
    "level",
    "probability",
    "simulated_rate",
    "rate_without",
)


def write_exposure(
    database: Transactions,
    version: int,
    control: ScaleExposure,
    *,
    found_by: str,
    run_id: str | None = None,
) -> int:
    """Store an exposure control for a version; give the number of the attempt.

    Parameters
    ----------
    found_by
        Who, or what started the run.
    run_id
        The run; None where a person's command found it.
    """
    own, table = (version, control.scale), exposure_controls.c
    newest = sa.select(sa.func.max(table.attempt)).where(
        table.version == version, table.scale == control.scale
    )
    with database.begin() as connection:
        wait_for_turn(connection, Turn.EXPOSURE_CONTROL)
        attempt = (connection.scalar(newest) or 0) + 1
        row = {name: getattr(control, name) for name in _PLAIN} | {
            "version": own[0],
            "attempt": attempt,
            "settings": dict(control.settings),
            "cuts": list(control.cuts),
            "worst_rate": control.worst_rate,
            "worst_rate_without": control.worst_rate_without,
            "run_id": run_id,
            "found_by": found_by,
        }
        insert = sa.insert(exposure_controls).values(row).returning(table.control_id)
        control_id = connection.execute(insert).scalar_one()
        rows = _item_rows(control_id, control)
        copy_rows(connection, exposure_control_items, _ITEM_COLUMNS, rows)
    return attempt


def _item_rows(control_id: int, control: ScaleExposure) -> list[list[Any]]:
    by_level = zip(control.probability, control.rates, control.rates_without, strict=True)
    return [
        [control_id, *key, level, *map(float, values)]
        for level, columns in enumerate(by_level)
        for key, *values in zip(control.keys, *columns, strict=True)
    ]


def read_exposure(engine: sa.Engine, version: int) -> tuple[ScaleExposure, ...]:
    """Read the newest exposure control of each scale of a version; none if it has none."""
    return _read(engine, sa.select(exposure_controls).distinct(exposure_controls.c.scale), version)


def read_attempts(
    engine: sa.Engine, version: int, attempts: Collection[int]
) -> tuple[ScaleExposure, ...]:
    """Read the exposure controls of a version that have these numbers, whatever the scale."""
    is_asked_for = exposure_controls.c.attempt.in_(sorted(attempts))
    return _read(engine, sa.select(exposure_controls).where(is_asked_for), version)


def _read(
    engine: sa.Engine, controls: sa.Select[tuple[Any, ...]], version: int
) -> tuple[ScaleExposure, ...]:
    table = exposure_controls.c
    query = controls.where(table.version == version).order_by(table.scale, table.attempt.desc())
    with one_view(engine) as connection:
        return tuple(_control(connection, row) for row in connection.execute(query).all())


def _control(connection: sa.Connection, row: sa.Row[Any]) -> ScaleExposure:
    table = exposure_control_items.c
    query = (
        sa.select(*(table[name] for name in _ITEM_COLUMNS[1:]))
        .where(table.control_id == row.control_id)
        .order_by(table.level, sa.collate(table.item_id, "C"), table.content_version)
    )
    found = connection.execute(query).all()
    n_levels = len(row.cuts) + 1
    n_items = len(found) // n_levels
    values = np.array([item[3:] for item in found]).reshape(n_levels, n_items, 3)
    return ScaleExposure(
        **{name: getattr(row, name) for name in _PLAIN},
        attempt=row.attempt,
        settings=row.settings,
        cuts=tuple(row.cuts),
        keys=tuple((item.item_id, item.content_version) for item in found[:n_items]),
        probability=values[:, :, 0],
        rates=values[:, :, 1],
        rates_without=values[:, :, 2],
    )


def read_proposals(engine: sa.Engine, first: date, last: date) -> tuple[ItemProposals, ...]:
    """Sum what engines reported for some days, both ends included, by control, item and level."""
    table = item_proposals.c
    key = (table.version, table.attempt, table.item_id, table.content_version, table.level)
    query = (
        sa.select(
            *key,
            sa.func.sum(table.proposed).label("all_proposed"),
            sa.func.sum(table.given).label("all_given"),
        )
        .where(table.day.between(first, last))
        .group_by(*key)
        .order_by(*key)
    )
    with engine.connect() as connection:
        return tuple(
            ItemProposals(
                row.version,
                row.attempt,
                (row.item_id, row.content_version),
                row.level,
                int(row.all_proposed),
                int(row.all_given),
            )
            for row in connection.execute(query)
        )
