from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from calibration_pipeline.irt.common_uncertainty import common_loadings
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.expectation import marginal_derivatives
from calibration_pipeline.irt.observed_information import (
    JointUncertainty,
    observed_information,
)
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.problems import (
    FIXED,
    FREE,
    SETTINGS,
    fit_quietly,
    problem_of,
    with_fixed_items,
)
from calibration_pipeline_tests.irt.recoveries import (
    coverage,
    draw_from_prior,
    honest_problem,
    item_covariances,
    replicate,
)
from calibration_pipeline_tests.simulated import adaptive_data, complete_data

TIGHT = EMConfiguration(tolerance=1e-7, maximum_cycles=3000)
HASTY = EMConfiguration(maximum_cycles=12)
MODELS = ("Rasch", "2PL", "3PL")


@cache
def small_case(
    model: str, n_anchors: int, n_sessions: int = 600
) -> tuple[ResponseData, ItemProblem, EMResult]:
    generator = np.random.default_rng(0)
    truth = draw_from_prior(30, model, generator)
    abilities = generator.normal(size=n_sessions)
    data = adaptive_data(truth, abilities, generator, answers=15, pool_share=1)
    problem = honest_problem(truth, model, n_anchors)
    result = fit_quietly(data, problem, FREE if n_anchors else FIXED, TIGHT)
    return data, problem, result


@cache
def joint_of(model: str, n_anchors: int) -> JointUncertainty:
    return observed_information(*small_case(model, n_anchors), SETTINGS)


def loadings_of(data, problem, result, configuration=SETTINGS) -> np.ndarray:
    found = marginal_derivatives(data, result.parameters, result.population, configuration)
    return common_loadings(data, problem, result, found, configuration)


@pytest.mark.parametrize("n_anchors", [2, 6])
@pytest.mark.parametrize("model", MODELS)
def test_common_and_own_parts_add_up_to_the_joint_covariance(model, n_anchors):
    """Observed and expected information of one 3PL item differ by more than its common part."""
    data, problem, result = small_case(model, n_anchors)
    alone, together = item_covariances(data, problem, result)
    joint = joint_of(model, n_anchors)
    ours, theirs, without = (
        np.diagonal(c, axis1=1, axis2=2)[problem.free[:, 1], 1]
        for c in (together, joint.item_covariance, alone)
    )
    assert ours.sum() == pytest.approx(theirs.sum(), rel=0.07)
    assert np.median(ours / theirs) == pytest.approx(1.0, abs=0.05)
    assert np.median(without / theirs) < (0.9 if n_anchors == 2 else 0.97)


@pytest.mark.parametrize("n_anchors", [2, 6])
@pytest.mark.parametrize("model", MODELS)
def test_covariances_between_items_are_products_of_loadings(model, n_anchors):
    """Nothing but the scale ties the items: their joint covariance has rank two off the blocks."""
    data, problem, result = small_case(model, n_anchors)
    joint = joint_of(model, n_anchors)
    item, coordinate = np.nonzero(problem.free)
    at = np.flatnonzero(coordinate == 1)
    theirs = joint.covariance[np.ix_(at, at)]
    difficulty = loadings_of(data, problem, result)[item[at], 1]
    ours = difficulty @ difficulty.T
    between = ~np.eye(len(at), dtype=bool)
    assert ours[between].mean() == pytest.approx(theirs[between].mean(), rel=0.1)
    assert np.corrcoef(ours[between], theirs[between])[0, 1] > 0.96


@pytest.mark.parametrize("model", MODELS)
def test_without_anchors_the_sessions_say_how_well_the_scale_is_known(model):
    """The mean of n abilities from N(0, 1) is off by 1/√n, and with it every difficulty.

    A learned prior moves along, so it must not hold the scale while its errors are measured.
    """
    data, problem, result = small_case(model, 0)
    shared = loadings_of(data, problem, result)[:, 1].mean(axis=0)
    assert 0.9 < np.linalg.norm(shared) * np.sqrt(data.n_sessions) < 1.35


