"""A simulated programme: reproducible by the day, and like a real one where it matters."""

from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from calibration_pipeline.policy.simulated_programme import (
    RETURN_AFTER_DAYS,
    SimulatedDay,
    SimulationPlan,
    simulate_programme,
)

LAST_DAY = date(2026, 3, 31)
SMALL = SimulationPlan(
    LAST_DAY, items=120, anchors=20, days=3, sessions_per_day=200, answers=10, pool_share=0.2
)


def same(first: SimulatedDay, second: SimulatedDay) -> bool:
    names = [f"i{number}" for number in range(SMALL.items)]
    pairs = zip(first.columns(names).items(), second.columns(names).items(), strict=True)
    return all(a == b and np.array_equal(x, y) for (a, x), (b, y) in pairs)


@pytest.fixture(scope="module")
def day() -> SimulatedDay:
    """A large day on the default pool."""
    return simulate_programme(SimulationPlan(LAST_DAY, sessions_per_day=3000)).day(LAST_DAY)


def test_a_day_does_not_depend_on_how_many_there_are_or_on_the_last_one() -> None:
    short = simulate_programme(SMALL)
    long = simulate_programme(replace(SMALL, days=9, last_day=LAST_DAY + timedelta(days=2)))
    assert short.calendar == long.calendar[4:7]
    for day in short.days():
        assert same(day, long.day(day.day))


def test_days_and_seeds_differ() -> None:
    programme = simulate_programme(SMALL)
    first, second, _ = programme.days()
    assert not same(first, second)
    other = simulate_programme(replace(SMALL, seed=1))
    assert not same(first, other.day(first.day))
    assert not np.array_equal(other.pool.truth, programme.pool.truth)


def test_the_pool_is_drawn_as_it_says() -> None:
    pool = simulate_programme(SimulationPlan(LAST_DAY)).pool
    discrimination, difficulty, guessing = pool.truth.T
    assert pool.truth.shape == (2400, 3)
    assert pool.is_anchor.sum() == 288
    assert discrimination.min() >= 0.4
    assert discrimination.max() <= 2.5
    assert np.log(discrimination).mean() == pytest.approx(0.2, abs=0.03)
    assert (difficulty.mean(), difficulty.std()) == pytest.approx((0.0, 1.0), abs=0.1)
    assert (guessing.min(), guessing.max()) == pytest.approx((0.1, 0.3), abs=0.001)
    error = pool.author_difficulty - difficulty
    assert (error.mean(), error.std()) == pytest.approx((0.0, 0.5), abs=0.05)
    assert set(pool.option_counts) <= {3, 4, 5, 6}


def test_the_engine_knows_the_truth_of_anchors_alone() -> None:
    pool = simulate_programme(SMALL).pool
    known = (pool.engine_parameters == pool.truth).all(axis=1)
    assert np.array_equal(known, pool.is_anchor)
    others = ~pool.is_anchor
    assert np.array_equal(pool.engine_parameters[others, 1], pool.author_difficulty[others])


def test_the_bank_file_keeps_what_must_be_estimated_to_itself() -> None:
    pool = simulate_programme(SMALL).pool
    columns = pool.bank_columns()
    for name, truth in zip(("discrimination", "difficulty", "guessing"), pool.truth.T, strict=True):
        stated = np.array(columns[name], float)
        assert np.array_equal(~np.isnan(stated), pool.is_anchor)
        assert np.array_equal(stated[pool.is_anchor], truth[pool.is_anchor])
    assert {len(column) for column in columns.values()} == {SMALL.items}


@pytest.mark.parametrize(
    ("model", "fixed"), [("Rasch", (0, 2)), ("1PL", (0, 2)), ("2PL", (2,)), ("3PL", ())]
)
def test_a_model_fixes_the_coordinates_that_it_lacks(model: str, fixed: tuple[int, ...]) -> None:
    programme = simulate_programme(replace(SMALL, model=model))
    spread = programme.pool.truth.std(axis=0)
    assert tuple(np.flatnonzero(spread == 0.0)) == fixed
    assert programme.day(LAST_DAY).sessions.correct.mean() > 0.4


