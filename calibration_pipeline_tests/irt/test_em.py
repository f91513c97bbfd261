import warnings
from collections.abc import Iterator

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import (
    OBJECTIVE_TOLERANCE,
    ItemProblem,
    NotConvergedWarning,
    fit,
)
from calibration_pipeline.irt.expectation import Population, marginal_derivatives
from calibration_pipeline.irt.model import (
    FREE_COORDINATES,
    to_internal,
)
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline_tests.irt.problems import (
    FIXED,
    FREE,
    PATIENT,
    PRIOR_MEAN,
    PRIOR_SD,
    SETTINGS,
    adaptive_night,
    fit_quietly,
    problem_of,
)
from calibration_pipeline_tests.reference_data import read_responses, reference_file
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items


@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("lsat6", "Rasch", -2473.054),
        ("lsat6", "1PL", -2466.938),
        ("lsat6", "2PL", -2466.653),
        ("lsat7", "1PL", -2664.901),
        ("lsat7", "2PL", -2658.805),
        ("irtoys_scored", "1PL", -4948.813),
        ("irtoys_scored", "2PL", -4842.904),
    ],
)
def test_log_likelihood_without_priors_is_the_published_one(name, model, expected):
    data = read_responses(f"{name}.csv")
    population = Population(sd_is_estimated=model == "1PL")
    result = fit(data, problem_of(data.n_items, model, "none"), population, PATIENT)
    assert result.log_likelihood == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", ["LSAT6", "LSAT7"])
@pytest.mark.parametrize("model", ["1PL", "2PL"])
def test_parameters_without_priors_are_the_published_ones(name, model):
    """A 1PL's common slope is our population's sd, and its difficulties are stretched by it."""
    table = pd.read_csv(reference_file("reference/lsat_item_parameters.csv"))
    table = table[(table["data"] == name) & (table["model"] == model)]
    data = read_responses(f"{name.lower()}.csv")
    population = Population(sd_is_estimated=model == "1PL")
    precise = EMConfiguration(tolerance=1e-6, maximum_cycles=2000)
    result = fit(data, problem_of(5, model, "none"), population, precise)
    sd = result.population.sd
    np.testing.assert_allclose(result.parameters[:, 0] * sd, table["a"], atol=0.002)
    np.testing.assert_allclose(result.parameters[:, 1] / sd, table["b"], atol=0.002)


@given(
    seed=st.integers(0, 10_000),
    model=st.sampled_from(["Rasch", "2PL", "3PL"]),
    prior=st.sampled_from(["none", "fixed", "learned"]),
    population=st.sampled_from([FIXED, Population(sd_is_estimated=True), FREE]),
    true_spread=st.sampled_from([0.4, 1.0, 1.4]),
    cycles=st.integers(2, 40),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_the_objective_never_falls_from_cycle_to_cycle(
    seed, model, prior, population, true_spread, cycles
):
    """Nor in the values given back, wherever the cycles are cut off."""
    generator = np.random.default_rng(seed)
    truth = draw_items(12, generator, model)
    data = adaptive_data(
        truth, generator.normal(0.3, true_spread, 80), generator, answers=8, pool_share=1
    )
    patient = EMConfiguration(maximum_cycles=cycles, tolerance=1e-6)
    result = fit_quietly(data, problem_of(12, model, prior), population, patient)
    objective = np.array([*(row.objective for row in result.trace), result.objective])
    falls = np.diff(objective) < -OBJECTIVE_TOLERANCE * np.abs(objective[:-1])
    assert not falls.any()


def test_expansion_converges_in_far_fewer_cycles_to_the_same_objective():
    generator = np.random.default_rng(0)
    truth = draw_items(100, generator)
    data = adaptive_data(truth, generator.normal(size=400), generator, pool_share=1)
    learned = problem_of(100, prior="learned")
    expanded = fit_quietly(data, learned)
    assert any(row.is_expanded for row in expanded.trace)
    assert expanded.cycles <= 30
    slow = fit_quietly(data, learned, configuration=EMConfiguration(tolerance=1e-5))
    assert expanded.objective == pytest.approx(slow.objective, abs=0.5)


def test_a_fit_without_expansion_says_so():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (50, 6)))
    result = fit_quietly(data, problem_of(6, prior="fixed"))
    assert not any(row.is_expanded for row in result.trace)