def test_more_anchors_leave_less_in_common():
    shared = [
        np.square(loadings_of(*small_case("2PL", n_anchors))[-20:, 1]).sum(axis=1).mean()
        for n_anchors in (1, 3, 9)
    ]
    assert shared[0] > 1.5 * shared[1] > 2 * shared[2] > 0


def test_what_is_fixed_has_no_part_in_it():
    data, problem, result = small_case("3PL", 5)
    loadings = loadings_of(data, problem, result)
    assert not loadings[~problem.free].any()
    assert loadings[5:, 1].any(axis=1).all()


@pytest.mark.parametrize("n_anchors", [4, 0])
def test_groups_that_do_not_differ_leave_the_common_part_as_it_is(n_anchors):
    """Without anchors the groups hold the scale together, and a pull must not loosen it."""
    data, problem, result = small_case("2PL", n_anchors)
    cells = PopulationCells((np.arange(600) % 2).astype(np.int32), np.arange(2), np.zeros(2))
    grouped = replace(data, cells=cells)
    is_free = n_anchors > 0
    population = Population([0, 0], [1, 1], mean_is_estimated=is_free, sd_is_estimated=is_free)
    alike = fit_quietly(grouped, problem, population, TIGHT)
    usual, shared = (
        np.square(loadings_of(*case)[n_anchors:, 1]).sum(axis=1)
        for case in ((data, problem, result), (grouped, problem, alike))
    )
    np.testing.assert_allclose(shared, usual, rtol=0.2)


def nothing_answered(n_items: int) -> ResponseData:
    """Sessions that answered nothing of the scale."""
    return ResponseData(
        np.zeros(21, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), n_items
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("population", [FIXED, FREE], ids=["fixed", "free"])
@pytest.mark.parametrize("prior", ["fixed", "learned"])
@pytest.mark.parametrize("n_free", [0, 1, 2, 6])
def test_degenerate_cases_stay_finite(model, population, prior, n_free):
    truth = draw_from_prior(6, model, np.random.default_rng(0))
    answered = complete_data(np.random.default_rng(1).integers(0, 2, (40, 6)))
    right = complete_data(np.ones((3, 6)))
    for data in (answered, right, nothing_answered(6)):
        problem = with_fixed_items(problem_of(6, model, prior), truth, 6 - n_free)
        result = fit_quietly(data, problem, population, HASTY)
        loadings = loadings_of(data, problem, result, HASTY)
        assert loadings.shape == (6, 3, 2)
        assert np.isfinite(loadings).all()
        assert not loadings[~problem.free].any()


def assert_intervals_are_honest(model: str, n_anchors: int, seeds: range, low: float, high: float):
    replications = [replicate(seed, model, n_anchors) for seed in seeds]
    covered = coverage(np.concatenate([found.z for found in replications]))
    assert len(covered) == {"Rasch": 1, "1PL": 1, "2PL": 2, "3PL": 3}[model]
    assert low <= covered.min() <= covered.max() <= high
    return replications


@pytest.mark.parametrize("n_anchors", [8, 0], ids=["anchors", "none"])
@pytest.mark.parametrize("model", ["1PL", "2PL", "3PL"])
def test_intervals_cover_the_truth_in_a_few_replications(model, n_anchors):
    assert_intervals_are_honest(model, n_anchors, range(5), 0.915, 0.985)


@pytest.mark.slow
@pytest.mark.parametrize("n_anchors", [8, 0], ids=["anchors", "none"])
@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL"])
def test_intervals_cover_the_truth_in_twenty_replications(model, n_anchors):
    assert_intervals_are_honest(model, n_anchors, range(20), 0.93, 0.97)


@pytest.mark.slow
def test_intervals_that_leave_out_the_scale_cover_too_little():
    for model in ("Rasch", "2PL"):
        replications = [replicate(seed, model, 8) for seed in range(20)]
        assert coverage(np.concatenate([found.z_alone for found in replications]))[-1] < 0.925
