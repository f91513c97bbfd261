"""Flags and linking constants of a state. Computing them again adds; the newest ones count."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

import sqlalchemy as sa
from psycopg.types.json import Jsonb

from calibration_pipeline.records import Flag, ScaleLink
from calibration_pipeline.store.copy import copy_rows
from calibration_pipeline.store.tables import flags as flags_table
from calibration_pipeline.store.tables import links as links_table
from calibration_pipeline.store.tables import state_evaluations
from calibration_pipeline.store.transactions import Transactions

EvaluationKind = Literal["flags", "links", "leaks", "cold start"]
FLAG_FIELDS = (
    "reason",
    "value",
    "reference",
    "threshold",
    "z",
    "is_credible",
    "explanation",
    "compared_with",
    "compared_on",
)
"""Of a `Flag` after its key, in order: the columns of the same names."""
_LINK_FIELDS = (
    "scale",
    "method",
    "slope",
    "intercept",
    "slope_se",
    "intercept_se",
    "slope_intercept_covariance",
    "anchors_used",
    "is_within_bounds",
)


def write_flags(
    database: Transactions, partition: date, attempt: int, run_id: str, flags: Sequence[Flag]
) -> None:
    """Store a state's flags; none is a result too, and replaces earlier ones for readers."""
    with database.begin() as connection:
        evaluation = open_evaluation(connection, "flags", partition, attempt, run_id)
        copy_rows(
            connection,
            flags_table,
            ("evaluation_id", "item_id", "content_version", *FLAG_FIELDS),
            ([evaluation, *f.key, *(getattr(f, name) for name in FLAG_FIELDS)] for f in flags),
        )


def read_flags(engine: sa.Engine, partition: date, attempt: int | None = None) -> tuple[Flag, ...]:
    """Read a night's flags, in order of item and reason.

    Parameters
    ----------
    attempt
        Which try at the night; the newest one with flags computed if None.
    """
    rows = read_evaluation(engine, "flags", flags_table, partition, attempt)
    flags = (
        Flag((row.item_id, row.content_version), *(getattr(row, name) for name in FLAG_FIELDS))
        for row in rows
    )
    return tuple(sorted(flags, key=lambda flag: (flag.key, flag.reason)))


def write_links(
    database: Transactions, partition: date, attempt: int, run_id: str, links: Sequence[ScaleLink]
) -> None:
    """Store a state's linking constants."""
    with database.begin() as connection:
        evaluation = open_evaluation(connection, "links", partition, attempt, run_id)
        copy_rows(
            connection,
            links_table,
            ("evaluation_id", *_LINK_FIELDS, "anchors_left_out"),
            (
                [
                    evaluation,
                    *(getattr(link, name) for name in _LINK_FIELDS),
                    Jsonb(link.anchors_left_out),
                ]
                for link in links
            ),
        )


def read_links(
    engine: sa.Engine, partition: date, attempt: int | None = None
) -> tuple[ScaleLink, ...]:
    """Read a night's linking constants, in order of scale; see `read_flags` for `attempt`."""
    rows = read_evaluation(engine, "links", links_table, partition, attempt)
    links = (
        ScaleLink(
            anchors_left_out=row.anchors_left_out,
            **{name: getattr(row, name) for name in _LINK_FIELDS},
        )
        for row in rows
    )
    return tuple(sorted(links, key=lambda link: link.scale))


def open_evaluation(
    connection: sa.Connection,
    kind: EvaluationKind,
    partition: date,
    attempt: int,
    run_id: str,
) -> int:
    """Begin a computation of a state's results, in the transaction that stores them."""
    evaluation: int = connection.execute(
        sa.insert(state_evaluations)
        .values(kind=kind, partition=partition, attempt=attempt, run_id=run_id)
        .returning(state_evaluations.c.evaluation_id)
    ).scalar_one()
    return evaluation


def read_evaluation(
    engine: sa.Engine,
    kind: EvaluationKind,
    table: sa.Table,
    partition: date,
    attempt: int | None,
) -> Sequence[sa.Row[Any]]:
    """Read the rows of a night's newest computation, of its newest try unless one is named."""
    evaluations = state_evaluations.c
    newest = sa.select(evaluations.evaluation_id).where(
        evaluations.kind == kind, evaluations.partition == partition
    )
    if attempt is not None:
        newest = newest.where(evaluations.attempt == attempt)
    newest = newest.order_by(evaluations.attempt.desc(), evaluations.evaluation_id.desc()).limit(1)
    with engine.connect() as connection:
        return connection.execute(
            sa.select(table).where(table.c.evaluation_id == newest.scalar_subquery())
        ).all()
