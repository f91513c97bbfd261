"""Priors of new items, in pools whose hierarchy is known; and what goes wrong without its parts."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra bayes is not installed")
pytest.importorskip("pyro", reason="the extra bayes is not installed")

from calibration_pipeline.bayes.item_priors import HierarchyFit, fit_hierarchy
from calibration_pipeline.irt.item_hierarchy import (
    ItemFeatures,
    LikelihoodSummaries,
    PredictedItems,
    predict_items,
)
from calibration_pipeline.irt.prior_calibration import judge_calibration
from calibration_pipeline.policy.base_priors import without_prior
from calibration_pipeline_tests.item_families import (
    AUTHOR,
    FamilyPool,
    coverage,
    draw_family_pool,
    noisy_summaries,
    oracle_rmse,
    rmse,
)

TEACHERS, NEW, FAMILIES = 400, 3000, 12
ERRORS = (0.2, 0.25, 0.4)


@cache
def pool() -> FamilyPool:
    return draw_family_pool(TEACHERS + NEW, FAMILIES, np.random.default_rng(11))


IS_NEW = np.arange(TEACHERS + NEW) >= TEACHERS


@cache
def summaries() -> LikelihoodSummaries:
    return noisy_summaries(pool().phi[~IS_NEW], np.random.default_rng(12), ERRORS)


def fitted(found: LikelihoodSummaries, features: ItemFeatures | None = None) -> HierarchyFit:
    known = features or pool().features.of_items(~IS_NEW)
    return fit_hierarchy(found, known, FAMILIES, seed=1)


@cache
def right() -> HierarchyFit:
    return fitted(summaries())


def priors(fit: HierarchyFit, features: ItemFeatures | None = None) -> PredictedItems:
    return predict_items(fit.draws, features or pool().features.of_items(IS_NEW))


def holds(found: PredictedItems) -> bool:
    """Whether intervals cover what they should, and b is nearly as well known as it can be.

    The limits are those of what 400 items in 12 families can teach; `studies/item_priors.py` has
    the figures of whole pools.
    """
    phi = pool().phi[IS_NEW]
    covered = coverage(found, phi)
    error = rmse(found, phi)[1] / oracle_rmse(pool(), IS_NEW)[1]
    return bool(((covered > 0.9) & (covered < 0.985)).all() and error < 1.03)


def test_new_items_get_priors_nearly_as_good_as_can_be() -> None:
    fit = right()
    assert fit.pareto_k < 0.7
    assert fit.effective_size > 100
    assert holds(priors(fit))
    np.testing.assert_allclose(fit.draws.author.mean(axis=0), AUTHOR, atol=0.15)


def test_without_the_errors_of_estimates_priors_are_too_wide() -> None:
    estimates = np.linalg.solve(summaries().precision, summaries().linear[..., None])[..., 0]
    exact = np.tile(1e4 * np.eye(3), (TEACHERS, 1, 1))
    found = priors(fitted(LikelihoodSummaries(exact, 1e4 * estimates)))
    assert not holds(found)
    assert (found.sd.mean(axis=0) > 1.1 * priors(right()).sd.mean(axis=0))[[0, 2]].all()


@pytest.mark.slow
def test_without_families_b_is_known_worse() -> None:
    known = pool().features.of_items(~IS_NEW)
    alone = replace(known, family=np.full(TEACHERS, -1))
    new = pool().features.of_items(IS_NEW)
    found = priors(fitted(summaries(), alone), replace(new, family=np.full(NEW, -1)))
    assert not holds(found)


def week(prior_mean: np.ndarray, prior_sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and covariance of the calibrated items under a prior."""
    covariance = np.linalg.inv(summaries().precision + (prior_sd**-2)[:, :, None] * np.eye(3))
    linear = summaries().linear + prior_mean * prior_sd**-2
    return np.einsum("jkm,jm->jk", covariance, linear), covariance


