"""The run log: a row when a night starts, and another one, never changed, when it ends."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from calibration_pipeline.store.tables import run_outcomes, runs
from calibration_pipeline.store.tables.calibration import OUTCOMES
from calibration_pipeline.store.transactions import Transactions

ABANDONED = "the run ended before the night did"
"""Why a run without an end of its own is logged as failed."""
PARTIAL = "single steps were run; how the night ended is said by its other runs"
TELL_NOTHING = ("failed", "partial")
"""Outcomes after which a night is still to be done, unless another run of it has ended."""


def open_run(
    database: Transactions,
    *,
    partition: date,
    triggered_by: str,
    configuration: Mapping[str, Any],
    package_versions: Mapping[str, str],
    orchestrator_run_id: str | None = None,
) -> str:
    """Log that a night starts.

    Parameters
    ----------
    partition
        The night's local day.
    triggered_by
        Who or what started it: a schedule, a person, a command.
    orchestrator_run_id
        Dagster's run, which may hold many nights.

    Returns
    -------
    str
        The run's id (a UUID).
    """
    run_id = str(uuid4())
    with database.begin() as connection:
        connection.execute(
            sa.insert(runs).values(
                run_id=run_id,
                partition=partition,
                triggered_by=triggered_by,
                orchestrator_run_id=orchestrator_run_id,
                configuration=dict(configuration),
                package_versions=dict(package_versions),
            )
        )
    return run_id


def close_run(
    database: Transactions,
    run_id: str,
    outcome: str,
    *,
    counts: Mapping[str, int],
    timings: Mapping[str, float],
    reason: str = "",
) -> None:
    """Log how a night ended; a run ends once.

    Parameters
    ----------
    outcome
        'completed', 'completed_empty', 'rejected', 'audit_failed', 'failed' or 'partial'.
    timings
        Seconds by step.
    """
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome must be one of {OUTCOMES}, got {outcome!r}")
    with database.begin() as connection:
        connection.execute(
            sa.insert(run_outcomes).values(
                run_id=run_id,
                outcome=outcome,
                reason=reason,
                counts=dict(counts),
                timings=dict(timings),
            )
        )


def close_abandoned_runs(
    database: Transactions, reason: str, run_ids: Collection[str] | None = None
) -> None:
    """Log runs without an end as failed.

    Whoever holds the calibration lock may do so for all of them: their processes are dead, or have
    lost the lock and can't write any more.

    Parameters
    ----------
    reason
        What is known of their end.
    run_ids
        Only these runs; all if None.
    """
    nothing = sa.literal({}, postgresql.JSONB)
    is_open: sa.ColumnElement[bool] = run_outcomes.c.run_id.is_(None)
    if run_ids is not None:
        is_open &= runs.c.run_id.in_(run_ids)
    abandoned = (
        sa.select(runs.c.run_id, sa.literal("failed"), sa.literal(reason), nothing, nothing)
        .outerjoin_from(runs, run_outcomes)
        .where(is_open)
    )
    columns = ["run_id", "outcome", "reason", "counts", "timings"]
    with database.begin() as connection:
        connection.execute(sa.insert(run_outcomes).from_select(columns, abandoned))
