from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline.irt.linking_bias import LARGEST_VARIANCE
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reasons import ANCHOR_DRIFT
from calibration_pipeline.policy.links import (
    constants_covariance,
    constants_of,
    link_scales,
    published_populations,
)
from calibration_pipeline.records import Flag, ScaleLink
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import NO_ANCHORS, draw_items, make_anchors, make_bank

SETTINGS = CalibrationConfiguration(minimum_anchors=5)
EXACT = replace(SETTINGS, linking_corrects_attenuation=False)
"""For shadows that are said to have errors, and have none."""
BANK = make_bank(30)
TRUTH = draw_items(30, np.random.default_rng(0))
IS_ANCHOR = np.arange(30) < 12


def state_with(slope: float = 1.0, intercept: float = 0.0, model: str = "3PL"):
    """A night whose anchors' answers lie on another scale: slope and intercept bring it back."""
    truth = draw_items(30, np.random.default_rng(0), model)
    state = make_state(BANK, truth, is_anchor=IS_ANCHOR)
    constants = LinkingConstants(1 / slope, -intercept / slope)
    return replace(state, shadow_parameters=transform_items(truth, constants))


def link(state, flags=(), settings=EXACT, anchors=NO_ANCHORS):
    (found,) = link_scales(state, flags, BANK, anchors, settings)
    return found


def drift_flag(item: int, reason: str = ANCHOR_DRIFT, is_credible: bool = True) -> Flag:
    return Flag(BANK.keys[item], reason, 1.0, 0.5, 0.15, 9.0, is_credible, "")


def test_the_nights_change_of_scale_is_found():
    found = link(state_with(1.1, -0.15))
    assert found.method == "stocking-lord"
    assert found.slope == pytest.approx(1.1, abs=1e-4)
    assert found.intercept == pytest.approx(-0.15, abs=1e-4)
    assert (found.anchors_used, found.anchors_left_out) == (12, {})
    assert found.is_within_bounds
    assert constants_of(found) == LinkingConstants(found.slope, found.intercept)


@pytest.mark.parametrize(("slope", "intercept"), [(1.3, 0.0), (0.7, 0.0), (1.0, 0.5), (1.0, -0.5)])
def test_constants_far_from_one_and_zero_are_out_of_bounds(slope, intercept):
    assert not link(state_with(slope, intercept)).is_within_bounds


def test_a_drifted_anchor_is_left_out_with_its_reason():
    state = state_with()
    state.shadow_parameters[3, 1] += 0.25
    with_it, without = link(state), link(state, [drift_flag(3)])
    assert without.anchors_left_out == {"i00003@1": "flagged as drifted: +0.50 (z +9.0)"}
    assert without.anchors_used == 11
    assert without.intercept == pytest.approx(0.0, abs=1e-6)
    assert abs(with_it.intercept) > 1e-3


@pytest.mark.parametrize(
    "flag", [drift_flag(3, is_credible=False), drift_flag(3, reason="misfit_infit")]
)
def test_only_credible_drift_leaves_an_anchor_out(flag):
    assert link(state_with(), [flag]).anchors_used == 12


def test_an_anchor_with_few_answers_or_off_the_others_is_left_out_with_its_reason():
    state = state_with(1.1, -0.15)
    state.window_counts[0] = 99
    state.shadow_parameters[1, 1] -= 0.4
    state.shadow_parameters[2, 0] *= 2.0
    state.shadow_parameters[3, 1] += 0.6
    state.covariance[3, 1, 1] = 1.0
    found = link(state)
    assert found.intercept == pytest.approx(-0.15, abs=1e-4)
    assert found.anchors_used == 8
    reasons = {item: reason.split(" (z ")[0] for item, reason in found.anchors_left_out.items()}
    assert reasons == {
        "i00000@1": "99 answers in the window",
        "i00001@1": "difficulty drifted: -0.44",
        "i00002@1": "discrimination drifted: ×2.00",
        "i00003@1": "difficulty far off: +0.66",
    }


def test_the_scale_may_move_further_than_an_anchor_may():
    """An anchor is measured against the others: all of them 0.55 lower are a change of scale."""
    found = link(state_with(1.0, 0.55))
    assert (found.anchors_used, found.anchors_left_out) == (12, {})


def test_the_constants_have_the_errors_of_the_anchors():
    found = link(state_with(1.1, -0.15))
    slope_se, intercept_se = found.slope_se, found.intercept_se
    assert 0.02 < intercept_se < 0.1
    assert 0.02 < slope_se < 0.1
    covariance = constants_covariance(found)
    np.testing.assert_allclose(np.diagonal(covariance), [slope_se**2, intercept_se**2])
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    certain = replace(state_with(1.1, -0.15), covariance=state_with().covariance / 4)
    assert link(certain).intercept_se == pytest.approx(intercept_se / 2)


def with_errors(size: float, of_guessing: float = 0.0):
    """The anchors at their references, which are each off by so much, on average, in b."""
    anchors = make_anchors(BANK, np.flatnonzero(IS_ANCHOR), TRUTH)
    errors = np.diag([0.0, size**2, of_guessing**2])
    return replace(anchors, covariance=np.tile(errors, (12, 1, 1)))


def test_the_constants_have_the_errors_of_the_references_too():
    """As many answers and references that are as uncertain: twice the variance."""
    state = state_with()
    state.covariance[:] = np.diag([0.0, 0.1**2, 0.0])
    known, uncertain = link(state), link(state, anchors=with_errors(0.1))
    assert uncertain.intercept_se == pytest.approx(np.sqrt(2) * known.intercept_se, rel=1e-3)
    assert uncertain.slope_se == pytest.approx(np.sqrt(2) * known.slope_se, rel=1e-3)
    same = link(state, anchors=with_errors(0.1, of_guessing=0.5))
    assert same.intercept_se == pytest.approx(uncertain.intercept_se)


