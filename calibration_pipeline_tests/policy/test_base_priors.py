from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.model import from_internal, to_internal
from calibration_pipeline.policy import base_priors as base_priors_module
from calibration_pipeline.policy.base_priors import (
    MINIMUM_SD,
    MINIMUM_TEACHERS,
    base_priors,
    learn_from_anchors,
    textbook_prior,
)
from calibration_pipeline.policy.carrying import carry_over
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline_tests.simulated import NO_ANCHORS, draw_items, make_bank

CONFIGURATION = CalibrationConfiguration()
TRUTH = draw_items(400, np.random.default_rng(0))
EVERYWHERE = np.ones(400, bool)


def first(n: int) -> np.ndarray:
    return np.arange(400) < n


def learn(bank, is_anchor, truth=TRUTH, in_scale=EVERYWHERE):
    return learn_from_anchors(bank, is_anchor, truth, in_scale, CONFIGURATION)


def predictive_sd(values: np.ndarray) -> np.ndarray:
    """Of the next value: Student's t with n − 1 degrees of freedom."""
    n = len(values)
    return values.std(axis=0, ddof=1) * np.sqrt((1 + 1 / n) * (n - 1) / (n - 3))


def test_anchors_teach_location_and_spread():
    mean, sd = learn(make_bank(400), first(200))
    internal = to_internal(TRUTH[:200])
    np.testing.assert_allclose(mean, np.tile(internal.mean(axis=0), (400, 1)))
    np.testing.assert_allclose(sd, np.tile(predictive_sd(internal), (400, 1)))


def test_few_anchors_teach_a_wider_spread_than_they_have():
    """From ten values the next one is predicted with 19% more than their standard deviation."""
    _, sd = learn(make_bank(400), first(10))
    assert sd[0, 1] / TRUTH[:10, 1].std(ddof=1) == pytest.approx(1.189, abs=0.001)


def test_an_authors_bias_and_scale_are_learned():
    """This author sees every item 0.4 too easy and stretches the range by 1.25."""
    noise = np.random.default_rng(1).normal(0, 0.3, 400)
    author = (TRUTH[:, 1] + noise - 0.4) * 1.25
    mean, sd = learn(make_bank(400, author_difficulty=author), first(150))
    expected = 0.4 + author / 1.25
    assert np.abs(mean[:, 1] - expected).max() < 0.35
    assert np.mean(mean[:, 1] - TRUTH[:, 1]) == pytest.approx(0.0, abs=0.06)
    assert np.polyfit(mean[:, 1], TRUTH[:, 1], 1)[0] == pytest.approx(1.0, abs=0.1)
    assert sd[0, 1] == pytest.approx(0.3, abs=0.06)


def test_items_without_an_author_take_the_anchors_spread():
    author = TRUTH[:, 1].copy()
    author[300:] = np.nan
    mean, sd = learn(make_bank(400, author_difficulty=author), first(100))
    assert sd[0, 1] == MINIMUM_SD
    assert sd[399, 1] == pytest.approx(predictive_sd(TRUTH[:100, 1]))
    assert mean[399, 1] == pytest.approx(TRUTH[:100, 1].mean())


def test_too_few_anchors_leave_the_textbook_prior():
    textbook = textbook_prior(CONFIGURATION)
    for n in (0, MINIMUM_TEACHERS - 1):
        mean, sd = learn(make_bank(400, author_difficulty=TRUTH[:, 1]), first(n))
        np.testing.assert_array_equal(mean, np.tile(textbook.mean, (400, 1)))
        np.testing.assert_array_equal(sd, np.tile(textbook.sd, (400, 1)))


@pytest.mark.parametrize("kind", ["one value", "too few"])
def test_authors_who_say_too_little_are_not_listened_to(kind):
    author = np.full(400, 0.3)
    if kind == "too few":
        author = np.where(np.arange(400) < MINIMUM_TEACHERS - 1, TRUTH[:, 1], np.nan)
    mean, _ = learn(make_bank(400, author_difficulty=author), first(100))
    assert (mean[:, 1] == mean[0, 1]).all()


def test_anchors_that_do_not_guess_teach_nothing_about_guessing():
    truth = TRUTH.copy()
    truth[:5, 2] = 0.0
    mean, sd = learn(make_bank(400), first(100), truth)
    assert (mean[0, 2], sd[0, 2]) == CONFIGURATION.prior_guessing
    assert mean[0, 0] == pytest.approx(np.log(truth[:100, 0]).mean())


def test_scales_learn_from_their_own_anchors_only():
    in_scale = np.arange(400) >= 200
    mean, _ = learn(make_bank(400), first(250), in_scale=in_scale)
    assert mean.shape == (200, 3)
    np.testing.assert_allclose(mean[0], to_internal(TRUTH[200:250]).mean(axis=0))


def test_the_textbook_prior_is_a_setting():
    prior = textbook_prior(replace(CONFIGURATION, prior_difficulty=(0.5, 2.0)))
    assert (prior.mean[1], prior.sd[1]) == (0.5, 2.0)


