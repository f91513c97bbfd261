"""What a night's page looks back on. Reads alone, and counts: nobody's abilities are given out."""

import math
from collections.abc import Collection, Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from calibration_pipeline.records import AnchorDisplacement, ItemEstimate, ItemKey
from calibration_pipeline.store.runs import TELL_NOTHING
from calibration_pipeline.store.tables import (
    calibration_states,
    candidate_abilities,
    run_outcomes,
    runs,
    snapshot_items,
    snapshots,
    state_items,
)

StateKey = tuple[date, int]


def newest_versions(engine: sa.Engine, through: date, nights: int) -> tuple[tuple[date, int], ...]:
    """Give the last nights that published, with the newest version of each, oldest first."""
    s = snapshots.c
    query = (
        sa.select(s.partition, sa.func.max(s.version))
        .where(s.partition <= through)
        .group_by(s.partition)
        .order_by(s.partition.desc())
        .limit(nights)
    )
    with engine.connect() as connection:
        found = [(night, version) for night, version in connection.execute(query)]
    return tuple(reversed(found))


def count_tracks(
    engine: sa.Engine, version: int, retired: frozenset[ItemKey]
) -> tuple[int, int, int]:
    """Count a version's items: trusted and in use, not trusted yet and in use, retired."""
    items = snapshot_items.c
    is_retired = sa.tuple_(items.item_id, items.content_version).in_(sorted(retired))
    query = (
        sa.select(items.track, is_retired.label("retired"), sa.func.count())
        .where(items.version == version)
        .group_by(items.track, sa.text("retired"))
    )
    with engine.connect() as connection:
        counts = {(track, out): count for track, out, count in connection.execute(query)}
    in_use = {track: count for (track, out), count in counts.items() if not out}
    gone = sum(count for (_, out), count in counts.items() if out)
    return in_use.get("trusted", 0), in_use.get("provisional", 0), gone


def ability_errors(engine: sa.Engine, first: date, through: date) -> dict[date, tuple[int, float]]:
    """Number of sessions and mean standard error of ability, by night; abilities expire."""
    abilities = candidate_abilities.c
    query = (
        sa.select(abilities.partition, sa.func.count(), sa.func.avg(abilities.theta_se))
        .where(abilities.partition.between(first, through))
        .group_by(abilities.partition)
    )
    with engine.connect() as connection:
        return {night: (count, float(error)) for night, count, error in connection.execute(query)}


def accepted_keys(engine: sa.Engine, through: date, nights: int) -> tuple[StateKey, ...]:
    """Give (partition, newest accepted attempt) of the last accepted nights, oldest first."""
    s = calibration_states.c
    query = (
        sa.select(s.partition, sa.func.max(s.attempt))
        .where(s.is_accepted, s.partition <= through)
        .group_by(s.partition)
        .order_by(s.partition.desc())
        .limit(nights)
    )
    with engine.connect() as connection:
        found = [(night, attempt) for night, attempt in connection.execute(query)]
    return tuple(reversed(found))


def read_displacement(engine: sa.Engine, partition: date, attempt: int) -> AnchorDisplacement:
    """Read how far a state's anchors with answers stand from where they are held."""
    i = state_items.c
    query = sa.select(i.parameters, i.shadow_parameters, i.covariance).where(
        i.partition == partition, i.attempt == attempt, i.is_anchor, i.window_count > 0
    )
    with engine.connect() as connection:
        # On nights without a fit there is no shadow, and its error is zero.
        shifts = [
            shadow[1] - held[1]
            for held, shadow, covariance in connection.execute(query)
            if covariance[4] > 0.0
        ]
    known = [shift for shift in shifts if math.isfinite(shift)]
    n = len(known)
    mean = math.fsum(known) / n if n else math.nan
    spread = math.sqrt(math.fsum(shift**2 for shift in known) / n) if n else math.nan
    return AnchorDisplacement(partition, n, mean, spread)


def read_estimates(
    engine: sa.Engine, keys: Collection[ItemKey], states: Sequence[StateKey]
) -> dict[ItemKey, tuple[ItemEstimate, ...]]:
    """Read what some states estimated of some items, in the order of the nights."""
    found: dict[ItemKey, list[ItemEstimate]] = {key: [] for key in keys}
    if not found or not states:
        return {}
    i = state_items.c
    query = (
        sa.select(
            i.item_id, i.content_version, i.partition, i.shadow_parameters, i.covariance,
            i.total_count, i.is_anchor,
        )
        .where(
            sa.tuple_(i.partition, i.attempt).in_(states),
            sa.tuple_(i.item_id, i.content_version).in_(sorted(found)),
        )
        .order_by(i.partition)
    )  # fmt: skip
    with engine.connect() as connection:
        for row in connection.execute(query):
            found[row.item_id, row.content_version].append(
                ItemEstimate(
                    night=row.partition,
                    difficulty=row.shadow_parameters[1],
                    difficulty_se=math.sqrt(max(row.covariance[4], 0.0)),
                    total_count=row.total_count,
                    is_anchor=row.is_anchor,
                )
            )
    return {key: tuple(nights) for key, nights in found.items() if nights}


def read_seconds(engine: sa.Engine, before: date, nights: int) -> tuple[dict[str, float], ...]:
    """Read what each step of earlier nights took: their newest whole runs, oldest first."""
    query = (
        sa.select(run_outcomes.c.timings)
        .distinct(runs.c.partition)
        .join_from(runs, run_outcomes)
        .where(
            runs.c.partition.between(before - timedelta(days=nights), before - timedelta(days=1)),
            run_outcomes.c.outcome.not_in(TELL_NOTHING),
        )
        .order_by(runs.c.partition, run_outcomes.c.finished_at.desc())
    )
    with engine.connect() as connection:
        return tuple(timings for timings in connection.scalars(query) if timings)


def read_own_seconds(engine: sa.Engine, night: date) -> dict[str, float]:
    """Read what each step of a night's newest whole run took; empty where it hasn't ended yet."""
    found = read_seconds(engine, night + timedelta(days=1), 1)
    return found[0] if found else {}
