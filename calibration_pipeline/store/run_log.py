"""The run log as it is read: who ran which night with what, and how it ended."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.tables import run_outcomes, runs

UNDER_WAY = "under way"
"""Outcome of a run that has not been closed; the next run closes those that crashed."""


@dataclass(frozen=True)
class LoggedRun:
    """One try at a night.

    Attributes
    ----------
    outcome
        As stored, or `UNDER_WAY`.
    finished_at
        None while it is under way, and where it crashed and no run has come since.
    counts, timings
        Numbers by name; seconds by step.
    orchestrator_run_id
        Dagster's run, which may hold many nights.
    """

    run_id: str
    night: date
    triggered_by: str
    outcome: str
    reason: str
    started_at: datetime
    finished_at: datetime | None
    counts: dict[str, int]
    timings: dict[str, float]
    package_versions: dict[str, str]
    configuration: dict[str, Any]
    orchestrator_run_id: str | None


def list_runs(
    engine: sa.Engine, *, night: date | None = None, limit: int | None = None
) -> tuple[LoggedRun, ...]:
    """Read runs, the newest first; those of one night if it is given."""
    query = _QUERY.order_by(runs.c.started_at.desc(), runs.c.partition.desc()).limit(limit)
    if night is not None:
        query = query.where(runs.c.partition == night)
    with engine.connect() as connection:
        return tuple(LoggedRun(*row) for row in connection.execute(query))


def read_run(engine: sa.Engine, run_id: str) -> LoggedRun:
    """Read one run, by its id or the first digits of it.

    Raises
    ------
    BadInputError
        No run's id begins so, or several do.
    """
    text = sa.cast(runs.c.run_id, sa.Text)
    query = _QUERY.where(text.startswith(run_id.strip().lower(), autoescape=True)).limit(2)
    with engine.connect() as connection:
        found = connection.execute(query).all()
    if len(found) != 1:
        what = "several runs have an id" if found else "there is no run with an id"
        raise BadInputError(
            f"{what} that begins with {run_id!r}: `calibrate runs list` shows the ids"
        )
    return LoggedRun(*found[0])


_QUERY = sa.select(
    runs.c.run_id,
    runs.c.partition,
    runs.c.triggered_by,
    sa.func.coalesce(run_outcomes.c.outcome, UNDER_WAY),
    sa.func.coalesce(run_outcomes.c.reason, ""),
    runs.c.started_at,
    run_outcomes.c.finished_at,
    sa.func.coalesce(run_outcomes.c.counts, sa.literal({}, runs.c.configuration.type)),
    sa.func.coalesce(run_outcomes.c.timings, sa.literal({}, runs.c.configuration.type)),
    runs.c.package_versions,
    runs.c.configuration,
    runs.c.orchestrator_run_id,
).outerjoin_from(runs, run_outcomes)