@pytest.mark.parametrize("weeks", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_weeks_do_not_shrink_the_pool_but_would_if_priors_stayed_in(weeks: int) -> None:
    """Each week's posteriors rest on the last week's priors, which must not be learned from."""
    known, spreads = pool().features.of_items(~IS_NEW), [priors(right()).sd.mean(axis=0)]
    fit = right()
    for _ in range(weeks):
        own = predict_items(fit.draws, known, fit.own)
        mean, covariance = week(own.mean, own.sd)
        everybody = np.ones(TEACHERS, bool)
        divided = without_prior(mean, covariance, own.mean, own.sd**-2.0, everybody)
        # What is learned from is the same in every week: so is what is learned.
        np.testing.assert_allclose(divided.precision, summaries().precision, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(divided.linear, summaries().linear, rtol=1e-6, atol=1e-6)
        precision = np.linalg.inv(covariance)
        linear = np.einsum("jkm,jm->jk", precision, mean)
        fit = fitted(LikelihoodSummaries(precision, linear))
        spreads.append(priors(fit).sd.mean(axis=0))
        assert (spreads[-1] < 0.95 * spreads[-2])[[0, 2]].all()
    assert not holds(priors(fit))


def test_families_with_few_items_shrink_to_the_whole() -> None:
    """Over draws, a family's effect varies more the fewer teach of it, and is nearer to 0."""
    fit, family = right(), pool().features.family[~IS_NEW]
    counts = np.bincount(family, minlength=FAMILIES)
    sd = np.sqrt(fit.draws.family_covariance.mean(axis=0)[:, 1, 1])
    assert np.corrcoef(np.log(counts), np.log(sd))[0, 1] < -0.9
    unseen = np.sqrt(fit.draws.between.mean(axis=0)[1, 1])
    assert (sd < unseen).all()


def few(features: ItemFeatures, n_families: int) -> HierarchyFit:
    """Fit 150 of the teachers, of whom less is known."""
    rows = np.arange(150)
    found = LikelihoodSummaries(summaries().precision[rows], summaries().linear[rows])
    return fit_hierarchy(found, features.of_items(rows), n_families, seed=2)


KNOWN = pool().features.of_items(~IS_NEW)
LESS_KNOWN = {
    "no options, no families": (np.zeros(TEACHERS, int), np.full(TEACHERS, -1), 0),
    "one family": (KNOWN.option_counts, np.zeros(TEACHERS, int), 1),
    "each a family": (KNOWN.option_counts, np.arange(TEACHERS), TEACHERS),
}


@pytest.mark.parametrize(
    "less",
    ["no options, no families", *(pytest.param(name, marks=pytest.mark.slow)
                                  for name in ("one family", "each a family"))],
)  # fmt: skip
def test_banks_that_say_less_can_be_learned_from_as_well(less: str) -> None:
    """Where nothing tells two spreads apart, asking for both ruins the draws."""
    options, family, n_families = LESS_KNOWN[less]
    fit = few(replace(KNOWN, option_counts=options, family=family), n_families)
    assert fit.pareto_k < 0.7
    assert fit.effective_size > 200
    new = pool().features.of_items(IS_NEW)
    unseen = replace(new, family=np.full(NEW, -1))
    unseen = unseen if options.any() else replace(unseen, option_counts=np.zeros(NEW, int))
    covered = coverage(priors(fit, unseen), pool().phi[IS_NEW])
    assert ((covered > 0.88) & (covered < 0.99)).all()


@pytest.mark.slow
def test_authors_that_copy_estimates_leave_nobody_to_judge_them() -> None:
    """Their priors claim to know new items as well: `reasons_against` asks for judges of b."""
    rows = np.arange(150)
    known = KNOWN.of_items(rows)
    taught = LikelihoodSummaries(summaries().precision[rows], summaries().linear[rows])
    estimates = np.linalg.solve(taught.precision, taught.linear[..., None])[:, 1, 0]
    for stated, can_judge in ((estimates, False), (known.author_difficulty, True)):
        features = replace(known, author_difficulty=stated)
        fit = fit_hierarchy(taught, features, FAMILIES, seed=2)
        found = judge_calibration(taught, predict_items(fit.draws, features, fit.own))
        assert (found.judged[1] > 50) == can_judge


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes() -> None:
    rows = np.arange(120)
    few = LikelihoodSummaries(summaries().precision[rows], summaries().linear[rows])
    known = pool().features.of_items(rows)
    first, again = (fit_hierarchy(few, known, FAMILIES, seed=3) for _ in range(2))
    for name, value in vars(first.draws).items():
        assert np.array_equal(value, getattr(again.draws, name)), name
