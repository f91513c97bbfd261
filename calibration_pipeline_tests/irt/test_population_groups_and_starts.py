"""Groups of candidates, and sessions whose items depend on what the engine knew before."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from calibration_pipeline.irt.em import EMResult, ItemProblem, fit
from calibration_pipeline.irt.model import standard_errors
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.priors import ItemPriors
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline_tests.irt.problems import FREE, SETTINGS, fit_quietly, problem_of
from calibration_pipeline_tests.irt.recoveries import (
    MEAN,
    SD,
    coverage,
    draw_from_prior,
    honest_problem,
    item_covariances,
)
from calibration_pipeline_tests.simulated import adaptive_data

AUTHOR_ERROR = 0.5
START_ERROR = 0.5
WITH_STARTS = Population(mean_is_estimated=True, sd_is_estimated=True, has_covariate=True)


@dataclass(frozen=True)
class KnownStarts:
    """Sessions that start near their ability, from an engine that knows the authors' guesses."""

    truth: np.ndarray
    data: ResponseData
    problem: ItemProblem


def known_starts(seed: int, n_items: int = 300, n_sessions: int = 6000) -> KnownStarts:
    """20 answers, 36 anchors; the start is what a noisy earlier estimate says of the ability.

    Its regression is exact: slope 1, residual variance .2.
    """
    generator = np.random.default_rng(seed)
    author = generator.normal(size=n_items)
    mean = np.column_stack([np.full(n_items, MEAN[0]), author, np.full(n_items, MEAN[2])])
    sd = np.array([SD[0], AUTHOR_ERROR, SD[2]])
    internal = generator.normal(mean, sd)
    truth, believed = (
        np.column_stack([np.exp(x[:, 0]), x[:, 1], 1 / (1 + np.exp(-x[:, 2]))])
        for x in (internal, mean)
    )
    abilities = generator.normal(size=n_sessions)
    noisy = abilities + generator.normal(0.0, START_ERROR, n_sessions)
    starts = noisy / (1.0 + START_ERROR**2)
    rule = SelectionRule(answers=20, pool_share=0.2, start_sd=np.sqrt(0.2))
    sessions = simulate_sessions(abilities, truth, believed, rule, generator, starts=starts)
    bins, cell = np.unique(np.rint(starts * 16).astype(np.int64), return_inverse=True)
    data = ResponseData(
        np.arange(n_sessions + 1, dtype=np.int64) * 20,
        sessions.item.ravel(),
        sessions.correct.ravel(),
        n_items,
        cells=PopulationCells(cell.astype(np.int32), np.zeros(len(bins), np.int64), bins / 16),
    )
    free = np.repeat((np.arange(n_items) >= 36)[:, None], 3, axis=1)
    start = np.where(free, believed, truth)
    return KnownStarts(truth, data, ItemProblem(start, free, ItemPriors.normal(mean, sd, free)))


@dataclass(frozen=True)
class Judged:
    """Items with 100 answers or more: slope of the truth on the estimate of b, RMSE, and z."""

    slope: float
    rmse: float
    z: np.ndarray
    result: EMResult


def judge(case: KnownStarts, data: ResponseData, population: Population) -> Judged:
    result = fit(data, case.problem, population, SETTINGS)
    _, covariance = item_covariances(data, case.problem, result)
    judged = case.problem.free[:, 1] & (data.item_counts >= 100)
    estimate, truth = result.parameters[judged], case.truth[judged]
    z = (estimate - truth) / standard_errors(estimate, covariance[judged])
    slope = np.polyfit(estimate[:, 1], truth[:, 1], 1)[0]
    return Judged(slope, np.sqrt(np.square(estimate - truth)[:, 1].mean()), z, result)


def test_the_regression_undoes_what_selection_by_known_starts_does():
    """Without it difficulties are compressed by a fifth, and a quarter of the intervals miss."""
    told, ignored = [], []
    for seed in range(4):
        case = known_starts(seed)
        told.append(judge(case, case.data, WITH_STARTS))
        ignored.append(judge(case, replace(case.data, cells=None), FREE))
    slope, compressed = (np.mean([found.slope for found in side]) for side in (told, ignored))
    assert slope == pytest.approx(1.0, abs=0.03)
    assert compressed > 1.1
    gain = 1.0 - np.mean([f.rmse for f in told]) / np.mean([f.rmse for f in ignored])
    assert gain > 0.25
    covered, missed = (coverage(np.concatenate([f.z for f in side])) for side in (told, ignored))
    assert 0.93 <= covered[1] <= 0.97
    assert missed[1] < 0.85


