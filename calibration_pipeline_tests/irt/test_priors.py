import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior

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
    mean_step=st.floats(-0.3, 0.3),
    log_sd_step=st.floats(-0.3, 0.3),
    coordinate=st.integers(0, 1),
)
@settings(deadline=None)
def test_updating_maximises_the_density(seed, mean_step, log_sd_step, coordinate):
    items = some_items(seed)
    best = LearnedPrior.starting_at([0, 0, -1.6], [0.5, 1.5, 0.5]).updated(items, ALL_FREE)
    mean, sd = best.mean.copy(), best.sd.copy()
    mean[coordinate] += mean_step
    sd[coordinate] *= np.exp(log_sd_step)
    other = LearnedPrior(mean, sd, best.spread, best.strength)
    assert other.log_density(items, ALL_FREE) <= best.log_density(items, ALL_FREE) + 1e-9


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
@settings(deadline=None)
def test_rescaling_moves_the_prior_with_the_items(slope, intercept):
    prior = LearnedPrior.starting_at([0.1, 0.3, -1.6], [0.5, 1.5, 0.5])
    items = some_items()
    moved_items = items * [1, slope, 1] + [-np.log(slope), intercept, 0]
    moved = prior.rescaled(slope, intercept)
    before = (items - prior.mean) / prior.sd
    np.testing.assert_allclose((moved_items - moved.mean) / moved.sd, before, atol=1e-12)
