"""What a simulated programme can do beyond its defaults: memory, groups, rapid guesses."""

from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256

import numpy as np
import pytest

from calibration_pipeline.policy.simulated_programme import (
    RETURN_AFTER_DAYS,
    SimulationPlan,
    simulate_programme,
)

LAST_DAY = date(2026, 3, 31)
SMALL = SimulationPlan(
    LAST_DAY,
    items=120,
    anchors=20,
    days=2,
    sessions_per_day=300,
    answers=10,
    pool_share=0.2,
    returning_share=0.4,
)
REMEMBERING = replace(SMALL, engine_remembers=True)


def test_the_options_are_off_and_a_day_is_what_it_always_was() -> None:
    """A demo that was begun with an earlier version must find its answers again."""
    programme = simulate_programme(SMALL)
    columns = programme.day(LAST_DAY).columns(programme.pool.item_ids)
    assert "population_group" not in columns
    answers = np.stack([columns["is_correct"], columns["position"]]).astype(np.int64)
    digest = sha256(answers.tobytes() + "".join(columns["item_id"]).encode()).hexdigest()
    assert digest == "38a802b1996509e6da3ce1a02fc163eef8e2ca5afe2a63017cc40351c347cf13"


def test_a_returning_candidate_starts_from_what_the_first_session_taught() -> None:
    programme = simulate_programme(REMEMBERING)
    today = programme.day(LAST_DAY)
    learnt: dict[str, float] = {}
    for lag in RETURN_AFTER_DAYS:
        earlier = programme.day(LAST_DAY - timedelta(days=lag))
        estimates = earlier.sessions.final_estimate
        learnt |= {
            name: estimate
            for name, estimate, returns in zip(
                earlier.candidate_ids, estimates, earlier.returning, strict=True
            )
            if not returns
        }
    start = today.sessions.estimate[:, 0]
    for name, value, returns in zip(today.candidate_ids, start, today.returning, strict=True):
        assert value == learnt[name] if returns else abs(value) < 1e-12
    returning = today.returning
    assert np.corrcoef(start[returning], today.theta[returning])[0, 1] > 0.6


def test_memory_changes_only_the_sessions_of_those_who_return() -> None:
    day, other = (simulate_programme(plan).day(LAST_DAY) for plan in (SMALL, REMEMBERING))
    new = ~day.returning
    assert np.array_equal(day.sessions.item[new], other.sessions.item[new])
    assert not np.array_equal(day.sessions.item[~new], other.sessions.item[~new])
    assert day.candidate_ids == other.candidate_ids


def test_a_day_with_memory_does_not_depend_on_which_days_were_asked_for() -> None:
    first = simulate_programme(REMEMBERING)
    list(first.days())
    alone = simulate_programme(replace(REMEMBERING, days=1)).day(LAST_DAY)
    assert np.array_equal(first.day(LAST_DAY).sessions.item, alone.sessions.item)


def test_groups_differ_by_their_shifts_and_nobody_changes_group() -> None:
    plan = replace(SMALL, group_shifts={"north": 0.0, "south": -0.8}, sessions_per_day=2000)
    programme = simulate_programme(plan)
    today = programme.day(LAST_DAY)
    groups = np.array(today.groups)
    assert np.mean(groups == "north") == pytest.approx(0.5, abs=0.05)
    difference = today.theta[groups == "north"].mean() - today.theta[groups == "south"].mean()
    assert difference == pytest.approx(0.8, abs=0.15)
    column = today.columns(programme.pool.item_ids)["population_group"]
    assert np.array_equal(column, np.repeat(groups, plan.answers))
    was: dict[str, str] = {}
    for lag in RETURN_AFTER_DAYS:
        earlier = programme.day(LAST_DAY - timedelta(days=lag))
        was |= {
            name: group
            for name, group, returns in zip(
                earlier.candidate_ids, earlier.groups, earlier.returning, strict=True
            )
            if not returns
        }
    returned = np.flatnonzero(today.returning)
    assert all(was[today.candidate_ids[row]] == today.groups[row] for row in returned)


