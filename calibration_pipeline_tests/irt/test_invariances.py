"""What must not change a fit: the order of what it is given, and how it is written down."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import ItemProblem
from calibration_pipeline.irt.expectation import expect, marginal_derivatives
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import (
    FIXED,
    FREE,
    fit_quietly,
    problem_of,
    with_fixed_items,
)
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

N_ITEMS, N_SESSIONS = 10, 60
EXACT = EMConfiguration(tolerance=1e-9, maximum_cycles=60)
"""So many cycles that a difference of rounding has no cycle limit to hide behind."""

cases = given(
    seed=st.integers(0, 10_000),
    model=st.sampled_from(["Rasch", "2PL", "3PL"]),
    prior=st.sampled_from(["fixed", "learned"]),
    population=st.sampled_from([FIXED, FREE]),
)
few = settings(max_examples=15, derandomize=True)


def simulated(seed: int, model: str) -> ResponseData:
    generator = np.random.default_rng(seed)
    truth = draw_items(N_ITEMS, generator, model)
    abilities = generator.normal(0.2, 1.1, N_SESSIONS)
    return adaptive_data(truth, abilities, generator, answers=7, pool_share=1)


def picked(data: ResponseData, rows: np.ndarray, lengths: np.ndarray) -> ResponseData:
    return replace(
        data,
        session_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        item=data.item[rows],
        correct=data.correct[rows],
        weights=None if data.weights is None else data.weights[rows],
    )


def posed(model: str, prior: str, population: Population) -> ItemProblem:
    """A learned prior holds no scale: where the population is free, three items do."""
    truth = draw_items(N_ITEMS, np.random.default_rng(0), model)
    n_fixed = 3 if prior == "learned" and population.mean_is_estimated else 0
    return with_fixed_items(problem_of(N_ITEMS, model, prior), truth, n_fixed)


def assert_same_fit(one, other, model, prior, population, *, tolerance=1e-6):
    problem = posed(model, prior, population)
    ours, theirs = (fit_quietly(data, problem, population, EXACT) for data in (one, other))
    np.testing.assert_allclose(ours.parameters, theirs.parameters, atol=tolerance)
    np.testing.assert_allclose(ours.population.sd, theirs.population.sd, atol=tolerance)
    np.testing.assert_allclose(ours.population.mean, theirs.population.mean, atol=tolerance)


def assert_same_step(one, other, model):
    """E-step, score and information, which no iteration stands between."""
    parameters = draw_items(N_ITEMS, np.random.default_rng(0), model)
    ours, theirs = (expect(data, parameters, FIXED, EXACT) for data in (one, other))
    np.testing.assert_allclose(ours.counts, theirs.counts, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-12)
    ours, theirs = (marginal_derivatives(d, parameters, FIXED, EXACT) for d in (one, other))
    np.testing.assert_allclose(ours.score, theirs.score, atol=1e-9)
    np.testing.assert_allclose(ours.information, theirs.information, atol=1e-9)
    for name in ("infit", "outfit", "infit_se", "outfit_se"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)


@cases
@few
def test_the_order_of_sessions_and_of_rows_does_not_matter(seed, model, prior, population):
    data = simulated(seed, model)
    generator = np.random.default_rng(seed + 1)
    lengths = np.diff(data.session_offsets)
    order = generator.permutation(N_SESSIONS)
    rows = np.concatenate(
        [data.session_offsets[s] + generator.permutation(lengths[s]) for s in order]
    )
    shuffled = picked(data, rows, lengths[order])
    assert_same_step(data, shuffled, model)
    assert_same_fit(data, shuffled, model, prior, population)


@cases
@few
def test_a_row_given_twice_equals_weight_two(seed, model, prior, population):
    data = simulated(seed, model)
    times = np.random.default_rng(seed + 1).integers(1, 3, data.n_responses)
    rows = np.repeat(np.arange(data.n_responses), times)
    lengths = np.add.reduceat(times, data.session_offsets[:-1])
    twice = picked(data, rows, lengths)
    weighted = replace(data, weights=times.astype(float))
    counts = np.bincount(twice.item, minlength=N_ITEMS)
    np.testing.assert_array_equal(weighted.item_weights, counts)
    assert_same_step(twice, weighted, model)
    assert_same_fit(twice, weighted, model, prior, population)


@cases
@few
def test_weight_zero_equals_absence(seed, model, prior, population):
    data = simulated(seed, model)
    kept = np.random.default_rng(seed + 1).random(data.n_responses) < 0.7
    rows = np.flatnonzero(kept)
    lengths = np.add.reduceat(kept.astype(int), data.session_offsets[:-1])
    absent = picked(data, rows, lengths)
    ignored = replace(data, weights=kept.astype(float))
    assert_same_step(absent, ignored, model)
    assert_same_fit(absent, ignored, model, prior, population)


@cases
@few
def test_cells_that_tell_nothing_change_nothing(seed, model, prior, population):
    """Whether all sessions share a cell, or are spread over cells of one group."""
    data = simulated(seed, model)
    cell = np.random.default_rng(seed + 1).integers(0, 4, N_SESSIONS).astype(np.int32)
    single = replace(data, cells=PopulationCells.single(N_SESSIONS))
    spread = replace(data, cells=PopulationCells(cell, np.zeros(4, np.int64), np.zeros(4)))
    problem = posed(model, prior, population)
    none, one = (fit_quietly(d, problem, population, EXACT) for d in (data, single))
    assert none.parameters.tobytes() == one.parameters.tobytes()
    assert none.population.sd.tobytes() == one.population.sd.tobytes()
    assert_same_fit(data, spread, model, prior, population)
