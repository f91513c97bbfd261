"""A control chart of the candidates: it tells whether their mean or spread has moved for good.

Candidates differ from day to day, and the population of a night is that of a whole window. So
nights in a row share all days but one, and what one night adds to the one before is

    y = W · (m_t − m_{t−1}),

the mean of the day that came less that of the day that left, W days apart. These are independent
from night to night, their spread is known from the nights before, and a population that moves by δ
moves each of the next W of them by δ. They are summed by a two-sided CUSUM (Page 1954, Biometrika
41, 100–115) with an allowance of half a standard deviation. Its limit follows from how rare false
alarms are to be, by Siegmund's approximation of the mean time between them (1985, *Sequential
Analysis*, ch. 2). A sudden change is seen as a run of large steps, a slow one as many small ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from calibration_pipeline.records import FloatArray, ScaleNight

ALLOWANCE = 0.5
"""Half of the shift, in standard deviations of a step, that is found soonest."""
FEWEST_STEPS = 30
"""Before, their spread isn't known: with fewer, false alarms come twice as often as they should."""
LARGEST_STEP = 4.0
"""One step counts as so much at most: a single odd day is no change of the population."""
CHARTS = 4
"""Mean and spread, up and down."""


@dataclass(frozen=True)
class ChartScore:
    """A CUSUM as of the newest night: its larger side, signed, and when that began to grow."""

    score: float
    since: date | None


@dataclass(frozen=True)
class PopulationChart:
    """Scores of the mean and of the spread, and the limit of both."""

    mean: ChartScore
    sd: ChartScore
    limit: float


def population_chart(
    nights: Sequence[ScaleNight], window_days: int, false_alarm_nights: float
) -> PopulationChart:
    """Chart a scale's population over its nights, oldest first.

    Parameters
    ----------
    nights
        Of one scale under one anchor set, tonight the last. Those whose windows were still filling
        up are passed over.
    window_days
        W.
    false_alarm_nights
        Mean number of nights between two false alarms, all charts together.
    """
    limit = cusum_limit(CHARTS * false_alarm_nights)
    first = min((night.partition for night in nights), default=date.min)
    full = first + timedelta(days=window_days - 1)
    usable = [night for night in nights if night.partition >= full]
    days = [night.partition for night in usable]
    mean = np.array([night.population_mean for night in usable])
    log_sd = np.log([night.population_sd for night in usable])
    return PopulationChart(
        _cusum(_steps(mean, days, window_days), days),
        _cusum(_steps(log_sd, days, window_days), days),
        limit,
    )


def cusum_limit(nights_between: float) -> float:
    """Limit of a one-sided CUSUM of standard normal steps with that mean time to a false alarm."""
    from scipy.optimize import brentq  # a third of a second that most commands don't need

    def excess(limit: float) -> float:
        reach = limit + 1.166
        twice = 2.0 * ALLOWANCE * reach
        return float((np.exp(twice) - twice - 1.0) / (2.0 * ALLOWANCE**2) - nights_between)

    return float(brentq(excess, 0.0, 50.0))


def _steps(values: FloatArray, days: Sequence[date], window_days: int) -> FloatArray:
    """What each night added, ``(n_nights − 1,)``; of several nights at once their mean step."""
    gaps = np.array([(later - earlier).days for earlier, later in pairwise(days)])
    return np.asarray(window_days * np.diff(values) / np.sqrt(np.maximum(gaps, 1)))


def _cusum(steps: FloatArray, days: Sequence[date]) -> ChartScore:
    """Sum the steps from the first whose spread is known; each by the spread of those before."""
    if len(steps) <= FEWEST_STEPS:
        return ChartScore(np.nan, None)
    sides, since = [0.0, 0.0], [days[FEWEST_STEPS], days[FEWEST_STEPS]]
    for place in range(FEWEST_STEPS, len(steps)):
        spread = max(float(np.sqrt(np.mean(np.square(steps[:place])))), 1e-9)
        step = float(np.clip(steps[place] / spread, -LARGEST_STEP, LARGEST_STEP))
        for side, sign in enumerate((1.0, -1.0)):
            if sides[side] <= 0.0:
                since[side] = days[place]
            sides[side] = max(sides[side] + sign * step - ALLOWANCE, 0.0)
    side = int(sides[1] > sides[0])
    return ChartScore((1.0, -1.0)[side] * sides[side], since[side])
