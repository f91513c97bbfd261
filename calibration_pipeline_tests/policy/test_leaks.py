"""The leak watch over days: state, verdicts, families, and what the traffic can give."""

from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pytest

from calibration_pipeline.policy.leak_configuration import LeakConfiguration
from calibration_pipeline.policy.leak_verdicts import judge_leaks
from calibration_pipeline.policy.leaks import (
    LeakDay,
    LeakState,
    in_new_order,
    reset_items,
    watch_day,
)

SETTINGS = LeakConfiguration()
ITEMS, SESSIONS, ANSWERS = 30, 90, 20
FIRST = date(2026, 3, 1)
LEAKED, FIRST_LEAKED_DAY, DAYS = 7, 6, 9
PARAMETERS = np.column_stack(
    [np.full(ITEMS, 1.2), np.linspace(-1.5, 1.5, ITEMS), np.full(ITEMS, 0.2)]
)
COVARIANCE = np.tile(np.diag([0.04, 0.0256, 0.09]), (ITEMS, 1, 1))


def _day(number, *, with_leak=True):
    """60 answers to every item; item 7 leaks to most candidates on day 6."""
    generator = np.random.default_rng([17, number])
    theta = generator.normal(size=(SESSIONS, 1))
    item = np.argsort(generator.random((SESSIONS, ITEMS)), axis=1)[:, :ANSWERS]
    a, b, c = PARAMETERS[item].transpose(2, 0, 1)
    is_leaked = (item == LEAKED) & (number >= FIRST_LEAKED_DAY) & with_leak
    knows = is_leaked & (generator.random(item.shape) < 0.8)
    right = np.where(knows, 0.95, c + (1 - c) / (1 + np.exp(-a * (theta - b))))
    log_seconds = 4.0 + 0.02 * item - generator.normal(0, 0.3, (SESSIONS, 1))
    log_seconds = log_seconds + generator.normal(0, 0.4, item.shape) + np.log(0.6) * knows
    n = item.size
    mean = np.broadcast_to(theta + generator.normal(0, 0.3, theta.shape), item.shape)
    return LeakDay(
        FIRST + timedelta(days=number),
        np.arange(SESSIONS + 1) * ANSWERS,
        item.ravel(),
        (generator.random(item.shape) < right).astype(np.uint8).ravel(),
        np.ones(n, bool),
        mean.ravel() / 1.09,
        np.full(n, 0.3),
        np.exp(log_seconds).ravel(),
    )


@lru_cache
def _states():
    states = [LeakState.empty(ITEMS, SETTINGS)]
    for number in range(DAYS):
        states.append(watch_day(states[-1], _day(number), PARAMETERS, COVARIANCE, SETTINGS))
    return states


def _judge(state, families=(None,) * ITEMS, settings=SETTINGS):
    return judge_leaks(state, PARAMETERS, COVARIANCE, families, settings)


def _assert_same_bytes(one, other):
    for field in fields(one):
        mine, others = getattr(one, field.name), getattr(other, field.name)
        if is_dataclass(mine):
            _assert_same_bytes(mine, others)
        else:
            assert np.asarray(mine).tobytes() == np.asarray(others).tobytes(), field.name


def test_the_leaked_item_is_found_within_two_days_and_no_other():
    verdicts = _judge(_states()[FIRST_LEAKED_DAY + 2])
    assert np.flatnonzero(verdicts.is_suspected).tolist() == [LEAKED]
    leak = np.datetime64(FIRST) + FIRST_LEAKED_DAY
    assert leak <= verdicts.alarm_day[LEAKED] <= leak + 1
    assert abs(verdicts.onset_day[LEAKED] - leak) <= np.timedelta64(1, "D")
    assert verdicts.statistic[LEAKED] >= verdicts.threshold[LEAKED]
    assert verdicts.uses_times.all()
    assert not _judge(_states()[FIRST_LEAKED_DAY]).is_suspected.any()


