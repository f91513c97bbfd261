from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.base_priors import (
    MINIMUM_SD,
    MINIMUM_TEACHERS,
    learn_from_anchors,
    textbook_prior,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline_tests.simulated import draw_items, make_bank

CONFIGURATION = CalibrationConfiguration()
TRUTH = draw_items(400, np.random.default_rng(0))
EVERYWHERE = np.ones(400, bool)


def first(n: int) -> np.ndarray:
    return np.arange(400) < n


def learn(bank, is_anchor, truth=TRUTH, in_scale=EVERYWHERE):
    return learn_from_anchors(bank, is_anchor, truth, in_scale, CONFIGURATION)


def test_anchors_teach_location_and_spread():
    mean, sd = learn(make_bank(400), first(200))
    internal = to_internal(TRUTH[:200])
    np.testing.assert_allclose(mean, np.tile(internal.mean(axis=0), (400, 1)))
    np.testing.assert_allclose(sd, np.tile(internal.std(axis=0, ddof=1), (400, 1)))


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
    assert sd[399, 1] == pytest.approx(TRUTH[:100, 1].std(ddof=1))
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
