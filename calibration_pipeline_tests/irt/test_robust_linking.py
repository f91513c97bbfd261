"""Anchors that have drifted are found and left out; those that have not are kept."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from calibration_pipeline.irt.configuration import LINKING_METHODS, LinkingMethod
from calibration_pipeline.irt.linking import LinkingConstants
from calibration_pipeline.irt.linking_curves import CurveSettings, Quadrature
from calibration_pipeline.irt.linking_estimates import CommonItems, EstimatedLink, link_plainly
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.robust_linking import Rejection, link_robustly, rejection_loss
from calibration_pipeline_tests.irt.common_items import on_new_scale, with_errors
from calibration_pipeline_tests.simulated import draw_items

CONSTANTS = LinkingConstants(1.05, -0.1)
ERRORS = np.array([0.1, 0.1, 0.0])
COARSE = CurveSettings(Quadrature.equal(15))
LIMITS = Rejection(minimum_items=5)


def common_items(
    truth: FloatArray,
    generator: np.random.Generator,
    *,
    drift: FloatArray | float = 0.0,
    errors: FloatArray = ERRORS,
    method: LinkingMethod = "stocking-lord",
) -> CommonItems:
    """References are exact; the new estimates are of items whose difficulty has moved."""
    moved = truth + np.multiply.outer(np.broadcast_to(drift, len(truth)), [0.0, 1.0, 0.0])
    new = with_errors(on_new_scale(moved, CONSTANTS), errors, generator)
    covariance = np.tile(np.diag(errors**2), (len(truth), 1, 1))
    return CommonItems(
        new, truth, covariance, np.zeros_like(covariance), method, COARSE,
        corrects_attenuation=True,
    )  # fmt: skip


def missed_by(link: EstimatedLink) -> FloatArray:
    return np.abs(
        [link.constants.slope - CONSTANTS.slope, link.constants.intercept - CONSTANTS.intercept]
    )


@pytest.mark.parametrize("method", LINKING_METHODS)
def test_a_tenth_of_the_anchors_that_drift_together_do_not_move_the_scale(
    method: LinkingMethod,
) -> None:
    generator = np.random.default_rng(7)
    truth = draw_items(288, generator)
    drift = np.where(np.arange(288) < 29, -0.4, 0.0)
    items = common_items(truth, generator, drift=drift, method=method)
    robust, plain = link_robustly(items, LIMITS), link_plainly(items)
    assert missed_by(robust).max() < 0.02
    assert missed_by(plain)[1] > 0.02
    assert not robust.is_kept[:29][np.abs(robust.differences.difficulty_z[:29]) > 3].any()
    assert robust.is_kept[29:].mean() > 0.95
    assert robust.is_settled


@pytest.mark.parametrize("count", [9, 14], ids=["three in ten", "nearly half"])
def test_many_that_drift_together_do_not_mask_one_another(count: int) -> None:
    generator = np.random.default_rng(11)
    truth = draw_items(30, generator)
    drift = np.where(np.arange(30) < count, 0.8, 0.0)
    link = link_robustly(common_items(truth, generator, drift=drift), LIMITS)
    assert not link.is_kept[:count].any()
    assert (missed_by(link) < 3 * link.standard_errors).all()


def test_an_anchor_whose_discrimination_has_changed_is_left_out() -> None:
    generator = np.random.default_rng(13)
    items = common_items(draw_items(30, generator), generator)
    items.new[4, 0] *= 2.0
    link = link_robustly(items, LIMITS)
    assert not link.is_kept[4]
    assert link.differences.discrimination_z[4] > 4
    shifted_only = link_robustly(replace(items, slope_is_free=False), LIMITS)
    assert not shifted_only.differences.discrimination_z.any()


def test_a_difference_is_as_large_as_its_standard_error_says() -> None:
    """Of an item that the constants were estimated from, and of one that they were not."""
    generator = np.random.default_rng(19)
    truth = draw_items(6, generator)
    z = np.empty((500, 2, 6))
    for draw in range(len(z)):
        plain = link_plainly(common_items(truth, generator, method="mean-mean")).differences
        z[draw] = plain.difficulty_z, plain.discrimination_z
    assert z.std(axis=0) == pytest.approx(np.ones((2, 6)), abs=0.12)


def test_intervals_still_hold_the_truth_when_some_are_left_out_by_chance() -> None:
    generator = np.random.default_rng(23)
    truth, repeats = draw_items(40, generator), 400
    covered, left_out = np.zeros(2), 0
    for _ in range(repeats):
        items = common_items(truth, generator, method="mean-mean")
        link = link_robustly(items, Rejection(2.0))
        covered += missed_by(link) <= 1.959964 * link.standard_errors
        left_out += int((~link.is_kept).sum())
    share = covered / repeats
    assert ((share >= 0.93) & (share <= 0.97)).all(), share
    assert left_out > 40 * repeats * 0.05


def test_what_rejecting_costs_follows_from_the_limit() -> None:
    """The variance of a mean that agrees with its own choice of normal values."""
    generator = np.random.default_rng(29)
    values = generator.normal(size=(4000, 400))
    mean = np.median(values, axis=1)
    for _ in range(30):
        near = np.abs(values - mean[:, None]) < 2.0
        mean = (values * near).sum(axis=1) / near.sum(axis=1)
    share = norm.cdf(2.0) - norm.cdf(-2.0)
    assert mean.var() * 400 * share == pytest.approx(rejection_loss(2.0), rel=0.08)
    assert rejection_loss(np.inf) == 1.0


def test_never_fewer_than_the_minimum_are_kept() -> None:
    generator = np.random.default_rng(31)
    truth = draw_items(10, generator)
    items = common_items(truth, generator, drift=np.linspace(-4.0, 4.0, 10))
    link = link_robustly(items, Rejection(minimum_items=6))
    assert link.is_kept.sum() == 6
    assert not link.is_settled
    assert link_robustly(items, Rejection(minimum_items=99)).is_kept.all()


def test_what_is_far_off_is_left_out_however_uncertain_it_is() -> None:
    generator = np.random.default_rng(37)
    items = common_items(draw_items(12, generator), generator)
    items.new_covariance[3, 1, 1] = 1.0
    items.new[3, 1] += 0.9
    assert link_robustly(items, LIMITS).is_kept[3]
    far = link_robustly(items, replace(LIMITS, largest_difference=0.5))
    assert not far.is_kept[3]
    assert far.is_kept.sum() == 11


def test_items_known_exactly_that_agree_are_all_kept() -> None:
    generator = np.random.default_rng(41)
    items = common_items(draw_items(8, generator), generator, errors=np.zeros(3))
    link = link_robustly(items, LIMITS)
    assert link.is_kept.all()
    assert missed_by(link).max() < 1e-6
    assert not link.standard_errors.any()


def test_items_that_hardly_anything_is_known_of_do_not_blow_the_correction_up() -> None:
    generator = np.random.default_rng(43)
    items = common_items(draw_items(12, generator), generator, errors=np.array([2.0, 3.0, 0.0]))
    plain = link_plainly(replace(items, corrects_attenuation=False)).constants
    corrected = link_plainly(items).constants
    assert corrected.slope == pytest.approx(plain.slope, rel=0.1)
    assert corrected.intercept == pytest.approx(plain.intercept, abs=0.2)