def test_every_session_has_its_answers_once_each_and_in_order(day: SimulatedDay) -> None:
    items = np.sort(day.sessions.item, axis=1)
    assert (np.diff(items, axis=1) > 0).all()
    assert (np.diff(day.answered_at, axis=1) > np.timedelta64(1000, "ms")).all()
    assert (day.answered_at[:, 0] > day.started_at).all()
    assert (np.diff(day.started_at) >= np.timedelta64(0, "ms")).all()
    assert len(set(day.session_ids)) == len(day.session_ids)


def test_the_estimate_comes_from_the_answers_before_the_item(day: SimulatedDay) -> None:
    estimate = day.sessions.estimate
    assert (estimate[:, 0] == estimate[0, 0]).all()
    rose = np.diff(estimate, axis=1) > 0
    assert np.array_equal(rose, day.sessions.correct[:, :-1] == 1)
    assert np.corrcoef(estimate[:, -1], day.theta)[0, 1] > 0.8


def test_sessions_start_on_their_local_day_and_a_few_end_on_the_next(day: SimulatedDay) -> None:
    zone = ZoneInfo("Europe/Zurich")
    starts, ends = (
        [m.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone) for m in moments.tolist()]
        for moments in (day.started_at, day.answered_at[:, -1])
    )
    assert {start.date() for start in starts} == {LAST_DAY}
    crossing = np.mean([end.date() > LAST_DAY for end in ends])
    assert 0.0 < crossing < 0.02
    hours = np.bincount([start.hour for start in starts], minlength=24)
    assert hours[1:5].sum() < 0.1 * hours[8:12].sum()


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_on_days_when_clocks_change_sessions_stay_on_their_day(day: date) -> None:
    zone = ZoneInfo("Europe/Zurich")
    simulated = simulate_programme(replace(SMALL, sessions_per_day=2000)).day(day)
    starts = [m.replace(tzinfo=ZoneInfo("UTC")) for m in simulated.started_at.tolist()]
    assert {start.astimezone(zone).date() for start in starts} == {day}


def test_able_candidates_and_easy_items_are_faster(day: SimulatedDay) -> None:
    log_times = np.log(day.time_on_task_ms)
    assert 20 < np.exp(np.median(log_times)) / 1000 < 40
    assert np.corrcoef(log_times.mean(axis=1), day.theta)[0, 1] < -0.1
    difficulty = simulate_programme(SimulationPlan(LAST_DAY)).pool.truth[day.sessions.item, 1]
    within = [np.corrcoef(x, b)[0, 1] for x, b in zip(log_times, difficulty, strict=True)]
    assert np.mean(within) > 0.1


def test_returning_candidates_have_the_ability_they_had() -> None:
    plan = replace(SMALL, returning_share=0.5, sessions_per_day=50)
    programme = simulate_programme(plan)
    today = programme.day(LAST_DAY)
    assert today.returning.mean() == 0.5
    assert len(set(today.candidate_ids)) == plan.sessions_per_day
    abilities: dict[str, float] = {}
    for lag in RETURN_AFTER_DAYS:
        earlier = programme.day(LAST_DAY - timedelta(days=lag))
        new = ~earlier.returning
        names = np.array(earlier.candidate_ids)[new]
        abilities |= dict(zip(names, earlier.theta[new], strict=True))
    for name, theta, returns in zip(today.candidate_ids, today.theta, today.returning, strict=True):
        assert (name in abilities) == returns
        assert not returns or abilities[name] == theta


def test_answers_follow_the_true_model(day: SimulatedDay) -> None:
    a, b, c = simulate_programme(SimulationPlan(LAST_DAY)).pool.truth[day.sessions.item].T
    expected = c + (1 - c) / (1 + np.exp(-a * (day.theta - b)))
    residual = day.sessions.correct.T - expected
    z = residual.sum() / np.sqrt((expected * (1 - expected)).sum())
    assert abs(z) < 4


@pytest.mark.parametrize(
    "change",
    [
        {"anchors": 121},
        {"answers": 121},
        {"days": 0},
        {"model": "4PL"},
        {"returning_share": 1.0},
        {"pool_share": 0.0},
        {"seed": -1},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        replace(SMALL, **change)  # type: ignore[arg-type]
