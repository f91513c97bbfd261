"""Priors that calibrated items taught: added version by version, never changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import ItemPriorFit, ScaleItemPriors
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.published import one_view
from calibration_pipeline.store.tables import (
    item_prior_draws,
    item_prior_fits,
    item_prior_items,
    item_prior_scales,
)
from calibration_pipeline.store.transactions import Transactions
from calibration_pipeline.store.turns import Turn, wait_for_turn

_PLAIN = ("effective_from", "is_accepted", "seed", "settings", "digest")
_ITEM_COLUMNS = (
    "fit_id", "item_id", "content_version", "scale", "position", "mean", "covariance", "teaches",
)  # fmt: skip


@dataclass(frozen=True)
class StoredItemPriors:
    """The header of a stored fit."""

    number: int
    night: date
    effective_from: date
    is_accepted: bool
    reasons: tuple[str, ...]
    fitted_by: str
    recorded_at: datetime


def store_item_priors(
    database: Transactions, fit: ItemPriorFit, *, fitted_by: str
) -> tuple[int, bool]:
    """Store a fit, accepted or rejected; give its number, and whether it is a new one.

    One that says the same as the newest stands for it.

    Parameters
    ----------
    fitted_by
        Who, or what started it.
    """
    table = item_prior_fits.c
    newest = sa.select(table.fit_id, table.digest).order_by(table.fit_id.desc()).limit(1)
    with database.begin() as connection:
        wait_for_turn(connection, Turn.ITEM_PRIORS)
        standing = connection.execute(newest).one_or_none()
        if standing is not None and standing.digest == fit.digest:
            return int(standing.fit_id), False
        partition, attempt = fit.state
        row = {name: getattr(fit, name) for name in _PLAIN} | {
            "partition": partition,
            "attempt": attempt,
            "reasons": list(fit.reasons),
            "settings": dict(fit.settings),
            "fitted_by": fitted_by,
        }
        insert = sa.insert(item_prior_fits).values(row).returning(table.fit_id)
        number = int(connection.execute(insert).scalar_one())
        for position, scale in enumerate(fit.scales):
            _store_scale(connection, number, position, scale)
    return number, True


def _store_scale(
    connection: sa.Connection, number: int, position: int, scale: ScaleItemPriors
) -> None:
    own = {"fit_id": number, "scale": scale.scale}
    row = own | {
        "position": position,
        "families": list(scale.families),
        "diagnostics": dict(scale.diagnostics),
    }
    connection.execute(sa.insert(item_prior_scales).values(row))
    draws = [
        [number, scale.scale, name, list(values.shape), np.ravel(values).tolist()]
        for name, values in scale.draws.items()
    ]
    columns = ("fit_id", "scale", "name", "shape", "draws")
    copy_rows(connection, item_prior_draws, columns, draws)
    copy_rows(connection, item_prior_items, _ITEM_COLUMNS, _item_rows(number, scale))


def _item_rows(number: int, scale: ScaleItemPriors) -> Iterator[list[Any]]:
    covariance = scale.covariance.reshape(-1, 9)
    for j, key in enumerate(scale.keys):
        mean, spread = scale.mean[j].tolist(), covariance[j].tolist()
        yield [number, *key, scale.scale, j, mean, spread, bool(scale.teaches[j])]


def list_item_priors(engine: sa.Engine) -> tuple[StoredItemPriors, ...]:
    """Read the headers of all fits, the newest first."""
    table = item_prior_fits.c
    with engine.connect() as connection:
        rows = connection.execute(sa.select(item_prior_fits).order_by(table.fit_id.desc())).all()
    return tuple(
        StoredItemPriors(
            number=row.fit_id,
            night=row.partition,
            effective_from=row.effective_from,
            is_accepted=row.is_accepted,
            reasons=tuple(row.reasons),
            fitted_by=row.fitted_by,
            recorded_at=row.recorded_at,
        )
        for row in rows
    )


def fit_in_use(engine: sa.Engine, night: date) -> int | None:
    """Give the number of the newest accepted fit that a night may use; None before the first."""
    table = item_prior_fits.c
    query = sa.select(sa.func.max(table.fit_id)).where(
        table.is_accepted, table.effective_from <= night
    )
    with engine.connect() as connection:
        number: int | None = connection.scalar(query)
    return number


def read_item_priors(engine: sa.Engine, number: int) -> ItemPriorFit:
    """Read a fit.

    Raises
    ------
    BadInputError
        There is no such fit.
    """
    with one_view(engine) as connection:
        own = item_prior_fits.c.fit_id == number
        header = connection.execute(sa.select(item_prior_fits).where(own)).one_or_none()
        if header is None:
            raise BadInputError(
                f"there are no priors of number {number}: `calibrate priors list` has them all"
            )
        scales = _rows(connection, item_prior_scales, number, item_prior_scales.c.position)
        draws = _rows(connection, item_prior_draws, number, item_prior_draws.c.name)
        items = _rows(connection, item_prior_items, number, item_prior_items.c.position)
    return ItemPriorFit(
        **{name: getattr(header, name) for name in _PLAIN},
        state=(header.partition, header.attempt),
        reasons=tuple(header.reasons),
        scales=tuple(
            _scale(
                row,
                [draw for draw in draws if draw.scale == row.scale],
                [item for item in items if item.scale == row.scale],
            )
            for row in scales
        ),
        number=number,
    )


def _rows(
    connection: sa.Connection, table: sa.Table, number: int, order: sa.Column[Any]
) -> list[Any]:
    query = sa.select(table).where(table.c.fit_id == number).order_by(order)
    return list(connection.execute(query))


def _scale(row: Any, draws: list[Any], items: list[Any]) -> ScaleItemPriors:
    return ScaleItemPriors(
        scale=row.scale,
        families=tuple(row.families),
        draws={draw.name: np.array(draw.draws).reshape(draw.shape) for draw in draws},
        keys=tuple((item.item_id, item.content_version) for item in items),
        mean=np.array([item.mean for item in items]).reshape(-1, 3),
        covariance=np.array([item.covariance for item in items]).reshape(-1, 3, 3),
        teaches=np.array([item.teaches for item in items], bool),
        diagnostics=row.diagnostics,
    )
