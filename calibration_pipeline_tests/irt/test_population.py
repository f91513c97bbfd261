import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import fit
from calibration_pipeline.irt.population import (
    LARGEST_STRETCH,
    Population,
    PopulationCells,
    ability_nodes,
    node_spacing,
    normal_log_weights,
    quadrature_nodes,
)
from calibration_pipeline_tests.irt.problems import FREE, SETTINGS, problem_of, with_fixed_items
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

NODES = quadrature_nodes(SETTINGS)
ONE = PopulationCells.single(1)
CELLS = PopulationCells(
    cell=np.zeros(0, np.int32),
    group=np.array([0, 0, 0, 1, 1, 1]),
    covariate=np.array([-1.0, 0.0, 2.0, -0.5, 0.5, 1.0]),
)
TWO_GROUPS = Population([0.3, -0.4], [0.8, 1.1], slope=[0.6, 0.0])


def some_mass(seed: int = 0) -> np.ndarray:
    """Expected sessions per cell and node, ``(6, n_nodes)``: not normal, not alike."""
    generator = np.random.default_rng(seed)
    sessions = generator.uniform(5.0, 50.0, 6)
    centre = 0.7 * CELLS.covariate + np.where(CELLS.group == 0, 0.4, -0.9)
    weights = np.exp(normal_log_weights(NODES, centre, np.full(6, 0.9)))
    weights *= generator.uniform(0.2, 1.0, weights.shape)
    return sessions[:, None] * weights / weights.sum(axis=1, keepdims=True)


def test_weights_sum_to_one_in_every_cell_and_follow_the_regression():
    weights = np.exp(TWO_GROUPS.log_weights(NODES, CELLS))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    expected = [-0.3, 0.3, 1.5, -0.4, -0.4, -0.4]
    np.testing.assert_allclose(TWO_GROUPS.cell_means(CELLS), expected)
    np.testing.assert_allclose(weights @ NODES, expected, atol=1e-4)


@given(mean=st.floats(-40.0, 40.0), sd=st.floats(0.2, 20.0))
def test_weights_are_finite_however_far_away_the_population_is(mean, sd):
    log_weights = normal_log_weights(NODES, mean, sd)
    assert np.isfinite(log_weights).all()
    assert np.exp(log_weights).sum() == pytest.approx(1.0)


def test_pooled_moments_are_those_of_the_mixture():
    generator = np.random.default_rng(0)
    sessions = np.array([200.0, 300.0, 100.0, 50.0, 250.0, 100.0])
    draws = np.concatenate(
        [
            generator.normal(mean, TWO_GROUPS.sd[group], int(2000 * n))
            for mean, group, n in zip(
                TWO_GROUPS.cell_means(CELLS), CELLS.group, sessions, strict=True
            )
        ]
    )
    mean, sd = TWO_GROUPS.pooled(CELLS, sessions)
    assert mean == pytest.approx(draws.mean(), abs=0.005)
    assert sd == pytest.approx(draws.std(), abs=0.005)


def test_rescaling_moves_abilities_and_leaves_the_covariate():
    moved = TWO_GROUPS.rescaled(1.5, -0.2)
    np.testing.assert_allclose(moved.cell_means(CELLS), 1.5 * TWO_GROUPS.cell_means(CELLS) - 0.2)
    np.testing.assert_allclose(moved.sd, 1.5 * TWO_GROUPS.sd)
    sessions = np.arange(1.0, 7.0)
    mean, sd = TWO_GROUPS.pooled(CELLS, sessions)
    assert moved.pooled(CELLS, sessions) == pytest.approx((1.5 * mean - 0.2, 1.5 * sd))


def by_hand(mass: np.ndarray, group: int) -> tuple[float, float, float]:
    """Weighted least squares of all (covariate, node) pairs of one group."""
    rows = CELLS.group == group
    x = np.repeat(CELLS.covariate[rows], len(NODES))
    y, w = np.tile(NODES, rows.sum()), mass[rows].ravel()
    slope, mean = np.polyfit(x, y, 1, w=np.sqrt(w))
    return mean, slope, np.sqrt(np.average(np.square(y - mean - slope * x), weights=w))


def test_updating_is_a_weighted_regression_in_each_group():
    mass = some_mass()
    start = Population([0, 0], [1, 1], True, True, has_covariate=True)
    found = start.updated(NODES, CELLS, mass)
    for group in (0, 1):
        here = found.mean[group], found.slope[group], found.sd[group]
        assert here == pytest.approx(by_hand(mass, group))


def test_without_a_covariate_only_location_and_spread_follow():
    mass = some_mass()
    found = Population([0, 0], [1, 1], True, True, slope=[0, 0]).updated(NODES, CELLS, mass)
    first = mass[:3].sum(axis=0)
    mean = first @ NODES / first.sum()
    assert found.slope.tolist() == [0.0, 0.0]
    assert found.mean[0] == pytest.approx(mean)
    assert found.sd[0] == pytest.approx(np.sqrt(first @ np.square(NODES - mean) / first.sum()))


