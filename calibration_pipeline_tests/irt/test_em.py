import warnings
from collections.abc import Iterator
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.irt import cycles
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.cycles import OBJECTIVE_TOLERANCE
from calibration_pipeline.irt.em import NotConvergedWarning, fit
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.model import (
    FREE_COORDINATES,
    to_internal,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.problem import ItemProblem
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
from calibration_pipeline_tests.simulated import adaptive_data, complete_data, draw_items


@given(
    seed=st.integers(0, 10_000),
    model=st.sampled_from(["Rasch", "2PL", "3PL"]),
    prior=st.sampled_from(["none", "fixed", "learned"]),
    population=st.sampled_from([FIXED, Population(sd_is_estimated=True), FREE]),
    true_spread=st.sampled_from([0.4, 1.0, 1.4]),
    limit=st.integers(2, 40),
)
@settings(max_examples=150, derandomize=True)
def test_the_objective_never_falls_from_cycle_to_cycle(
    seed, model, prior, population, true_spread, limit
):
    """Within a phase; nor in the values given back, wherever the cycles are cut off."""
    generator = np.random.default_rng(seed)
    truth = draw_items(12, generator, model)
    data = adaptive_data(
        truth, generator.normal(0.3, true_spread, 80), generator, answers=8, pool_share=1
    )
    patient = EMConfiguration(maximum_cycles=limit, tolerance=1e-6)
    result = fit_quietly(data, problem_of(12, model, prior), population, patient)
    rows = [(row.phase, row.objective) for row in result.trace]
    rows.append((rows[-1][0], result.objective))
    for (phase, before), (next_phase, after) in pairwise(rows):
        assert next_phase != phase or after >= before - OBJECTIVE_TOLERANCE * abs(before)


def test_expansion_and_mixing_converge_in_far_fewer_cycles_to_the_same_place(monkeypatch):
    generator = np.random.default_rng(0)
    truth = draw_items(100, generator)
    data = adaptive_data(truth, generator.normal(size=400), generator, pool_share=1)
    mode = EMConfiguration(tolerance=1e-4, maximum_cycles=2000, integrates_items=False)

    def cycles_and_fit(memory: int, is_expanded: bool):
        monkeypatch.setattr(cycles, "ANDERSON_MEMORY", memory)
        with monkeypatch.context() as patch:
            if not is_expanded:
                patch.setattr(cycles.Cycles, "may_expand", lambda *_: False)
            result = fit_quietly(data, problem_of(100, prior="learned"), configuration=mode)
        return result.cycles, result

    fast, usual = cycles_and_fit(6, True)
    unmixed, same = cycles_and_fit(0, True)
    plain, near = cycles_and_fit(0, False)
    assert fast <= 20
    assert unmixed >= 1.5 * fast
    assert plain >= 4 * fast
    np.testing.assert_allclose(usual.parameters, same.parameters, atol=0.01)
    np.testing.assert_allclose(usual.parameters, near.parameters, atol=0.02)


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