def test_the_regression_of_ability_on_the_start_is_found():
    case = known_starts(0)
    population = fit(case.data, case.problem, WITH_STARTS, SETTINGS).population
    assert population.slope[0] == pytest.approx(1.0, abs=0.05)
    assert population.sd[0] == pytest.approx(np.sqrt(0.2), abs=0.02)
    assert population.mean[0] == pytest.approx(0.0, abs=0.05)


def two_groups(seed: int, n_anchors: int):
    """Sessions of N(.5, .8²) and N(−.7, 1.3²), two to one; 60 2PL items."""
    generator = np.random.default_rng(seed)
    truth = draw_from_prior(60, "2PL", generator)
    group = (np.arange(6000) % 3 == 0).astype(np.int64)
    abilities = generator.normal(np.array([0.5, -0.7])[group], np.array([0.8, 1.3])[group])
    data = adaptive_data(truth, abilities, generator, answers=20, pool_share=1)
    cells = PopulationCells(group.astype(np.int32), np.arange(2), np.zeros(2))
    problem = honest_problem(truth, "2PL", n_anchors)
    return truth, abilities, group, replace(data, cells=cells), problem


def test_groups_are_told_apart_with_anchors():
    truth, abilities, group, data, problem = two_groups(0, 12)
    start = Population([0, 0], [1, 1], mean_is_estimated=True, sd_is_estimated=True)
    result = fit(data, problem, start, SETTINGS)
    for number in (0, 1):
        own = abilities[group == number]
        assert result.population.mean[number] == pytest.approx(own.mean(), abs=0.06)
        assert result.population.sd[number] == pytest.approx(own.std(), rel=0.06)
    assert np.abs(result.parameters - truth)[12:, 1].mean() < 0.15


def test_groups_are_told_apart_without_anchors_and_together_keep_the_scale():
    """All sessions together stay N(0, 1); between the groups the differences are the true ones."""
    truth, abilities, group, data, problem = two_groups(0, 0)
    result = fit(data, problem, Population([0, 0], [1, 1]), SETTINGS)
    population = result.population
    mean, sd = population.pooled(data.population_cells, np.bincount(group).astype(float))
    assert mean == pytest.approx(0.0, abs=1e-9)
    assert sd == pytest.approx(1.0, abs=1e-9)
    unit = (abilities - abilities.mean()) / abilities.std()
    for number in (0, 1):
        own = unit[group == number]
        assert population.mean[number] == pytest.approx(own.mean(), abs=0.04)
        assert population.sd[number] == pytest.approx(own.std(), rel=0.04)
    moved = (truth[:, 1] - abilities.mean()) / abilities.std()
    assert np.abs(result.parameters[:, 1] - moved).mean() < 0.15
    assert np.polyfit(moved, result.parameters[:, 1], 1)[0] == pytest.approx(1.0, abs=0.06)


def test_one_population_for_two_groups_hides_their_spread():
    _, _, group, data, problem = two_groups(0, 12)
    pooled = fit(replace(data, cells=None), problem, FREE, SETTINGS).population
    apart = fit(data, problem, Population([0, 0], [1, 1], True, True), SETTINGS).population
    together = apart.pooled(data.population_cells, np.bincount(group).astype(float))
    assert together == pytest.approx((pooled.mean[0], pooled.sd[0]), abs=0.04)


@pytest.mark.parametrize("has_covariate", [False, True])
def test_groups_under_two_holds_of_the_scale_are_refused(has_covariate):
    _, _, _, data, _ = two_groups(0, 0)
    held = Population([0, 0], [1, 1], has_covariate=has_covariate)
    with pytest.raises(ValueError, match="need an estimated population"):
        fit(data, problem_of(60, "2PL", "fixed"), held, SETTINGS)


def test_groups_of_few_sessions_are_finite():
    _, _, _, data, problem = two_groups(0, 12)
    cell = np.zeros(6000, np.int32)
    cell[0] = 1
    lonely = replace(data, cells=PopulationCells(cell, np.arange(2), np.array([0.0, 0.5])))
    start = Population([0, 0], [1, 1], True, True, has_covariate=True)
    population = fit_quietly(lonely, problem, start).population
    assert np.isfinite([population.mean, population.slope, population.sd]).all()
    assert (population.sd > 0).all()
