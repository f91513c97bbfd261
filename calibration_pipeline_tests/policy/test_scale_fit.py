from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.populations import STANDARD
from calibration_pipeline.policy.scale_fit import (
    fit_scale,
)
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline.policy.windows import ScaleResponses
from calibration_pipeline_tests.simulated import adaptive_data, draw_items

SETTINGS = CalibrationConfiguration()
MEAN, PRECISION = np.array([0.2, 0.0, -1.4]), np.array([10.0, 0.7, 10.0])


def items_of(truth, is_anchor, *, model: str = "3PL", baseline=None) -> ScaleItems:
    n = len(truth)
    free = np.tile([model != "Rasch", True, model == "3PL"], (n, 1)) & ~is_anchor[:, None]
    typical = [1.2 if model != "Rasch" else 1.0, 0.0, 0.2 if model == "3PL" else 0.0]
    return ScaleItems(
        start=np.where(is_anchor[:, None], truth, typical),
        free=free,
        is_anchor=is_anchor,
        prior_mean=np.tile(MEAN, (n, 1)),
        prior_precision=np.tile(PRECISION, (n, 1)),
        information=np.zeros((n, 3, 3)),
        linear=np.zeros((n, 3)),
        baseline=baseline,
    )


def answers(truth, generator, n_sessions=1500, mean=0.0):
    abilities = generator.normal(mean, 1.0, n_sessions)
    return as_given(adaptive_data(truth, abilities, generator, answers=20, pool_share=0.6))


def as_given(data):
    one_day = np.full(data.n_sessions, np.datetime64("2026-01-01"))
    return ScaleResponses(data, np.arange(data.n_sessions), one_day)


NO_ANCHOR = np.zeros(50, bool)


def test_the_prior_of_the_window_is_base_prior_times_carried():
    generator = np.random.default_rng(0)
    root = generator.normal(size=(3, 3))
    carried, center = root @ root.T + np.eye(3), np.array([0.1, 0.9, -1.0])
    items = items_of(draw_items(1, generator), np.zeros(1, bool))
    items = replace(items, information=carried[None], linear=(carried @ center)[None])
    found = items.before_window
    mode = np.linalg.solve(found.precision[0], found.linear[0])
    expected = np.linalg.solve(np.diag(PRECISION) + carried, PRECISION * MEAN + carried @ center)
    np.testing.assert_allclose(mode, expected)
    np.testing.assert_allclose(found.precision[0], np.diag(PRECISION) + carried)


def test_what_is_not_free_has_neither_prior_nor_variance():
    items = items_of(draw_items(4, np.random.default_rng(0), "2PL"), np.zeros(4, bool), model="2PL")
    items = replace(items, information=np.ones((4, 3, 3)), linear=np.ones((4, 3)))
    before = items.before_window
    assert not before.precision[:, 2].any()
    assert not before.linear[:, 2].any()
    covariance = before.posterior_covariance(items.free, np.zeros((4, 3, 3)))
    assert not covariance[:, 2].any()
    np.testing.assert_allclose(covariance[:, :2, :2], np.linalg.inv(before.precision[:, :2, :2]))


def test_the_first_night_without_anchors_defines_the_scale():
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator)
    fit = fit_scale("main", items_of(truth, NO_ANCHOR), answers(truth, generator), None, SETTINGS)
    assert (fit.state.population_mean, fit.state.population_sd) == (0.0, 1.0)
    assert (fit.state.linking_slope, fit.state.linking_intercept) == (1.0, 0.0)
    assert np.corrcoef(fit.parameters[:, 1], truth[:, 1])[0, 1] > 0.95
    learned = fit.prior_mean[0, 1], fit.prior_precision[0, 1] ** -0.5
    assert learned == pytest.approx((truth[:, 1].mean(), truth[:, 1].std()), abs=0.3)
    assert (fit.prior_mean == fit.prior_mean[0]).all()


