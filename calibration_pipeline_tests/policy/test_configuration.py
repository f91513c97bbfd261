from dataclasses import fields, replace

import pytest

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.cold_start_configuration import ColdStartConfiguration
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.cross_check_configuration import (
    AuditConfiguration,
    SecondOpinionConfiguration,
)
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.flag_configuration import FlagConfiguration
from calibration_pipeline.policy.item_prior_configuration import ItemPriorConfiguration
from calibration_pipeline.policy.leak_configuration import LeakConfiguration

OTHER_NAMES = {"stocking-lord": "haebara", "precision": "equal"}


def test_equal_settings_have_equal_digests():
    assert CalibrationConfiguration().digest == CalibrationConfiguration().digest


def _another(value):
    """A value of the same kind that is as good a setting."""
    if isinstance(value, EMConfiguration):
        return replace(value, tolerance=0.5)
    if isinstance(value, AnchorConfiguration):
        return replace(value, share=0.5)
    if isinstance(value, FlagConfiguration):
        return replace(value, resolve_nights=9)
    if isinstance(value, LeakConfiguration):
        return replace(value, planned_share=0.3)
    if isinstance(value, ExposureConfiguration):
        return replace(value, answers=9)
    if isinstance(value, ColdStartConfiguration):
        return replace(value, ability_se=0.5)
    if isinstance(value, AuditConfiguration):
        return replace(value, items=9)
    if isinstance(value, SecondOpinionConfiguration):
        return replace(value, epochs=9)
    if isinstance(value, ItemPriorConfiguration):
        return replace(value, enough_responses=301)
    if isinstance(value, bool):
        return not value
    if value in OTHER_NAMES:
        return OTHER_NAMES[value]
    if isinstance(value, str):
        return "absent" if value == "wrong" else "wrong"
    if isinstance(value, tuple):
        return (value[0] - 0.01, value[1])
    return value + 1 if isinstance(value, int) else value * 0.95 + 1e-4


@pytest.mark.parametrize("name", [f.name for f in fields(CalibrationConfiguration)])
def test_every_setting_is_in_the_digest(name):
    default = CalibrationConfiguration()
    value = getattr(default, name)
    assert replace(default, **{name: _another(value)}).digest != default.digest


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"window_days": 0}, "window_days must be 1 or more"),
        ({"window_days": -3}, "window_days must be 1 or more"),
        ({"forgetting_half_life_days": 0.0}, "forgetting_half_life_days must be above 0"),
        ({"maximum_quarantined_share": 7.0}, "maximum_quarantined_share must lie between 0 and 1"),
        ({"linking_slope_range": (1.25, 0.8)}, "linking_slope_range must go from a lower"),
        ({"linking_method": "equipercentile"}, "linking_method must be one of stocking-lord, "),
        ({"linking_weights": "none"}, "linking_weights must be precision or equal"),
        ({"linking_quadrature_nodes": 1}, "linking_quadrature_nodes must be 2 or more"),
        ({"linking_quadrature_bound": 0.0}, "linking_quadrature_bound must be above 0"),
        ({"minimum_anchors": 0}, "minimum_anchors must be 1 or more"),
        ({"anchor_rejection_z": 0.5}, "anchor_rejection_z must be 1 or more"),
        ({"prior_guessing": (-1.6, 0.0)}, "spread of prior_guessing"),
        ({"omitted_answers": "right"}, "omitted_answers must be wrong or absent"),
        ({"rapid_guess_weight": -0.1}, "rapid_guess_weight must lie between 0 and 1"),
        ({"aberrant_session_weight": 1.1}, "aberrant_session_weight must lie between 0 and 1"),
        ({"rapid_guess_cap_seconds": 0.0}, "rapid_guess_cap_seconds must be above 0"),
        ({"minimum_group_sessions": 0}, "minimum_group_sessions must be 1 or more"),
        ({"differential_minimum_answers": 0}, "differential_minimum_answers must be 1 or more"),
        ({"differential_mh_delta": 0.0}, "differential_mh_delta must be above 0"),
        ({"differential_false_discovery_rate": 1.0}, "false_discovery_rate must lie between"),
        ({"misfit_low": 1.5}, "misfit_low must be below misfit_high"),
    ],
)
def test_a_threshold_that_would_damage_a_night_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        CalibrationConfiguration(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tolerance": 0.0}, "tolerance must be above 0"),
        ({"quadrature_nodes": 2}, "quadrature_nodes must be 3 or more"),
        ({"discrimination_bounds": (0.0, 3.0)}, "discrimination_bounds must lie above 0"),
        ({"guessing_bounds": (0.0, 0.35)}, "guessing_bounds must lie between 0 and 1"),
        ({"difficulty_bounds": (6.0, -6.0)}, "difficulty_bounds must go from a lower"),
    ],
)
def test_an_estimator_that_could_fit_nothing_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        EMConfiguration(**changes)


@pytest.mark.parametrize("name", ["drift_credible_z", "resolve_nights", "dismissal_growth"])
def test_flags_need_settings_above_zero(name):
    with pytest.raises(ValueError, match=name):
        FlagConfiguration(**{name: 0})