@pytest.mark.parametrize("model", ["3PL", "2PL"])
def test_rapid_guesses_are_fast_and_owe_nothing_to_ability(model: str) -> None:
    plan = replace(SMALL, model=model, rapid_guess_share=0.1, sessions_per_day=2000)
    programme = simulate_programme(plan)
    today = programme.day(LAST_DAY)
    guessed, correct = today.is_rapid_guess, today.sessions.correct
    assert guessed.mean() == pytest.approx(0.1, abs=0.01)
    assert today.time_on_task_ms[guessed].max() <= 2500
    assert np.mean(today.time_on_task_ms[~guessed] > 2500) > 0.99
    options = programme.pool.option_counts[today.sessions.item]
    expected = np.divide(1.0, options, out=np.zeros(options.shape), where=options > 0)
    assert correct[guessed].mean() == pytest.approx(expected[guessed].mean(), abs=0.03)
    able = today.theta[np.nonzero(guessed)[0]] > 0.5
    assert correct[guessed][able].mean() == pytest.approx(correct[guessed].mean(), abs=0.05)


@pytest.mark.parametrize(
    "change",
    [
        {"rapid_guess_share": 1.0},
        {"rapid_guess_share": -0.1},
        {"group_shifts": {"": 0.5}},
        {"group_shifts": {"north": float("nan")}},
    ],
)
def test_options_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        replace(SMALL, **change)  # type: ignore[arg-type]


LEAKY = replace(SMALL, leaked=3, miskeyed=2, leaked_from=LAST_DAY, sessions_per_day=2000)


def test_faulty_items_are_no_anchors_and_change_nothing_else_of_the_pool() -> None:
    healthy, faulty = simulate_programme(SMALL).pool, simulate_programme(LEAKY).pool
    assert (faulty.is_leaked.sum(), faulty.is_miskeyed.sum()) == (3, 2)
    assert not (faulty.is_leaked & faulty.is_miskeyed).any()
    assert not ((faulty.is_leaked | faulty.is_miskeyed) & faulty.is_anchor).any()
    expected = healthy.truth.copy()
    expected[faulty.is_miskeyed, 0] *= -1.0
    assert np.array_equal(faulty.truth, expected)
    assert np.array_equal(faulty.engine_parameters, healthy.engine_parameters)


def test_a_leak_begins_on_its_day_and_makes_answers_better_and_quicker() -> None:
    leaky = simulate_programme(LEAKY)
    clean = simulate_programme(replace(LEAKY, leaked_from=None))
    before = LAST_DAY - timedelta(days=1)
    assert np.array_equal(leaky.day(before).sessions.correct, clean.day(before).sessions.correct)
    today, usual = leaky.day(LAST_DAY), clean.day(LAST_DAY)
    shares, times = [], []
    for day in (today, usual):
        leaked = leaky.pool.is_leaked[day.sessions.item]
        assert leaked.sum() > 300
        shares.append(day.sessions.correct[leaked].mean())
        times.append(day.time_on_task_ms[leaked].mean())
    assert shares[0] > shares[1] + 0.15
    assert times[0] < 0.9 * times[1]


def test_the_able_miss_an_item_with_a_wrong_key() -> None:
    programme = simulate_programme(LEAKY)
    day = programme.day(LAST_DAY)
    wrong = programme.pool.is_miskeyed[day.sessions.item]
    theta = np.broadcast_to(day.theta[:, None], wrong.shape)[wrong]
    assert np.corrcoef(theta, day.sessions.correct[wrong])[0, 1] < -0.1
    others = np.broadcast_to(day.theta[:, None], wrong.shape)[~wrong]
    assert np.corrcoef(others, day.sessions.correct[~wrong])[0, 1] > 0.0


@pytest.mark.parametrize(
    "wrong", [{"leaked": -1}, {"miskeyed": 500}, {"leak_share": 0.0}, {"leak_share": 1.5}]
)
def test_faults_that_no_pool_can_have_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"fault|leak"):
        simulate_programme(replace(SMALL, **wrong))
