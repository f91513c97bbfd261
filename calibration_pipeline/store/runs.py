"""The run log: a row when a night starts, and another one, never changed, when it ends."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from calibration_pipeline.store.tables import run_outcomes, runs
from calibration_pipeline.store.tables.calibration import OUTCOMES


def open_run(
    engine: sa.Engine,
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
    with engine.begin() as connection:
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
    engine: sa.Engine,
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
        'completed', 'completed_empty', 'rejected', 'audit_failed' or 'failed'.
    timings
        Seconds by step.
    """
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome must be one of {OUTCOMES}, got {outcome!r}")
    with engine.begin() as connection:
        connection.execute(
            sa.insert(run_outcomes).values(
                run_id=run_id,
                outcome=outcome,
                reason=reason,
                counts=dict(counts),
                timings=dict(timings),
            )
        )