AUTHOR_BIAS = 0.3
FAR_OFF = np.array([[-0.6, 1.0, -1.4]]), np.array([[0.2, 0.5, 0.4]])


SHARP = np.isin(np.arange(400), np.argsort(TRUTH[:, 0])[np.linspace(110, 395, 24).astype(int)])
"""Two dozen anchors that are sharper than the pool."""


def estimated_items(mean=FAR_OFF[0], sd=FAR_OFF[1], is_anchor=SHARP):
    """400 items as a night leaves them that knew the same answers under a given prior."""
    generator = np.random.default_rng(0)
    phi, information = to_internal(TRUTH), np.array([16.0, 16.0, 1.0])
    seen = phi + generator.normal(size=(400, 3)) / np.sqrt(information)
    prior = np.broadcast_to(sd**-2.0, (400, 3))
    total = information + prior
    posterior = (information * seen + prior * mean) / total
    bank = make_bank(400, author_difficulty=TRUTH[:, 1] + AUTHOR_BIAS)
    carried = replace(
        carry_over(None, {}, bank, NO_ANCHORS),
        parameters=np.where(
            is_anchor[:, None], TRUTH, from_internal(posterior, np.ones(400, bool))
        ),
        covariance=np.where(is_anchor[:, None, None], 0.0, np.eye(3) / total[:, None, :]),
        prior_mean=np.broadcast_to(mean, (400, 3)),
        prior_precision=prior,
        total_counts=np.full(400, 300),
    )
    return bank, is_anchor, carried


def test_the_pools_own_items_teach_what_two_dozen_anchors_cannot():
    """Night after night, from a prior that is far off, to what the whole pool says."""
    prior = FAR_OFF
    for _ in range(20):
        bank, is_anchor, carried = estimated_items(*prior)
        prior = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
    (mean, sd), internal = prior, to_internal(TRUTH)
    of_anchors = learn(bank, is_anchor)[0]
    off, anchors_off = (abs(m[0, 0] - internal[:, 0].mean()) for m in (mean, of_anchors))
    assert anchors_off > 0.08
    assert off < 0.5 * anchors_off
    assert sd[0, 0] == pytest.approx(internal[:, 0].std(), abs=0.04)
    author = TRUTH[:, 1] + AUTHOR_BIAS
    assert np.mean(mean[:, 1] - author) == pytest.approx(-AUTHOR_BIAS, abs=0.03)
    assert sd[0, 1] == MINIMUM_SD  # this author is right about everything but the origin


def test_estimates_do_not_outvote_many_anchors(monkeypatch):
    """200 sharp anchors: all estimated items together count as fifty more, however many."""
    is_anchor = np.isin(np.arange(400), np.argsort(TRUTH[:, 0])[150:350])

    def learned() -> float:
        prior = FAR_OFF
        for _ in range(20):
            bank, _, carried = estimated_items(*prior, is_anchor)
            prior = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
        return float(prior[0][0, 0])

    capped = learned()
    monkeypatch.setattr(base_priors_module, "ESTIMATES_COUNT_AS", 10**9)
    one_vote_each = learned()
    of_anchors = np.log(TRUTH[is_anchor, 0]).mean()
    assert abs(capped - of_anchors) < 0.5 * abs(one_vote_each - of_anchors)


def test_guessing_is_learned_from_anchors_alone():
    bank, is_anchor, carried = estimated_items()
    mean, sd = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
    from_anchors = learn(bank, is_anchor)
    np.testing.assert_array_equal(mean[:, 2], from_anchors[0][:, 2])
    np.testing.assert_array_equal(sd[:, 2], from_anchors[1][:, 2])


def test_before_items_are_estimated_only_anchors_teach():
    bank, is_anchor, carried = estimated_items()
    carried = replace(carried, total_counts=np.full(400, CONFIGURATION.minimum_responses - 1))
    mean, sd = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
    np.testing.assert_array_equal(np.stack([mean, sd]), np.stack(learn(bank, is_anchor)))


def test_a_night_that_fitted_nothing_teaches_nothing():
    """Its estimates, covariances and priors don't belong together: the priors stay."""
    bank, is_anchor, carried = estimated_items()
    carried = replace(carried, covariance=np.zeros((400, 3, 3)))
    mean, sd = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
    np.testing.assert_array_equal(mean, carried.prior_mean)
    np.testing.assert_allclose(sd, carried.prior_precision**-0.5)


@pytest.mark.parametrize("factor", [2.0, 50.0])
def test_errors_that_all_items_share_leave_no_negative_information(factor):
    """Covariances wider than the priors allow: the items then teach nothing, and break nothing."""
    bank, is_anchor, carried = estimated_items()
    carried = replace(carried, covariance=carried.covariance * factor)
    for _ in range(5):
        mean, sd = base_priors(bank, is_anchor, carried, EVERYWHERE, CONFIGURATION)
        carried = replace(carried, prior_mean=mean, prior_precision=sd**-2.0)
    assert np.abs(mean).max() < 5.0
    assert (sd < 1.5).all()
    assert (sd >= MINIMUM_SD).all()
