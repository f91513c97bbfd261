"""The nightly verdict on a scale: what is an alarm, and what it is compared with."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.scale_watch import baseline_night, watch_scales
from calibration_pipeline.records import ScaleNight
from calibration_pipeline_tests.policy.test_residual_shift import BANK, state
from calibration_pipeline_tests.simulated import FIRST_DAY

SETTINGS = CalibrationConfiguration()
WINDOW = SETTINGS.window_days


def day(number: int):
    return FIRST_DAY + timedelta(days=number)


def history(count: int, *, means=None, anchor_set: int | None = 1) -> list[ScaleNight]:
    means = np.zeros(count) if means is None else means
    return [
        ScaleNight(day(number), 1, anchor_set, "main", float(means[number]), 1.0)
        for number in range(count)
    ]


def watch(tonight, *, nights=(), baseline=None, settings=SETTINGS):
    tonight = replace(tonight, partition=day(len(nights)), anchor_set_id=1)
    (found,) = watch_scales(tonight, baseline, nights, BANK, settings)
    return found


def test_a_healthy_night_asks_for_nothing() -> None:
    found = watch(state(3), baseline=state())
    assert found.reasons == ()
    assert not found.is_alarm
    assert found.compared_with == FIRST_DAY
    assert np.isnan(found.mean_score)


def test_anchors_that_moved_as_one_are_an_alarm_with_size_and_z() -> None:
    (reason,) = watch(state(3, anchors=-0.4), baseline=state()).reasons
    assert f"since {FIRST_DAY} free items have become harder by 0.4" in reason
    (reason,) = watch(state(3, anchors=0.4), baseline=state()).reasons
    assert "easier by 0.4" in reason


@pytest.mark.parametrize(("change", "is_alarm"), [({}, True), ({"watch_z": 20.0}, False),
                                                  ({"watch_shift": 0.6}, False)])  # fmt: skip
def test_a_shift_must_be_large_and_credible(change: dict, is_alarm: bool) -> None:
    settings = replace(SETTINGS, anchors=replace(SETTINGS.anchors, **change))
    moved = state(3, anchors=-0.4)
    assert watch(moved, baseline=state(), settings=settings).is_alarm is is_alarm


def test_candidates_that_changed_are_an_alarm_of_their_own() -> None:
    days = np.random.default_rng(0).normal(0.0, 0.14, 110)
    days[90:] += 0.4
    means = [days[max(number - WINDOW, 0) : number].mean() for number in range(1, 111)]
    tonight = state(3)
    scale = replace(tonight.scales[0], population_mean=float(means[-1]), population_sd=1.0)
    found = watch(
        replace(tonight, scales=(scale,)), nights=history(109, means=means), baseline=state()
    )
    (reason,) = found.reasons
    assert "the candidates' mean has risen after" in reason
    assert found.moving_since is not None
    assert abs((found.moving_since - day(90)).days) <= 10


def test_the_baseline_is_the_first_full_window_under_the_same_anchors() -> None:
    tonight = replace(state(), partition=day(80), anchor_set_id=1)
    assert baseline_night(tonight, history(80), WINDOW) == (day(WINDOW - 1), 1)
    assert baseline_night(tonight, history(WINDOW - 1), WINDOW) is None
    assert baseline_night(tonight, [], WINDOW) is None
    earlier = [replace(night, anchor_set_id=9) for night in history(80)[:20]]
    later = [*earlier, *history(80)[20:]]
    assert baseline_night(tonight, later, WINDOW) == (day(20 + WINDOW - 1), 1)
    missed = [night for night in history(80) if night.partition != day(WINDOW - 1)]
    assert baseline_night(tonight, missed, WINDOW) == (day(WINDOW), 1)
    first = replace(tonight, partition=day(WINDOW - 1))
    assert baseline_night(first, history(80), WINDOW) is None


def test_a_scale_that_was_not_fitted_is_not_judged_by_its_residuals() -> None:
    moved = state(3, anchors=-0.4)
    idle = replace(moved, scales=(replace(moved.scales[0], fitted=False),))
    found = watch(idle, baseline=state())
    assert not found.is_alarm
    assert found.compared_with is None
