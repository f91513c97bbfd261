"""An anchor that has credibly moved does not hold the scale; the others do."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.anchor_release import moved_anchors, with_released
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.policy.links import link_scales
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline_tests.simulated import (
    SimulatedPool,
    Traffic,
    draw_items,
    make_pool,
    run_nights,
    simulate_days,
)

SETTINGS = CalibrationConfiguration(
    window_days=1, minimum_anchors=8, linking_corrects_attenuation=False
)
ITEMS, ANCHORS, SE = 40, 12, 0.08
EASIER = slice(2, 4)
TRUTH = draw_items(ITEMS, np.random.default_rng(0))
SHADOW_COVARIANCE = np.tile(np.diag([0.0064, SE**2, 0.0]), (ITEMS, 1, 1))


def items(**changes) -> ScaleItems:
    is_anchor = np.arange(ITEMS) < ANCHORS
    found = ScaleItems(
        start=TRUTH,
        free=np.tile(~is_anchor[:, None], 3),
        is_anchor=is_anchor,
        prior_mean=np.zeros((ITEMS, 3)),
        prior_precision=np.ones((ITEMS, 3)),
        information=np.tile(np.eye(3), (ITEMS, 1, 1)),
        linear=np.ones((ITEMS, 3)),
        baseline=None,
    )
    return replace(found, **changes)


def moved(by: dict[int, float], found: ScaleItems | None = None, settings=SETTINGS, counts=None):
    shadow = TRUTH.copy()
    for item, shift in by.items():
        shadow[item, 1] += shift
    counts = np.full(ITEMS, 500) if counts is None else counts
    return moved_anchors(found or items(), shadow, SHADOW_COVARIANCE, counts, settings)


def test_credible_movement_is_told_with_its_size_and_z() -> None:
    released = moved({3: 0.6, 5: -0.45})
    assert list(released) == [3, 5]
    assert released[3].startswith("moved by +0.60 (z +")
    assert released[5].startswith("moved by -0.45 (z -")


def test_small_or_incredible_movement_releases_nobody() -> None:
    assert moved({3: 0.2}) == {}  # 2.5 standard errors
    strict = replace(SETTINGS, difficulty_drift=0.7)
    assert moved({3: 0.6}, settings=strict) == {}
    few = np.where(np.arange(ITEMS) == 3, SETTINGS.minimum_anchor_responses - 1, 500)
    assert moved({3: 0.6}, counts=few) == {}
    assert moved({20: 0.6}) == {}  # no anchor


def test_an_error_that_the_reference_is_known_to_have_is_no_movement() -> None:
    errors = np.tile(np.diag([0.0, 0.2**2, 0.0]), (ITEMS, 1, 1))
    assert moved({3: 0.45}) != {}
    assert moved({3: 0.45}, items(reference_covariance=errors)) == {}


def test_enough_anchors_are_held_in_any_case_and_the_clearest_go_first() -> None:
    by = {0: 0.5, 1: 0.6, 2: 0.7, 3: 0.8, 4: 0.9}
    assert list(moved(by)) == [4, 3, 2, 1]
    assert moved(by, settings=replace(SETTINGS, minimum_anchors=ANCHORS)) == {}


def test_anchors_that_all_moved_together_release_nobody() -> None:
    assert moved(dict.fromkeys(range(ANCHORS), 0.4)) == {}


def test_a_released_anchor_is_fitted_by_its_prior_and_the_window_alone() -> None:
    found = with_released(items(), {3: "why"})
    assert found.free[3].tolist() == [True, True, False]
    assert not found.information[3].any()
    assert not found.linear[3].any()
    assert found.is_anchor[3]
    assert found.information[4].any()
    nobody = items()
    assert with_released(nobody, {}) is nobody


@pytest.fixture(scope="module")
def nights() -> tuple[SimulatedPool, dict[int, object]]:
    """The same answers, from anchors of which two became easier, held to the last and released."""
    pool = make_pool(ITEMS, ANCHORS, np.random.default_rng(5), author_error=None)
    truth = pool.truth.copy()
    truth[np.flatnonzero(pool.is_anchor)[EASIER], 1] -= 0.8
    real = replace(pool, truth=truth)
    days = simulate_days(
        real, 1, np.random.default_rng(6), Traffic(sessions=2000, answers=16, pool_share=0.7)
    )
    found = {}
    for minimum in (8, ANCHORS):
        settings = replace(SETTINGS, minimum_anchors=minimum)
        (found[minimum],) = run_nights(pool, days, settings)
    return real, found


def test_the_scale_does_not_follow_anchors_that_moved(nights) -> None:
    real, found = nights
    free = ~real.is_anchor
    released, held = found[8], found[ANCHORS]
    names = [name for name, _ in released.scales[0].released_anchors]
    expected = [f"{item}@{version}" for item, version in real.anchors.keys[EASIER]]
    assert names == expected
    assert held.scales[0].released_anchors == ()

    def error(state) -> float:
        return float((state.parameters[free, 1] - real.truth[free, 1]).mean())

    assert abs(error(released)) < 0.05
    assert error(held) > 0.15


def test_a_released_anchor_stands_at_its_reference_is_flagged_and_left_out(nights) -> None:
    real, found = nights
    state, at = found[8], np.flatnonzero(real.is_anchor)[EASIER]
    np.testing.assert_array_equal(state.parameters[at], real.anchors.parameters[EASIER])
    assert state.is_anchor[at].all()
    shadow_error = state.shadow_parameters[at, 1] - real.truth[at, 1]
    assert (np.abs(shadow_error) < 4 * np.sqrt(state.covariance[at, 1, 1])).all()
    flagged = {flag.key for flag in raise_flags(state, None, SETTINGS)
               if flag.reason == "anchor_drift" and flag.is_credible}  # fmt: skip
    assert {state.keys[j] for j in at} <= flagged
    (link,) = link_scales(state, [], real.bank, real.anchors, SETTINGS)
    reasons = [link.anchors_left_out[f"{state.keys[j][0]}@1"] for j in at]
    assert all(reason.startswith("released in the fit: moved by -") for reason in reasons)
