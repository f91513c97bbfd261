"""The scale is as uncertain as the anchors' references make it."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.anchor_errors import reference_loadings
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline_tests.simulated import (
    Traffic,
    make_anchors,
    make_pool,
    night_inputs,
    simulate_days,
)

SETTINGS = CalibrationConfiguration(window_days=6)
ANCHORS, ITEMS, ERROR, DRAWS = 8, 40, 0.3, 30


def test_the_scale_follows_wrong_references_as_far_as_is_said() -> None:
    """The same answers under references that are off by chance, drawn again and again."""
    generator = np.random.default_rng(7)
    pool = make_pool(ITEMS, 0, generator, author_error=None)
    days = simulate_days(pool, 6, generator, Traffic(sessions=150, answers=15, pool_share=0.6))
    shifts = []
    for draw in range(DRAWS + 1):
        values = pool.truth.copy()
        if draw:
            values[:, 1] += generator.normal(0.0, ERROR, ITEMS)
        anchors = make_anchors(pool.bank, range(ANCHORS), values)
        inputs = night_inputs(days[-1].revision.day, days, pool.bank, anchors, SETTINGS)
        state = calibrate_night(inputs, SETTINGS)
        shifts.append(state.parameters[ANCHORS:, 1])
        if not draw:
            undisturbed = state
    seen = np.std(np.mean(shifts[1:], axis=1) - np.mean(shifts[0]))
    state = undisturbed
    is_anchor = np.arange(ITEMS) < ANCHORS
    information = np.zeros((ITEMS, 3, 3))
    information[:ANCHORS, :2, :2] = np.linalg.inv(state.covariance[:ANCHORS, :2, :2])
    covariance = np.zeros((ITEMS, 3, 3))
    covariance[:ANCHORS, 1, 1] = ERROR**2
    free = np.diagonal(state.covariance, axis1=1, axis2=2) > 0
    loadings = reference_loadings(
        state.parameters, free & ~is_anchor[:, None], is_anchor, covariance, information
    )
    said = np.sqrt(np.square(loadings[ANCHORS:, 1].mean(axis=0)).sum())
    assert not loadings[:ANCHORS].any()
    # Thirty draws tell a standard deviation to within a quarter.
    assert said == pytest.approx(seen, rel=0.3)
    assert said == pytest.approx(ERROR / np.sqrt(ANCHORS), rel=0.4)


def test_known_references_add_nothing_and_rasch_scales_have_no_stretch() -> None:
    pool = make_pool(6, 3, np.random.default_rng(0))
    is_anchor = pool.is_anchor
    free = np.tile(~is_anchor[:, None], 3)
    information = np.tile(np.diag([20.0, 50.0, 5.0]), (6, 1, 1))
    nothing = np.zeros((6, 3, 3))
    assert not reference_loadings(pool.truth, free, is_anchor, nothing, information).any()
    errors = nothing.copy()
    errors[is_anchor, 1, 1] = 0.1**2
    rasch = free & np.array([False, True, False])
    loadings = reference_loadings(pool.truth, rasch, is_anchor, errors, information)
    variance = (loadings @ loadings.transpose(0, 2, 1))[:, 1, 1]
    np.testing.assert_allclose(variance[~is_anchor], 0.1**2 / 3.0)
    assert not variance[is_anchor].any()
    alone = replace(pool.anchors, keys=pool.anchors.keys[:1])
    one = np.arange(6) == pool.bank.positions(alone.keys)[0]
    full = reference_loadings(pool.truth, free, one, np.where(one[:, None, None], errors, 0.0),
                              information)  # fmt: skip
    assert np.isfinite(full).all()
