"""NUTS against brute force, and Gaussians against NUTS."""

import numpy as np
import pytest

pytest.importorskip("pyro", reason="the extra bayes is not installed")

from calibration_pipeline.bayes.posterior_sampling import (
    SampledPosterior,
    SamplerSettings,
    sample_posteriors,
)
from calibration_pipeline.irt.item_posterior import ItemPosterior
from calibration_pipeline.policy.cross_check_configuration import AuditConfiguration
from calibration_pipeline.policy.posterior_audit import AuditedItem
from calibration_pipeline.policy.posterior_comparison import (
    PosteriorComparison,
    compare_posterior,
    judge_audit,
)
from calibration_pipeline_tests.bayes.posteriors import by_brute_force, gaussian_of, posterior_of

# A hard item that a few weak candidates answered: its difficulty has a long tail upwards.
SKEWED = posterior_of(20, (1.3, 2.0, 0.2), seed=3, ability_mean=-1.0, difficulty_sd=3.0)
WEIGHTED = posterior_of(60, (1.2, 0.3, 0.2), seed=2, weight=0.4)
INFORMED = posterior_of(800, (1.2, 0.3, 0.2), seed=3)
WITHOUT_GUESSING = posterior_of(150, (1.1, -0.4, 0.0), seed=5, free=(True, True, False))
SETTINGS = SamplerSettings(warmup=80, draws=200, seed=1)
LONGER = SamplerSettings(warmup=100, draws=500, batch=1, seed=1)
NOISE = 0.12
"""Of a mean or an sd in posterior standard deviations: about three standard errors of 600 draws."""


def sampled(items: tuple[ItemPosterior, ...], settings: SamplerSettings) -> list[SampledPosterior]:
    gaussians = [gaussian_of(item) for item in items]
    return sample_posteriors(
        items,
        np.stack([mean for mean, _ in gaussians]),
        np.stack([covariance for _, covariance in gaussians]),
        settings,
    )


@pytest.fixture(scope="module")
def draws() -> list[SampledPosterior]:
    return sampled((SKEWED, WEIGHTED), SETTINGS)


def assert_is_exact(item: ItemPosterior, found: SampledPosterior) -> None:
    mean, sd, ends = by_brute_force(item)
    flat, free = found.draws.reshape(-1, 3), item.free
    shift = (flat.mean(axis=0) - mean)[free] / sd[free]
    np.testing.assert_allclose(shift, 0.0, atol=NOISE)
    np.testing.assert_allclose(flat.std(axis=0)[free] / sd[free], 1.0, atol=NOISE)
    quantiles = np.quantile(flat, [0.025, 0.975], axis=0)
    np.testing.assert_allclose((quantiles - ends)[:, free] / sd[free], 0.0, atol=2.5 * NOISE)


def test_means_sds_and_intervals_are_those_of_brute_force(draws: list[SampledPosterior]) -> None:
    assert_is_exact(SKEWED, draws[0])
    assert_is_exact(WEIGHTED, draws[1])


@pytest.mark.slow
def test_so_are_those_of_other_models_and_of_many_answers() -> None:
    for item in (INFORMED, WITHOUT_GUESSING):
        (found,) = sampled((item,), LONGER)
        assert_is_exact(item, found)
        assert found.r_hat.max() < 1.02
        assert found.effective_draws.min() > 400
        is_kept = found.draws[..., ~item.free] == found.draws[0, 0, ~item.free]
        assert is_kept.all()  # an item without guessing has none to sample
    assert (found.r_hat[2], found.effective_draws[2]) == (1.0, np.inf)


def test_chains_mix(draws: list[SampledPosterior]) -> None:
    assert max(found.r_hat.max() for found in draws) < 1.05
    assert min(found.effective_draws.min() for found in draws) > 200


def test_a_coordinate_that_is_not_free_stays_and_spoils_no_diagnostic() -> None:
    settings = SamplerSettings(chains=2, warmup=20, draws=20, seed=7)
    first, again = (sampled((WITHOUT_GUESSING,), settings)[0] for _ in range(2))
    assert first.draws.tobytes() == again.draws.tobytes()  # the seed decides
    assert (first.draws[..., 2] == first.draws[0, 0, 2]).all()
    assert np.isfinite(first.effective_draws[:2]).all()
    assert (first.r_hat[2], first.effective_draws[2]) == (1.0, np.inf)


def compared(item: ItemPosterior, found: SampledPosterior) -> PosteriorComparison:
    mean, covariance = gaussian_of(item)
    audited = AuditedItem(("item", 1), False, item, mean, covariance, covariance)
    return compare_posterior(
        audited, found.draws, found.r_hat, found.effective_draws, AuditConfiguration()
    )


@pytest.mark.slow
def test_a_well_informed_item_is_nearly_gaussian() -> None:
    found = compared(INFORMED, sampled((INFORMED,), LONGER)[0])
    assert found.is_judged
    assert not found.is_poor
    assert np.abs(found.mean_shift).max() < 0.2
    np.testing.assert_allclose(found.sd_ratio, 1.0, atol=0.12)


def test_a_skewed_posterior_is_found(draws: list[SampledPosterior]) -> None:
    poor, fine = compared(SKEWED, draws[0]), compared(WEIGHTED, draws[1])
    assert poor.is_judged
    assert any("interval of b" in reason for reason in poor.reasons)
    assert fine.is_judged
    assert not fine.is_poor
    verdict = judge_audit([poor, fine], AuditConfiguration())
    assert (verdict.passed, verdict.poor_share) == (False, 0.5)
