from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import ItemProblem, fit
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior
from calibration_pipeline_tests.irt.problems import FIXED, PRIOR_MEAN, PRIOR_SD
from calibration_pipeline_tests.irt.recoveries import draw_from_prior, random_data

ALL_FREE = np.ones((40, 3), bool)


def some_items(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal([0.2, 0.4, -1.5], [0.3, 1.1, 0.4], (40, 3))


def test_log_density_is_normal_up_to_a_constant():
    mean, sd = np.array([0.1, -0.2, -1.4]), np.array([0.3, 1.2, 0.5])
    priors = ItemPriors.normal(mean, sd, ALL_FREE)
    first, second = some_items(1), some_items(2)
    ours = priors.log_density(first) - priors.log_density(second)
    theirs = (stats.norm.logpdf(first, mean, sd) - stats.norm.logpdf(second, mean, sd)).sum()
    assert ours == pytest.approx(theirs)


def test_a_coordinate_that_is_not_free_has_no_prior():
    free = ALL_FREE.copy()
    free[:, 2] = False
    priors = ItemPriors.normal(np.zeros(3), np.ones(3), free)
    assert not priors.precision[:, 2].any()
    assert not priors.linear[:, 2].any()


def test_no_prior_is_flat():
    assert ItemPriors.none(40).log_density(some_items()) == 0.0


@given(
    seed=st.integers(0, 10_000),
    mean=st.tuples(st.floats(-1.0, 1.0), st.floats(-3.0, 3.0)),
    log_sd=st.tuples(st.floats(-2.0, 1.0), st.floats(-2.0, 1.0)),
)
def test_updating_never_lowers_the_density(seed, mean, log_sd):
    items = some_items(seed)
    start = LearnedPrior.starting_at([0, 0, -1.6], [0.5, 1.5, 0.5])
    start = replace(start, mean=np.array([*mean, -1.6]), sd=np.array([*np.exp(log_sd), 0.5]))
    found = start.updated(items, ALL_FREE)
    assert found.log_density(items, ALL_FREE) >= start.log_density(items, ALL_FREE) - 1e-9


def test_guessing_keeps_its_prior():
    start = LearnedPrior.starting_at([0, 0, -1.6], [0.5, 1.5, 0.5])
    learned = start.updated(some_items(), ALL_FREE)
    assert (learned.mean[2], learned.sd[2]) == (-1.6, 0.5)


def test_items_that_are_not_free_teach_nothing():
    items, free = some_items(), ALL_FREE.copy()
    items[:10], free[:10] = 99.0, False
    start = LearnedPrior.starting_at([0, 0, -1.6], [0.5, 1.5, 0.5])
    learned = start.updated(items, free)
    only = start.updated(items[10:], free[10:])
    np.testing.assert_allclose(learned.mean, only.mean)
    np.testing.assert_allclose(learned.sd, only.sd)


@given(st.floats(0.5, 2.0), st.floats(-1.0, 1.0))
def test_rescaling_moves_the_prior_with_the_items(slope, intercept):
    prior = LearnedPrior.starting_at([0.1, 0.3, -1.6], [0.5, 1.5, 0.5])
    items = some_items()
    moved_items = items * [1, slope, 1] + [-np.log(slope), intercept, 0]
    moved = prior.rescaled(slope, intercept)
    before = (items - prior.mean) / prior.sd
    np.testing.assert_allclose((moved_items - moved.mean) / moved.sd, before, atol=1e-12)


@given(
    seed=st.integers(0, 10_000),
    slope=st.floats(0.3, 3.0),
    intercept=st.floats(-2.0, 2.0),
    coordinates=st.sampled_from([[1, 1, 1], [1, 1, 0], [0, 1, 0]]),
)
def test_no_unit_of_the_scale_is_likelier_than_another(seed, slope, intercept, coordinates):
    """Items and prior moved together: the density over slope and intercept stays the same.

    Fixed slopes can't move, so that for Rasch items there is an origin but no unit to choose.
    """
    free = np.tile(np.array(coordinates, bool), (40, 1))
    slope = slope if free[0, 0] else 1.0
    items = np.where(free, some_items(seed), 0.0)
    prior = LearnedPrior.starting_at([0.1, 0.3, -1.6], [0.5, 1.5, 0.5]).updated(items, free)
    moved = items * [1, slope, 1] + [-np.log(slope), intercept, 0]
    after = prior.rescaled(slope, intercept).log_density(moved, free)
    assert after == pytest.approx(prior.log_density(items, free), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_updating_finds_the_maximum_that_a_general_optimiser_finds(seed):
    items = some_items(seed)
    prior = LearnedPrior.starting_at([-0.4, 2.0, -1.6], [0.2, 0.4, 0.5])

    def loss(x: np.ndarray) -> float:
        mean, sd = prior.mean.copy(), prior.sd.copy()
        mean[:2], sd[:2] = x[:2], np.exp(x[2:])
        return -replace(prior, mean=mean, sd=sd).log_density(items, ALL_FREE)

    exact = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 10_000}
    best = optimize.minimize(loss, np.zeros(4), method="Nelder-Mead", options=exact)
    found = prior
    for _ in range(30):  # mean and spread of log a depend on each other
        found = found.updated(items, ALL_FREE)
    np.testing.assert_allclose([*found.mean[:2], *np.log(found.sd[:2])], best.x, atol=1e-4)


def test_over_slope_and_intercept_the_mode_moves_by_the_variance_of_log_slope():
    """d(a·b) = a · db: a density over b, times 1/a, is the one over the intercept."""
    mean, sd = np.array([0.3, 0.5, -1.4]), np.array([0.4, 1.2, 0.5])
    plain = ItemPriors.normal(mean, sd, ALL_FREE)
    moved = plain.over_intercepts(ALL_FREE)
    first, second = some_items(1), some_items(2)
    difference = moved.log_density(first) - plain.log_density(first)
    difference -= moved.log_density(second) - plain.log_density(second)
    assert difference == pytest.approx(second[:, 0].sum() - first[:, 0].sum())
    mode = np.linalg.solve(moved.precision[0], moved.linear[0])
    np.testing.assert_allclose(mode, [0.3 - 0.4**2, 0.5, -1.4])


def test_fixed_slopes_need_no_change_of_variables():
    free = np.tile([False, True, False], (40, 1))
    plain = ItemPriors.normal(np.zeros(3), np.ones(3), free)
    np.testing.assert_array_equal(plain.over_intercepts(free).linear, plain.linear)


def test_the_spread_of_slopes_is_recovered_with_their_errors_integrated_out():
    """200 items whose log a spreads by .3, each known with a standard error of .25 to .5.

    The mode of items and spread together shrinks both.
    """
    truth, integrated, mode = 0.3, [], []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        errors = generator.uniform(0.25, 0.5, 200)
        log_a = generator.normal(0.2, truth, 200)
        measured = log_a + generator.normal(0.0, errors)
        information = np.zeros((200, 3, 3))
        information[:, 0, 0] = errors**-2
        information[:, 1, 1] = information[:, 2, 2] = 100.0
        free = np.ones((200, 3), bool)
        prior = LearnedPrior.starting_at([0.2, 0.0, -1.6], [0.5, 1.5, 0.5])
        joint = prior
        for _ in range(200):
            shrunk = _shrunk(measured, errors, joint)
            joint = joint.updated(shrunk, free)
        mode.append(joint.sd[0])
        found = prior
        for _ in range(60):
            found = found.with_integrated_spread(
                _shrunk(measured, errors, found), free, information
            )
        assert found.holds_slope_spread
        integrated.append(found.sd[0])
    assert np.mean(integrated) == pytest.approx(truth, abs=0.04)
    assert np.mean(mode) < 0.22


def _shrunk(measured: np.ndarray, errors: np.ndarray, prior: LearnedPrior) -> np.ndarray:
    """Posterior means of φ where all but the slope is known."""
    weight = prior.sd[0] ** 2 / (prior.sd[0] ** 2 + errors**2)
    log_a = prior.mean[0] + weight * (measured - prior.mean[0])
    known = np.random.default_rng(0).normal([0.0, -1.6], [1.0, 0.4], (len(measured), 2))
    return np.column_stack([log_a, known])


def test_a_spread_that_is_held_stays_while_the_rest_is_learned():
    held = replace(LearnedPrior.starting_at([0, 0, -1.6], [0.5, 1.5, 0.5]), holds_slope_spread=True)
    found = held.updated(some_items(), ALL_FREE)
    assert found.sd[0] == 0.5
    assert found.sd[1] != 1.5
    assert found.mean[0] != 0.0


@pytest.mark.parametrize("prior", ["learned", "fixed"])
def test_starting_values_do_not_matter(prior):
    generator = np.random.default_rng(0)
    truth = draw_from_prior(25, "3PL", generator)
    data = random_data(truth, generator.normal(size=1500), 25, generator)
    free = np.ones((25, 3), bool)
    exact = EMConfiguration(tolerance=1e-6, maximum_cycles=2000)
    fits = []
    for a, b, c, mean in ((0.4, -2.0, 0.05, -1.0), (2.5, 2.0, 0.3, 1.5)):
        start = np.tile([a, b, c], (25, 1))
        priors = ItemPriors.normal(PRIOR_MEAN, PRIOR_SD, free)
        if prior == "learned":
            spread = LearnedPrior.starting_at(PRIOR_MEAN, PRIOR_SD)
            priors = replace(spread, mean=np.add(PRIOR_MEAN, [mean, mean, 0.0]))
        fits.append(fit(data, ItemProblem(start, free, priors), FIXED, exact))
    np.testing.assert_allclose(fits[0].parameters, fits[1].parameters, atol=1e-3)
