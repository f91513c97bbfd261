"""Person fit: honest sessions are left in peace, dishonest ones stand out."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.person_fit import person_fit
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import (
    RapidGuesses,
    SelectionRule,
    SimulatedSessions,
    simulate_sessions,
)
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

SETTINGS = EMConfiguration()
N01 = Population()


def _by_hand(item, correct, parameters):
    """The definition, with loops, for one session under N(0, 1)."""
    nodes = np.linspace(-6, 6, 61)
    posterior = np.exp(-0.5 * nodes**2)
    deviation = variance = third = 0.0
    for j, x in zip(item, correct, strict=True):
        a, b, c = parameters[j]
        curve = c + (1 - c) / (1 + np.exp(-a * (nodes - b)))
        p = (posterior * curve).sum() / posterior.sum()
        log_odds = np.log(p / (1 - p))
        deviation += (x - p) * log_odds
        variance += p * (1 - p) * log_odds**2
        third += p * (1 - p) * (1 - 2 * p) * log_odds**3
        posterior = posterior * (curve if x else 1 - curve)
    z, k = deviation / variance**0.5, third / variance**1.5 / 6
    return (-1 + np.sqrt(1 + 4 * k * (k + z))) / (2 * k)


def _data(taken: SimulatedSessions) -> ResponseData:
    n_sessions, answers = taken.item.shape
    offsets = np.arange(n_sessions + 1, dtype=np.int64) * answers
    return ResponseData(offsets, taken.item.ravel(), taken.correct.ravel(), 600)


@pytest.fixture(scope="module")
def pool():
    return draw_items(600, np.random.default_rng(3))


def test_it_is_what_its_definition_says(pool):
    data = adaptive_data(pool, np.linspace(-2, 2, 5), np.random.default_rng(1), answers=12)
    expected = [
        _by_hand(data.item[s : s + 12], data.correct[s : s + 12], pool) for s in range(0, 60, 12)
    ]
    assert person_fit(data, pool, N01, SETTINGS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "answers"), [("3PL", 15), ("3PL", 30), ("2PL", 20), ("Rasch", 30)]
)
def test_honest_adaptive_sessions_are_marked_at_the_nominal_rate(model, answers):
    generator = np.random.default_rng(17)
    truth = draw_items(600, generator, model)
    n = 12_000
    data = adaptive_data(
        truth, generator.normal(size=n), generator, answers=answers, pool_share=0.1
    )
    z = person_fit(data, truth, N01, SETTINGS)
    for rate in (0.05, 0.01):
        found = (z < norm.ppf(rate)).mean()
        assert found == pytest.approx(rate, abs=4 * np.sqrt(rate / n) + 0.15 * rate)
    assert (z < -3.0).mean() < 0.003
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_what_is_known_before_a_session_is_taken_into_account(pool):
    generator = np.random.default_rng(5)
    start = np.round(generator.normal(0, 1, 6000), 1)
    abilities = 0.8 * start - 1.0 + generator.normal(0, 0.6, 6000)
    rule = SelectionRule(answers=30, pool_share=0.1)
    taken = simulate_sessions(abilities, pool, pool, rule, generator, starts=0.8 * start - 1.0)
    values, cell = np.unique(start, return_inverse=True)
    cells = PopulationCells(cell.astype(np.int32), np.zeros(len(values), np.int64), values)
    plain = _data(taken)
    known = person_fit(
        replace(plain, cells=cells), pool, Population(-1.0, 0.6, slope=0.8), SETTINGS
    )
    assert 0.006 < (known < norm.ppf(0.01)).mean() < 0.014
    unknown = person_fit(plain, pool, N01, SETTINGS)
    assert (unknown < norm.ppf(0.01)).mean() > 0.02


@pytest.mark.parametrize(("first", "last", "power"), [(0, 10, 0.3), (15, 30, 0.4), (20, 30, 0.3)])
def test_sessions_that_guess_for_a_while_stand_out(pool, first, last, power):
    generator = np.random.default_rng(11)
    given = np.zeros((3000, 30), bool)
    given[:, first:last] = True
    rule = SelectionRule(answers=30, pool_share=0.1)
    guesses = RapidGuesses(given, np.full(600, 0.25))
    abilities = generator.normal(size=3000)
    taken = simulate_sessions(abilities, pool, pool, rule, generator, guesses=guesses)
    caught = (person_fit(_data(taken), pool, N01, SETTINGS) < norm.ppf(0.01)).mean()
    assert caught > power


def test_unknown_items_are_passed_over(pool):
    data = adaptive_data(pool, np.zeros(200), np.random.default_rng(2), answers=20)
    parameters = pool.copy()
    unknown = np.arange(0, 600, 3)
    parameters[unknown] = np.nan
    kept = ~np.isin(data.item, unknown)
    lengths = np.add.reduceat(kept, data.session_offsets[:-1])
    without = ResponseData(
        np.concatenate([[0], np.cumsum(lengths)]), data.item[kept], data.correct[kept], 600
    )
    assert person_fit(data, parameters, N01, SETTINGS) == pytest.approx(
        person_fit(without, pool, N01, SETTINGS)
    )


def test_a_session_without_known_items_has_no_fit(pool):
    offsets = np.array([0, 0, 2])
    data = ResponseData(offsets, np.array([0, 1], np.int32), np.array([1, 0], np.uint8), 2)
    assert np.isnan(person_fit(data, np.full((2, 3), np.nan), N01, SETTINGS)).all()
    found = person_fit(data, pool[:2], N01, SETTINGS)
    assert np.isnan(found).tolist() == [True, False]


def test_neither_the_order_of_sessions_nor_their_company_matters(pool):
    data = adaptive_data(pool, np.linspace(-1, 1, 2500), np.random.default_rng(4), answers=8)
    whole = person_fit(data, pool, N01, SETTINGS)
    half = ResponseData(data.session_offsets[:101], data.item[:800], data.correct[:800], 600)
    assert np.array_equal(person_fit(half, pool, N01, SETTINGS), whole[:100])
