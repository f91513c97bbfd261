"""The window's answers by ability: what they say of items that fit, and of one that changed."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.observed_proportions import wilson_interval
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.item_curves import BINS, observed_proportions
from calibration_pipeline.records import CalibrationState, DayResponses
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import (
    SimulatedPool,
    Traffic,
    make_bank,
    make_pool,
    simulate_days,
)

CONFIGURATION = CalibrationConfiguration()


@pytest.fixture(scope="module")
def pool() -> SimulatedPool:
    return make_pool(40, 6, np.random.default_rng(1))


@pytest.fixture(scope="module")
def days(pool: SimulatedPool) -> list[DayResponses]:
    traffic = Traffic(sessions=400, answers=15, pool_share=0.5)
    return simulate_days(pool, 2, np.random.default_rng(2), traffic)


@pytest.fixture(scope="module")
def state(pool: SimulatedPool) -> CalibrationState:
    """A state that knows the truth."""
    return make_state(pool.bank, pool.truth)


def test_every_first_answer_counts_once(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    keys = (pool.bank.keys[3], pool.bank.keys[17])
    found = observed_proportions(state, days, pool.bank, keys, CONFIGURATION)
    assert tuple(found) == keys
    for key, observed in found.items():
        j = pool.bank.keys.index(key)
        answers = [
            (day.keys[i], c) for day in days for i, c in zip(day.item, day.correct, strict=True)
        ]
        own = [correct for item, correct in answers if item == key]
        assert observed.answers.sum() == len(own), j
        assert observed.right.sum() == sum(own)
        assert len(observed.ability) == BINS
        assert (np.diff(observed.ability) > 0).all()


def test_items_that_fit_lie_in_their_intervals(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    found = observed_proportions(state, days, pool.bank, pool.bank.keys, CONFIGURATION)
    inside = []
    for observed in found.values():
        low, high = wilson_interval(observed.right, observed.answers)
        inside += ((observed.expected >= low) & (observed.expected <= high)).tolist()
    assert len(inside) > 250
    assert np.mean(inside) > 0.92


def test_an_item_that_became_easier_lies_above_what_was_expected(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    parameters = state.parameters.copy()
    parameters[5, 1] += 1.5  # what is believed; the answers are of the easier item
    believed = replace(state, parameters=parameters)
    key = pool.bank.keys[5]
    observed = observed_proportions(believed, days, pool.bank, [key], CONFIGURATION)[key]
    low, _ = wilson_interval(observed.right, observed.answers)
    assert (observed.expected < low).sum() >= BINS // 2


def test_answers_under_suspicion_are_shown_where_asked_for_and_inform_nothing_else(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    left_out = np.full(pool.bank.n_items, np.datetime64("NaT"), "datetime64[D]")
    left_out[5] = np.datetime64(days[0].revision.day)
    before = left_out.copy()
    suspected, other = pool.bank.keys[5], pool.bank.keys[6]
    seen = observed_proportions(
        state, days, pool.bank, [suspected], CONFIGURATION, left_out_from=left_out
    )[suspected]
    everything = observed_proportions(state, days, pool.bank, [suspected], CONFIGURATION)
    assert seen.answers.sum() == everything[suspected].answers.sum()
    without = observed_proportions(
        state, days, pool.bank, [other], CONFIGURATION, left_out_from=left_out
    )[other]
    with_it = observed_proportions(state, days, pool.bank, [other], CONFIGURATION)[other]
    assert not np.allclose(without.ability, with_it.ability)
    assert (np.isnat(left_out) == np.isnat(before)).all(), "the caller's array was changed"


def test_unknown_items_and_items_without_answers_are_left_out(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    nobody = observed_proportions(state, [], pool.bank, [pool.bank.keys[0]], CONFIGURATION)
    assert nobody == {}
    unknown = observed_proportions(state, days, pool.bank, [("nobody", 1)], CONFIGURATION)
    assert unknown == {}


def test_a_pool_that_has_grown_since_gives_the_same(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    key, n = pool.bank.keys[5], pool.bank.n_items
    grown = make_bank(n + 1)
    assert grown.keys[:n] == pool.bank.keys
    then = observed_proportions(state, days, pool.bank, [key], CONFIGURATION)[key]
    now = observed_proportions(state, days, grown, [key], CONFIGURATION)[key]
    assert now.right.tolist() == then.right.tolist()
    assert now.expected == pytest.approx(then.expected)


def test_answers_since_the_onset_are_counted_by_themselves(
    pool: SimulatedPool, days: list[DayResponses], state: CalibrationState
) -> None:
    key, onset = pool.bank.keys[5], days[1].revision.day
    left_out = np.full(pool.bank.n_items, np.datetime64("NaT"), "datetime64[D]")
    assert (
        observed_proportions(state, days, pool.bank, [key], CONFIGURATION, left_out_from=left_out)[
            key
        ].since_onset
        is None
    )
    left_out[5] = np.datetime64(onset)
    observed = observed_proportions(
        state, days, pool.bank, [key], CONFIGURATION, left_out_from=left_out
    )[key]
    since = observed.since_onset
    assert since is not None
    own = [
        correct
        for i, correct in zip(days[1].item, days[1].correct, strict=True)
        if days[1].keys[i] == key
    ]
    assert (since.day, since.answers, since.right) == (onset, len(own), sum(own))
    assert 0 < since.answers < observed.answers.sum()
    assert since.expected == pytest.approx(since.right / since.answers, abs=0.2)
    assert f"Since {onset} {since.right} of its {since.answers} answers" in since.words
