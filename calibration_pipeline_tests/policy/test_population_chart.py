"""Candidates that change are told from candidates who differ from day to day."""

from datetime import date, timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.population_chart import (
    ALLOWANCE,
    CHARTS,
    cusum_limit,
    population_chart,
)
from calibration_pipeline.records import ScaleNight

FIRST = date(2026, 1, 1)
WINDOW, DAY_SD, FALSE_ALARM_NIGHTS = 30, 0.14, 1000.0


def nights(day_means, log_sds=None, *, window: int = WINDOW) -> list[ScaleNight]:
    """Nights of a programme from its first day on, by the mean ability of each day."""
    found = []
    spread = np.zeros(len(day_means)) if log_sds is None else log_sds
    for number in range(1, len(day_means) + 1):
        inside = slice(max(number - window, 0), number)
        found.append(
            ScaleNight(
                FIRST + timedelta(days=number - 1), 1, 1, "main",
                float(np.mean(day_means[inside])), float(np.exp(np.mean(spread[inside]))),
            )
        )  # fmt: skip
    return found


def chart(day_means, log_sds=None):
    return population_chart(nights(day_means, log_sds), WINDOW, FALSE_ALARM_NIGHTS)


def days(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, DAY_SD, count)


def first_alarm(day_means, log_sds=None) -> tuple[int | None, date | None]:
    """Nights from the first to the alarm, and since when it says that the mean has moved."""
    for number in range(2 * WINDOW, len(day_means) + 1):
        part = None if log_sds is None else log_sds[:number]
        found = chart(day_means[:number], part)
        score = found.mean if log_sds is None else found.sd
        if abs(score.score) >= found.limit:
            return number, score.since
    return None, None


def test_the_limit_gives_false_alarms_as_rarely_as_is_said() -> None:
    """A one-sided CUSUM of independent steps, whose spread is known, until its first alarm."""
    between = 300.0
    limit, generator, runs = cusum_limit(between), np.random.default_rng(3), 400
    total, score, steps = np.zeros(runs), np.zeros(runs), 0
    running = np.ones(runs, bool)
    while running.any():
        steps += 1
        score = np.maximum(score + generator.standard_normal(runs) - ALLOWANCE, 0.0)
        total[running & (score >= limit)] = steps
        running &= score < limit
    assert total.mean() == pytest.approx(between, rel=0.15)


def test_a_sudden_rise_and_a_sudden_fall_are_found_within_the_window() -> None:
    for shift in (0.4, -0.4):
        moved = days(130)
        moved[90:] += shift
        night, since = first_alarm(moved)
        assert night is not None
        assert 90 < night <= 90 + WINDOW
        assert since is not None
        assert abs((since - FIRST).days - 90) <= 10
        found = chart(moved[:night])
        assert np.sign(found.mean.score) == np.sign(shift)


def test_a_slow_rise_is_found_as_well() -> None:
    night, _ = first_alarm(days(160) + np.clip((np.arange(160) - 80) / 60, 0, 1) * 0.6)
    assert night is not None
    assert 80 < night <= 80 + 60


def test_a_wider_spread_of_abilities_is_found() -> None:
    log_sds = np.random.default_rng(1).normal(0.0, 0.1, 130)
    log_sds[90:] += 0.3
    night, _ = first_alarm(days(130), log_sds)
    assert night is not None
    assert 90 < night <= 90 + WINDOW


def test_healthy_programmes_raise_false_alarms_about_as_often_as_is_said() -> None:
    """Two thousand nights of forty programmes: the first chart of all four is asked for."""
    alarms = sum(first_alarm(days(110, seed))[0] is not None for seed in range(40))
    # 50 judged nights each at half of one in a thousand, the other half being the spread's.
    assert alarms <= 5


def test_one_odd_day_is_no_change() -> None:
    odd = days(130)
    odd[100] += 20 * DAY_SD
    assert first_alarm(odd)[0] is None


def test_without_history_there_is_no_score() -> None:
    found = chart(days(2 * WINDOW))
    assert np.isnan(found.mean.score)
    assert np.isnan(found.sd.score)
    assert np.isnan(population_chart([], WINDOW, FALSE_ALARM_NIGHTS).mean.score)
    assert not np.isnan(chart(days(2 * WINDOW + 1)).mean.score)
    assert found.limit == cusum_limit(CHARTS * FALSE_ALARM_NIGHTS)


def test_nights_that_are_missing_count_by_the_days_between_them() -> None:
    """Of a step over several days the spread grows with their root."""
    moved = days(150, seed=4)
    found = nights(moved)
    with_gaps = [night for number, night in enumerate(found) if number < 100 or number % 5 == 0]
    assert abs(population_chart(with_gaps, WINDOW, FALSE_ALARM_NIGHTS).mean.score) < 6.0
