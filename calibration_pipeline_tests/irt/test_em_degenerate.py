import numpy as np
import pytest

from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import FIXED, FREE, SETTINGS, fit_quietly, problem_of
from calibration_pipeline_tests.simulated import complete_data

DEGENERATE = {
    "all right": np.ones((30, 5)),
    "all wrong": np.zeros((30, 5)),
    "one session": np.array([[0, 1, 1, 0, 1]]),
    "one item": np.array([[0], [1], [1], [0]]),
    "one answer": np.array([[1]]),
}


@pytest.mark.parametrize("prior", ["none", "fixed", "learned"])
@pytest.mark.parametrize("model", ["Rasch", "2PL", "3PL"])
@pytest.mark.parametrize("population", [FIXED, FREE], ids=["fixed", "free"])
@pytest.mark.parametrize("answers", DEGENERATE.values(), ids=list(DEGENERATE))
def test_degenerate_answers_give_finite_results(answers, population, model, prior):
    data = complete_data(answers)
    result = fit_quietly(data, problem_of(data.n_items, model, prior), population)
    found = marginal_derivatives(data, result.parameters, result.population, SETTINGS)
    assert np.isfinite(result.parameters).all()
    assert np.isfinite([result.objective, *result.population.mean, *result.population.sd]).all()
    assert np.isfinite(found.information).all()
    assert np.isfinite(found.score).all()


def test_a_population_never_gets_narrower_than_the_nodes_can_tell():
    nodes = np.linspace(-6, 6, 61)
    everybody_here = np.where(np.arange(61) == 30, 100.0, 0.0)[None]
    free = Population(mean_is_estimated=True, sd_is_estimated=True)
    found = free.updated(nodes, PopulationCells.single(100), everybody_here)
    assert found.sd[0] == pytest.approx(0.2)


def test_an_item_nobody_answered_stays_at_its_prior():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (100, 4)))
    wider = ResponseData(data.session_offsets, data.item, data.correct, 5)
    result = fit_quietly(wider, problem_of(5))
    assert result.parameters[4, 1] == pytest.approx(0.0, abs=1e-6)
    assert result.parameters[4, 0] == pytest.approx(1.0, abs=1e-6)
    alone = fit_quietly(data, problem_of(4))
    np.testing.assert_allclose(result.parameters[:4], alone.parameters, atol=SETTINGS.tolerance)


def test_anchors_without_answers_change_nothing():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (100, 4)))
    wider = ResponseData(data.session_offsets, data.item, data.correct, 6)
    problem = problem_of(6)
    problem.free[4:] = False
    problem.start[4:] = [1.3, 0.5, 0.2]
    result = fit_quietly(wider, problem)
    alone = fit_quietly(data, problem_of(4))
    assert (result.parameters[4:] == [1.3, 0.5, 0.2]).all()
    np.testing.assert_allclose(result.parameters[:4], alone.parameters, atol=1e-9)


def test_no_session_at_all_is_refused():
    nothing = ResponseData(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), 2)
    with pytest.raises(ValueError, match="no session"):
        fit(nothing, problem_of(2), FIXED, SETTINGS)


def test_answers_to_items_beyond_the_problem_are_refused():
    data = complete_data(np.random.default_rng(0).integers(0, 2, (20, 4)))
    with pytest.raises(ValueError, match="answers to 4 items, but a problem of 3"):
        fit(data, problem_of(3), FIXED, SETTINGS)