def test_stopping_early_is_a_warning_and_data():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (200, 6)))
    with pytest.warns(NotConvergedWarning, match="raise maximum_cycles"):
        result = fit(data, problem_of(6), FIXED, EMConfiguration(maximum_cycles=2))
    assert not result.converged
    assert result.cycles == 2


def test_convergence_is_silent():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (200, 6)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = fit(data, problem_of(6), FIXED, SETTINGS)
    assert result.converged
    assert result.trace[-1].largest_change < SETTINGS.tolerance


def test_the_estimate_is_a_stationary_point_of_likelihood_and_prior():
    generator = np.random.default_rng(1)
    truth = draw_items(20, generator)
    data = adaptive_data(truth, generator.normal(size=1500), generator, answers=15, pool_share=1)
    problem = problem_of(20)
    result = fit(data, problem, FIXED, EMConfiguration(tolerance=1e-7, maximum_cycles=3000))
    assert isinstance(problem.priors, ItemPriors)
    inside = result.parameters[:, 2] < 0.349
    score = marginal_derivatives(data, result.parameters, FIXED, SETTINGS).score
    internal = to_internal(result.parameters)
    pull = np.einsum("jkm,jm->jk", problem.priors.precision, internal)
    gradient = score + problem.priors.linear - pull
    assert inside.sum() >= 15
    np.testing.assert_allclose(gradient[inside], 0.0, atol=0.01)


def test_fixed_items_come_back_to_the_bit():
    truth, data, problem, is_anchor = adaptive_night(0, n_sessions=800, n_items=120, n_anchors=20)
    result = fit_quietly(data, problem, FREE)
    assert result.parameters[is_anchor].tobytes() == truth[is_anchor].tobytes()
    assert (result.parameters[~is_anchor] != problem.start[~is_anchor]).any(axis=1).all()


def test_a_3pl_item_is_never_fitted_as_a_2pl():
    """A bank that says 0 guesses is a start like any other where guessing is free."""
    generator = np.random.default_rng(0)
    truth = draw_items(30, generator)
    data = adaptive_data(truth, generator.normal(size=1000), generator, answers=15, pool_share=1)
    problem = problem_of(30)
    without = problem.start.copy()
    without[:, 2] = 0.0
    from_zero = fit(data, ItemProblem(without, problem.free, problem.priors), FIXED, PATIENT)
    usual = fit(data, problem, FIXED, PATIENT)
    assert (from_zero.parameters[:, 2] > 0).all()
    np.testing.assert_allclose(from_zero.parameters, usual.parameters, atol=0.02)


def test_models_can_be_mixed():
    generator = np.random.default_rng(3)
    truth = draw_items(12, generator)
    models = ["Rasch", "2PL", "3PL"] * 4
    free = np.array([FREE_COORDINATES[model] for model in models], bool)
    truth[~free[:, 0], 0], truth[~free[:, 2], 2] = 1.0, 0.0
    start = np.where(free, [1.0, 0.0, 0.17], [1.0, 0.0, 0.0])
    data = adaptive_data(truth, generator.normal(size=4000), generator, answers=12, pool_share=1)
    priors = ItemPriors.normal(PRIOR_MEAN, PRIOR_SD, free)
    result = fit(data, ItemProblem(start, free, priors), FIXED, SETTINGS)
    assert (result.parameters[~free[:, 0], 0] == 1.0).all()
    assert (result.parameters[~free[:, 2], 2] == 0.0).all()
    assert np.abs(result.parameters[:, 1] - truth[:, 1]).max() < 0.3


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


def test_a_fit_has_the_same_bytes_on_one_thread_and_on_two(restored_threads):
    generator = np.random.default_rng(0)
    truth = draw_items(60, generator)
    data = adaptive_data(truth, generator.normal(size=9000), generator, answers=25, pool_share=1)
    assert len(data.shard_sessions) > 3
    found = set()
    for threads in (1, 2, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        result = fit(data, problem_of(60, prior="learned"), FIXED, SETTINGS)
        found.add(result.parameters.tobytes())
    assert len(found) == 1