def test_an_anchor_is_not_left_out_for_an_error_that_its_reference_is_known_to_have():
    state = state_with()
    state.shadow_parameters[3, 1] += 0.3
    assert "i00003@1" in link(state).anchors_left_out
    assert link(state, anchors=with_errors(0.15)).anchors_left_out == {}


def test_the_correction_of_the_attenuation_has_a_cap():
    """Beyond a variance of .25 of log a, errors flatten curves no further than is plausible."""
    state = state_with()
    state.covariance[:] = np.diag([LARGEST_VARIANCE, 0.01, 0.0])
    at_the_cap = link(state, settings=SETTINGS)
    state.covariance[:, 0, 0] *= 9.0
    state.covariance[:, 1, 1] *= 9.0
    far_beyond = link(state, settings=SETTINGS)
    assert at_the_cap.slope > 1.01
    assert far_beyond.slope == pytest.approx(at_the_cap.slope, abs=1e-6)


@pytest.mark.parametrize("method", ["haebara", "mean-sigma", "mean-mean"])
def test_the_method_is_a_setting(method):
    found = link(state_with(1.1, -0.15), settings=replace(EXACT, linking_method=method))
    assert found.method == method
    assert (found.slope, found.intercept) == pytest.approx((1.1, -0.15), abs=1e-4)


def test_an_anchor_counts_as_much_as_it_is_known():
    """Half of the anchors are off by chance, as far as few answers let them be."""
    state = state_with()
    few = np.flatnonzero(IS_ANCHOR)[::2]
    state.covariance[:] = 0.03**2 * np.diag([1.0, 1.0, 0.0])
    state.covariance[few] *= 100.0
    state.shadow_parameters[few, 1] += 0.3
    weighted = link(state)
    equal = link(state, settings=replace(EXACT, linking_weights="equal"))
    assert weighted.anchors_used == equal.anchors_used == 12
    assert abs(weighted.intercept) < 0.01
    assert abs(equal.intercept) > 0.1
    assert weighted.intercept_se < 0.3 * equal.intercept_se


def test_symmetry_and_grid_are_settings():
    state = state_with(1.1, -0.15)
    noise = np.random.default_rng(1).normal(0.0, 0.1, 30)
    state.shadow_parameters[:, 1] += noise
    changes = (
        {},
        {"linking_is_symmetric": True},
        {"linking_quadrature_nodes": 5},
        {"linking_quadrature_bound": 2.0},
        {"linking_corrects_attenuation": True},
    )
    slopes = {link(state, settings=replace(EXACT, **change)).slope for change in changes}
    assert len(slopes) == len(changes)


def test_anchors_that_cannot_tell_the_constants_link_nothing():
    state = state_with()
    state.parameters[IS_ANCHOR, 1] = state.shadow_parameters[IS_ANCHOR, 1] = 0.5
    assert link(state, settings=replace(EXACT, linking_method="mean-sigma")).method == "none"


def test_too_few_anchors_link_nothing():
    state = state_with(1.1, 0.1)
    state.window_counts[: 12 - SETTINGS.minimum_anchors + 1] = 0
    found = link(state)
    assert (found.method, found.slope, found.intercept) == ("none", 1.0, 0.0)
    assert found.is_within_bounds
    assert (found.slope_se, found.intercept_se) == (0.0, 0.0)
    assert len(found.anchors_left_out) == 8
    assert link(state, settings=replace(EXACT, minimum_anchors=4)).anchors_used == 4


def test_a_scale_that_was_not_fitted_is_not_linked():
    idle = replace(state_with(1.1, 0.1), scales=(replace(make_scale(), fitted=False),))
    assert link(idle).method == "none"


def test_rasch_scales_only_shift():
    state = state_with(1.0, 0.2, model="Rasch")
    state.covariance[:, 0, 0] = 0.0
    found = link(state)
    assert found.slope == 1.0
    assert found.intercept == pytest.approx(0.2, abs=1e-4)


def test_scales_are_linked_by_their_own_anchors():
    bank = make_bank(30, scales={"x": "3PL", "y": "3PL"}, scale_index=[0, 1] * 15)
    state = make_state(bank, TRUTH, is_anchor=IS_ANCHOR)
    moved = transform_items(TRUTH, LinkingConstants(1.0, -0.2))
    shadow = np.where((bank.scale_index == 1)[:, None], moved, TRUTH)
    x, y = link_scales(replace(state, shadow_parameters=shadow), [], bank, NO_ANCHORS, EXACT)
    assert (x.scale, x.anchors_used) == ("x", 6)
    assert x.intercept == pytest.approx(0.0, abs=1e-6)
    assert (y.scale, y.anchors_used) == ("y", 6)
    assert y.intercept == pytest.approx(0.2, abs=1e-4)


def test_the_population_is_published_on_the_scale_of_the_items():
    """An item and an ability that moved together answer as before."""
    scale = replace(make_scale("main"), population_mean=0.4, population_sd=0.9)
    state = replace(
        make_state(make_bank(3), draw_items(3, np.random.default_rng(0))), scales=(scale,)
    )
    link = ScaleLink("main", "stocking-lord", 1.1, -0.2, 9, {}, is_within_bounds=True)
    found = published_populations(state, [link])["main"]
    expected = pytest.approx((1.1 * 0.4 - 0.2, 1.1 * 0.9))
    assert (found.pooled_mean, found.pooled_sd) == expected
    assert (*found.population.mean, *found.population.sd) == expected