def test_a_rasch_scale_without_anchors_finds_its_spread():
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator, "Rasch")
    abilities = generator.normal(0.0, 1.4, 1500)
    data = adaptive_data(truth, abilities, generator, answers=20, pool_share=0.6)
    fit = fit_scale(
        "main", items_of(truth, NO_ANCHOR, model="Rasch"), as_given(data), None, SETTINGS
    )
    assert (fit.parameters[:, 0] == 1.0).all()
    assert fit.state.population_mean == 0.0
    assert fit.state.population_sd == pytest.approx(1.4, abs=0.1)


def test_a_later_night_without_anchors_is_linked_to_the_baseline():
    """Another population on another night: the scale of the first night stays."""
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator, "2PL")
    items = items_of(truth, NO_ANCHOR, model="2PL", baseline=truth)
    data = answers(truth, generator, mean=0.8)
    fit = fit_scale("main", items, data, STANDARD, SETTINGS)
    assert fit.state.linking_intercept != 0.0
    assert fit.state.population_mean == pytest.approx(0.8, abs=0.1)
    assert (fit.parameters - truth)[:, 1].mean() == pytest.approx(0.0, abs=0.05)


def test_anchors_let_the_population_move():
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator, "2PL")
    is_anchor = np.arange(50) < 15
    items = items_of(truth, is_anchor, model="2PL")
    fit = fit_scale("main", items, answers(truth, generator, mean=0.8), STANDARD, SETTINGS)
    assert fit.state.population_mean == pytest.approx(0.8, abs=0.1)
    assert fit.parameters[is_anchor].tobytes() == truth[is_anchor].tobytes()
    assert (fit.state.linking_slope, fit.state.linking_intercept) == (1.0, 0.0)


def test_the_shadow_refit_finds_a_drifted_anchor_without_shrinking():
    """One anchor's true difficulty is .4 above its reference; the other anchors' are not."""
    shifts, others, z = [], [], []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        truth = draw_items(50, generator)
        truth[0] = [1.3, 0.2, 0.2]
        is_anchor = np.arange(50) < 15
        reference = truth.copy()
        reference[0, 1] -= 0.4
        items = items_of(reference, is_anchor)
        fit = fit_scale("main", items, answers(truth, generator), STANDARD, SETTINGS)
        change = (fit.shadow_parameters - fit.parameters)[is_anchor, 1]
        shifts.append(change[0])
        others.extend(change[1:])
        z.extend(change[1:] / np.sqrt(fit.covariance[is_anchor, 1, 1][1:]))
    assert np.mean(shifts) == pytest.approx(0.4, abs=0.08)
    assert np.median(others) == pytest.approx(0.0, abs=0.06)
    assert np.std(z) == pytest.approx(1.0, abs=0.25)


def test_an_anchor_without_answers_has_its_reference_for_a_shadow():
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator)
    data = answers(truth, generator)
    is_anchor = np.append(np.arange(50) < 15, True)
    wider = replace(data, data=replace(data.data, n_items=51))
    items = items_of(np.vstack([truth, truth[:1]]), is_anchor)
    fit = fit_scale("main", items, wider, STANDARD, SETTINGS)
    np.testing.assert_array_equal(fit.shadow_parameters[50], truth[0])
    assert not fit.covariance[50].any()
    assert np.isfinite(fit.covariance).all()


def test_covariances_shrink_from_the_prior_towards_the_information():
    generator = np.random.default_rng(0)
    truth = draw_items(50, generator)
    fit = fit_scale("main", items_of(truth, NO_ANCHOR), answers(truth, generator), None, SETTINGS)
    prior_variance = 1 / fit.prior_precision
    variance = np.diagonal(fit.covariance, axis1=1, axis2=2)
    assert (variance <= prior_variance + 1e-12).all()
    assert np.linalg.eigvalsh(fit.covariance).min() > 0
    internal_error = to_internal(fit.parameters) - to_internal(truth)
    assert np.mean(internal_error[:, 1] ** 2 / variance[:, 1]) < 2
