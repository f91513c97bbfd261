"""Who comes on a day: new candidates, and some who were new on an earlier day."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from calibration_pipeline.policy.simulated_plan import SimulationPlan, Stream
from calibration_pipeline.records import BoolArray, FloatArray, IntArray

RETURN_AFTER_DAYS = range(7, 61)
"""How long ago a returning candidate was new; all of these are equally likely."""

_SPEED_BY_ABILITY = 0.15
_SPEED_SPREAD = 0.2


@dataclass(frozen=True)
class Candidates:
    """The candidates of one day, in order of their sessions.

    Attributes
    ----------
    ids
        One per candidate.
    first_days
        The day on which each was new: the day itself, or an earlier one.
    theta, speed
        ``(n_candidates,)`` true ability, and how fast they work on the log scale.
    group
        ``(n_candidates,)`` position in the plan's `group_shifts`; all 0 without groups.
    returning
        ``(n_candidates,)`` whether they were here before.
    """

    ids: tuple[str, ...]
    first_days: tuple[date, ...]
    theta: FloatArray
    speed: FloatArray
    group: IntArray
    returning: BoolArray


def draw_candidates(plan: SimulationPlan, day: date, generator: np.random.Generator) -> Candidates:
    """Draw a day's candidates, in random order.

    Parameters
    ----------
    plan
        How many come, and how many of them return.
    day
        The local day.
    generator
        Says who returns, and in which order they come; who they are follows from the plan's seed.
    """
    new = _new_candidates(plan, day)
    n_new = new.shape[1]
    n_returning = plan.sessions_per_day - n_new
    chosen = generator.choice(len(RETURN_AFTER_DAYS) * n_new, n_returning, replace=False)
    origins = [(day, number) for number in range(n_new)]
    earlier = {lag: _new_candidates(plan, day - timedelta(days=lag)) for lag in RETURN_AFTER_DAYS}
    returned = np.empty((3, n_returning))
    for slot, choice in enumerate(chosen):
        lag, number = RETURN_AFTER_DAYS[choice // n_new], choice % n_new
        origins.append((day - timedelta(days=lag), number))
        returned[:, slot] = earlier[lag][:, number]
    order = generator.permutation(plan.sessions_per_day)
    theta, speed, group = np.concatenate([new, returned], axis=1)[:, order]
    return Candidates(
        ids=tuple(f"c{origins[k][0]:%Y%m%d}-{origins[k][1]:05d}" for k in order),
        first_days=tuple(origins[k][0] for k in order),
        theta=theta,
        speed=speed,
        group=group.astype(np.int64),
        returning=order >= n_new,
    )


def _new_candidates(plan: SimulationPlan, day: date) -> FloatArray:
    """Ability, speed and group of a day's new candidates, ``(3, n_new)``.

    They are theirs for good: whoever returns has them.
    """
    generator = plan.generator(Stream.CANDIDATES, day.toordinal())
    n_new = plan.sessions_per_day - int(plan.returning_share * plan.sessions_per_day)
    theta = generator.normal(size=n_new)
    group = np.zeros(n_new, np.int64)
    if plan.group_shifts:
        of_groups = plan.generator(Stream.GROUPS, day.toordinal())
        group = of_groups.integers(0, len(plan.group_shifts), n_new)
        theta = theta + np.array(list(plan.group_shifts.values()), float)[group]
    speed = _SPEED_BY_ABILITY * theta + generator.normal(0.0, _SPEED_SPREAD, n_new)
    return np.stack([theta, speed, group])