def test_a_backfill_from_a_stored_state_gives_the_same_bytes():
    middle = _states()[4]
    for number in range(4, DAYS):
        middle = watch_day(middle, _day(number), PARAMETERS, COVARIANCE, SETTINGS)
    _assert_same_bytes(middle, _states()[-1])


def test_a_family_shares_its_alarm():
    families = ["clones" if j in (LEAKED, 12, 20) else f"own {j}" for j in range(ITEMS)]
    verdicts = _judge(_states()[-1], families)
    assert np.flatnonzero(verdicts.is_suspected).tolist() == [LEAKED, 12, 20]
    assert verdicts.alarm_item[[12, 20]].tolist() == [LEAKED, LEAKED]
    assert verdicts.onset_day[12] == verdicts.onset_day[LEAKED]


def test_protection_is_stated_for_the_traffic_there_is():
    verdicts = _judge(_states()[-1])
    np.testing.assert_allclose(verdicts.answers_per_day, 60, rtol=0.1)
    assert (verdicts.delay_answers[:5] < 120).all()
    np.testing.assert_allclose(
        verdicts.delay_days, verdicts.delay_answers / verdicts.answers_per_day
    )
    without = _judge(_states()[-1], settings=replace(SETTINGS, uses_times=False))
    assert (without.delay_answers > 2 * verdicts.delay_answers).all()
    idle = _judge(LeakState.empty(ITEMS, SETTINGS))
    assert np.isinf(idle.delay_days).all()
    assert np.isnat(idle.alarm_day).all()


def test_an_answer_that_is_no_evidence_changes_no_test():
    day = _day(FIRST_LEAKED_DAY)
    nothing = replace(day, is_evidence=np.zeros(len(day.item), bool))
    before = _states()[FIRST_LEAKED_DAY]
    after = watch_day(before, nothing, PARAMETERS, COVARIANCE, SETTINGS)
    _assert_same_bytes(after.detectors, before.detectors)


def test_a_suspected_items_times_are_no_longer_learned():
    found, last = _states()[FIRST_LEAKED_DAY + 2], _states()[-1]
    decay = 0.5 ** ((DAYS - FIRST_LEAKED_DAY - 2) / SETTINGS.time_half_life_days)
    assert last.times.count[LEAKED] == pytest.approx(decay * found.times.count[LEAKED])
    assert last.times.count[0] > found.times.count[0]


def test_a_reset_item_is_watched_afresh_and_an_item_that_is_new_starts_at_nothing():
    found = _states()[-1]
    cleared = reset_items(found, np.arange(ITEMS) == LEAKED, SETTINGS)
    assert not _judge(cleared).is_suspected.any()
    # Another item comes in front, and item 0 is gone.
    positions = np.where(np.arange(ITEMS) == 0, -1, np.arange(ITEMS))
    moved = in_new_order(found, positions, ITEMS + 1, SETTINGS)
    assert np.flatnonzero(moved.detectors.is_alarmed).tolist() == [LEAKED]
    assert moved.times.count[[0, ITEMS]].tolist() == [0.0, 0.0]
    _assert_same_bytes(in_new_order(found, np.arange(ITEMS), ITEMS, SETTINGS), found)


def test_unknown_items_are_not_watched():
    parameters = PARAMETERS.copy()
    parameters[LEAKED] = np.nan
    state = _states()[FIRST_LEAKED_DAY]
    for number in range(FIRST_LEAKED_DAY, DAYS):
        state = watch_day(state, _day(number), parameters, COVARIANCE, SETTINGS)
    assert not state.detectors.is_alarmed[LEAKED]


@pytest.mark.parametrize(
    "wrong",
    [
        {"item_nights_per_false_alarm": 0.0},
        {"traffic_half_life_days": 0.0},
        {"minimum_times": 0},
        {"planned_share": 0.0},
        {"shares": (1.5, 0.5)},
    ],
)
def test_a_setting_that_means_nothing_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LeakConfiguration(**wrong)
