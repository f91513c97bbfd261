"""Which state or version a night starts from, compares with, or has published already."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from calibration_pipeline.records import ScaleNight
from calibration_pipeline.store.runs import TELL_NOTHING
from calibration_pipeline.store.tables import (
    archive_revisions,
    calibration_states,
    run_outcomes,
    runs,
    snapshots,
    state_scales,
)


def newest_accepted_key(engine: sa.Engine, before: date) -> tuple[date, int] | None:
    """Give (partition, attempt) of the newest earlier night with an accepted state."""
    return _accepted_key(engine, before, calibration_states.c.partition.desc())


def first_fitted_key(engine: sa.Engine, before: date, scale: str) -> tuple[date, int] | None:
    """Give (partition, attempt) of the first accepted night that fitted the scale."""
    has_fit = sa.exists().where(
        state_scales.c.partition == calibration_states.c.partition,
        state_scales.c.attempt == calibration_states.c.attempt,
        state_scales.c.scale == scale,
        state_scales.c.fitted,
    )
    return _accepted_key(engine, before, calibration_states.c.partition, has_fit)


def _accepted_key(
    engine: sa.Engine, before: date, order: sa.ColumnElement[Any], *wanted: sa.ColumnElement[bool]
) -> tuple[date, int] | None:
    states = calibration_states.c
    query = (
        sa.select(states.partition, states.attempt)
        .where(states.partition < before, states.is_accepted, *wanted)
        .order_by(order, states.attempt.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        found = connection.execute(query).one_or_none()
    return None if found is None else (found.partition, found.attempt)


def read_scale_history(engine: sa.Engine, before: date) -> tuple[ScaleNight, ...]:
    """Read what accepted nights left behind of the scales that they fitted, oldest night first.

    Of several tries at a night the newest accepted one counts. The rows of `state_scales` are few:
    one per scale and night.
    """
    states, scales = calibration_states.c, state_scales.c
    counting = (
        sa.select(states.partition, states.attempt, states.anchor_set_id)
        .distinct(states.partition)
        .where(states.partition < before, states.is_accepted)
        .order_by(states.partition, states.attempt.desc())
        .subquery()
    )
    own = (scales.partition == counting.c.partition) & (scales.attempt == counting.c.attempt)
    query = (
        sa.select(
            counting.c.partition, counting.c.attempt, counting.c.anchor_set_id, scales.scale,
            scales.population_mean, scales.population_sd,
        )
        .join_from(counting, state_scales, own)
        .where(scales.fitted)
        .order_by(counting.c.partition, scales.position)
    )  # fmt: skip
    with engine.connect() as connection:
        return tuple(ScaleNight(**row._mapping) for row in connection.execute(query))


def newest_finished_night(engine: sa.Engine) -> date | None:
    """Give the newest night that a run ended, whatever came of it; None before the first.

    A night whose run crashed may have a state, and yet nothing was published from it.
    """
    query = (
        sa.select(sa.func.max(runs.c.partition))
        .join_from(runs, run_outcomes)
        .where(run_outcomes.c.outcome.not_in(TELL_NOTHING))
    )
    with engine.connect() as connection:
        newest: date | None = connection.scalar(query)
    return newest


def days_passed_over(engine: sa.Engine, before: date) -> tuple[date, ...]:
    """List the days since the first archived one that no run has extracted, oldest first.

    Parameters
    ----------
    before
        Only earlier days are looked at.
    """
    archived = archive_revisions.c.day
    with engine.connect() as connection:
        days = set(connection.scalars(sa.select(archived).distinct().where(archived < before)))
    span = range((before - min(days)).days) if days else range(0)
    return tuple(day for n in span if (day := min(days) + timedelta(days=n)) not in days)


def version_of_night(engine: sa.Engine, partition: date, attempt: int) -> int | None:
    """Give the newest version that was published from a state; None if none was."""
    own = (snapshots.c.partition == partition) & (snapshots.c.attempt == attempt)
    with engine.connect() as connection:
        newest: int | None = connection.scalar(
            sa.select(sa.func.max(snapshots.c.version)).where(own)
        )
    return newest


def newest_version_before(engine: sa.Engine, partition: date) -> int | None:
    """Give the newest version of the newest earlier night; None before the first.

    Nights compare with the night before, never with an alias: a backfill over a range and the
    same nights one by one must compare with the same version.
    """
    query = (
        sa.select(snapshots.c.version)
        .where(snapshots.c.partition < partition)
        .order_by(snapshots.c.partition.desc(), snapshots.c.version.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        return connection.scalar(query)


@dataclass(frozen=True)
class NightOutcome:
    """How one night of a run ended, as the run log tells it."""

    partition: date
    outcome: str
    reason: str
    counts: dict[str, int]
    timings: dict[str, float]


def outcomes_of_run(engine: sa.Engine, orchestrator_run_id: str) -> tuple[NightOutcome, ...]:
    """Read the nights of one of Dagster's runs, oldest first; one without an end has crashed."""
    outcome = sa.func.coalesce(run_outcomes.c.outcome, "failed").label("outcome")
    query = (
        sa.select(
            runs.c.partition,
            outcome,
            sa.func.coalesce(run_outcomes.c.reason, "the run ended before the night did"),
            run_outcomes.c.counts,
            run_outcomes.c.timings,
        )
        .outerjoin_from(runs, run_outcomes)
        .where(runs.c.orchestrator_run_id == orchestrator_run_id)
        .order_by(runs.c.partition)
    )
    with engine.connect() as connection:
        return tuple(
            NightOutcome(night, ended, reason, counts or {}, timings or {})
            for night, ended, reason, counts, timings in connection.execute(query)
        )