def test_what_is_not_estimated_stays():
    mass = some_mass()[:1]
    held = Population(0.2, 1.3).updated(NODES, ONE, mass)
    assert (held.mean, held.sd) == (0.2, 1.3)
    located = Population(0.2, 1.3, mean_is_estimated=True).updated(NODES, ONE, mass)
    assert located.sd == 1.3
    assert located.mean == pytest.approx(mass[0] @ NODES / mass.sum())


def test_a_group_without_sessions_stays_and_a_constant_covariate_has_no_slope():
    mass = some_mass()
    mass[3:] = 0.0
    start = Population([0, 0.7], [1, 1.2], True, True, slope=[0, 0.4], has_covariate=True)
    found = start.updated(NODES, CELLS, mass)
    assert (found.mean[1], found.slope[1], found.sd[1]) == (0.7, 0.4, 1.2)
    constant = PopulationCells(CELLS.cell, CELLS.group, np.full(6, 1.5))
    found = start.updated(NODES, constant, some_mass())
    assert found.slope.tolist() == [0.0, 0.0]
    assert np.isfinite([found.mean, found.sd]).all()


@pytest.mark.parametrize("tilt", [-40.0, 0.0, 30.0])
def test_updating_maximises_expected_likelihood_and_tilt(tilt):
    """Over the standard deviations of both groups, found by a general optimiser."""
    mass = some_mass()
    start = Population([0, 0], [1, 1], True, True, has_covariate=True)
    found = start.updated(NODES, CELLS, mass, tilt)
    distance = np.square(NODES - found.cell_means(CELLS)[:, None])
    sessions = mass.sum(axis=1)
    share = np.bincount(CELLS.group, sessions) / sessions.sum()

    def loss(log_sd: np.ndarray) -> float:
        of_cell = log_sd[CELLS.group]
        expected = (mass * (distance * np.exp(-2 * of_cell)[:, None] / -2)).sum()
        return -(expected - sessions @ of_cell + tilt * share @ log_sd)

    best = minimize(loss, np.zeros(2), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(found.sd, np.exp(best.x), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 0], [1]), "one value per group"),
        ((0.0, 0.0), "positive standard deviation"),
        ((0.0, -1.0), "positive standard deviation"),
        ((0.0, np.nan), "positive standard deviation"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Population(*arguments)


@given(mean=st.floats(-60.0, 60.0), sd=st.floats(0.2, 30.0))
def test_wider_nodes_hold_the_configured_ones_at_the_same_distance(mean, sd):
    nodes = ability_nodes(Population(mean, sd), ONE, SETTINGS)
    np.testing.assert_allclose(np.diff(nodes), node_spacing(SETTINGS))
    extra = (len(nodes) - len(NODES)) // 2
    np.testing.assert_allclose(nodes[extra : extra + len(NODES)], NODES, atol=1e-9)
    reach = min(abs(mean) + 5 * sd, LARGEST_STRETCH * SETTINGS.quadrature_bound)
    assert nodes[-1] >= reach - 1e-6
    assert nodes[-1] < max(reach, SETTINGS.quadrature_bound) + node_spacing(SETTINGS)


def test_a_population_within_the_configured_nodes_gets_them_to_the_bit():
    assert ability_nodes(Population(0.5, 1.1), ONE, SETTINGS).tobytes() == NODES.tobytes()


def test_nodes_reach_around_the_outermost_cell():
    population = Population([0.0, 4.0], [1.0, 0.5], slope=[0.0, 2.0])
    assert ability_nodes(population, CELLS, SETTINGS)[-1] == pytest.approx(6 + 5 * 0.5, abs=0.2)


@pytest.mark.parametrize(("mean", "sd"), [(1.5, 2.5), (0.0, 3.0)])
def test_a_wide_population_is_recovered_with_the_usual_nodes(mean, sd):
    """Nodes that end at ±6 push the population in: a spread of 3 was once found as 2.76."""
    generator = np.random.default_rng(0)
    truth = draw_items(80, generator, "2PL") * [1.0, 2.0, 1.0]
    abilities = generator.normal(mean, sd, 8000)
    data = adaptive_data(truth, abilities, generator, answers=30, pool_share=1)
    result = fit(data, with_fixed_items(problem_of(80, "2PL"), truth, 80), FREE, SETTINGS)
    assert result.population.mean == pytest.approx(abilities.mean(), abs=0.03)
    assert result.population.sd == pytest.approx(abilities.std(), rel=0.015)


def test_the_grid_follows_the_configuration():
    coarse = EMConfiguration(quadrature_nodes=21, quadrature_bound=5.0)
    assert node_spacing(coarse) == 0.5
    assert len(ability_nodes(Population(0.0, 2.0), ONE, coarse)) == 21 + 2 * 10
