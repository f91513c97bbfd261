"""Whether an item has moved: stable items qualify at the stated rate whatever their precision."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.anchor_movement import anchor_movement, judge_movement
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import NO_ANCHORS, draw_items, make_anchors, make_bank

SETTINGS = AnchorConfiguration()
DRAWS = 20_000


def share_within(change: float, error: float, settings: AnchorConfiguration = SETTINGS) -> float:
    """Of items that moved by `change`, how many are found to lie within their margin."""
    noise = np.random.default_rng(0).normal(0.0, error, DRAWS)
    return float(judge_movement(change + noise, np.full(DRAWS, error), settings).is_within.mean())


@pytest.mark.parametrize("error", [0.05, 0.08, 0.12, 0.15, 0.19])
@pytest.mark.parametrize("power", [0.8, 0.9])
def test_stable_items_qualify_at_the_stated_rate(error: float, power: float) -> None:
    settings = replace(SETTINGS, movement_power=power)
    assert share_within(0.0, error, settings) == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize("error", [0.01, 0.05, 0.12, 0.19])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_what_moved_by_its_margin_is_refused_with_the_stated_confidence(
    error: float, confidence: float
) -> None:
    settings = replace(SETTINGS, movement_confidence=confidence)
    margin = float(judge_movement(np.zeros(1), np.array([error]), settings).margin[0])
    for direction in (-1.0, 1.0):
        assert 1.0 - share_within(direction * margin, error, settings) >= confidence - 0.01


def test_where_it_can_be_told_the_margin_is_the_one_that_is_set() -> None:
    found = judge_movement(np.array([0.03, -0.048]), np.array([0.01, 0.01]), SETTINGS)
    assert found.margin.tolist() == [0.05, 0.05]
    assert found.is_within.tolist() == [True, False]


def test_a_margin_wider_than_allowed_is_not_precise() -> None:
    found = judge_movement(np.zeros(3), np.array([0.2, 0.21, np.nan]), SETTINGS)
    assert found.is_precise.tolist() == [True, False, False]
    assert found.is_within.tolist() == [True, True, False]


def test_a_window_is_compared_with_what_was_known_before() -> None:
    bank = make_bank(4)
    truth = draw_items(4, np.random.default_rng(1))
    earlier = make_state(bank, truth, difficulty_se=0.1)
    moved = make_state(bank, truth + np.array([0.0, 0.3, 0.0]), difficulty_se=0.1)
    # A base prior alone stands between the posteriors and the answers.
    earlier, moved = (
        replace(state, prior_precision=np.full((4, 3), 1e-9)) for state in (earlier, moved)
    )
    found = anchor_movement(moved, earlier, NO_ANCHORS, SETTINGS)
    np.testing.assert_allclose(found.change, 0.3, atol=0.01)
    np.testing.assert_allclose(found.change_se, 0.1 * np.sqrt(2.0), rtol=0.02)
    other_set = anchor_movement(replace(moved, anchor_digest="x"), earlier, NO_ANCHORS, SETTINGS)
    np.testing.assert_array_equal(other_set.change, found.change)


def test_an_anchors_shadow_is_compared_with_its_reference_and_the_error_of_that() -> None:
    bank = make_bank(3)
    truth = draw_items(3, np.random.default_rng(1))
    state = make_state(bank, truth, is_anchor=[True, True, False], difficulty_se=0.1)
    shadow = state.shadow_parameters.copy()
    shadow[:2, 1] += 0.2
    state = replace(state, shadow_parameters=shadow)
    anchors = make_anchors(bank, [0, 1], truth)
    known = anchor_movement(state, None, anchors, SETTINGS)
    np.testing.assert_allclose(known.change[:2], 0.2)
    np.testing.assert_allclose(known.change_se[:2], 0.1)
    assert np.isnan(known.change[2])
    covariance = np.zeros((2, 3, 3))
    covariance[1, 1, 1] = 0.05**2
    estimated = anchor_movement(state, None, replace(anchors, covariance=covariance), SETTINGS)
    np.testing.assert_allclose(estimated.change_se[:2], [0.1, np.hypot(0.1, 0.05)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 0.0),
        ("share", 1.1),
        ("stable_days", 0),
        ("minimum_total", -1),
        ("movement_margin", 0.0),
        ("movement_limit", 0.01),
        ("movement_confidence", 0.4),
        ("movement_power", 1.0),
    ],
)
def test_settings_by_which_no_set_can_be_selected_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}"):
        replace(SETTINGS, **{name: value})
