"""The scale over many calibrated nights: it stays, or somebody is told (studies/scale_holds.py)."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from studies.night_chains import ChainPlan
from studies.scale_chains import ScaleChain, WatchedChain
from studies.scale_drift import drift_of, drift_plan
from studies.scale_holds import (
    ALARM_PLAN,
    SHIFT,
    SHIFT_AFTER,
    coverage_of,
    watch_of,
)

SMALL = ChainPlan(
    seed=3, nights=14, items=40, anchors=16, sessions_per_day=150, answers=16, pool_share=0.6
)
SETTINGS = CalibrationConfiguration(
    window_days=5, minimum_anchors=8, contradiction_z=1e9, maximum_moved_share=1.0
)


@pytest.mark.parametrize("shift", [-0.8, 0.0])
def test_anchors_that_all_move_raise_an_alarm_that_linking_does_not(shift: float) -> None:
    chain = ScaleChain(SMALL, SETTINGS, anchor_shift=shift, shift_after=8)
    nights = list(WatchedChain(chain).nights())
    alarms = [night.number for night in nights if night.watch.is_alarm]
    assert len(nights) == SMALL.nights
    assert not any(night.state.scales[0].released_anchors for night in nights)
    if shift:
        assert alarms
        assert 8 < alarms[0] <= 8 + SETTINGS.window_days + 1
    else:
        assert alarms == []


@pytest.mark.slow
@pytest.mark.parametrize("length", [0, 30])
def test_all_anchors_shifted_by_0_4_are_noticed_within_30_nights(length: int) -> None:
    plan = replace(ALARM_PLAN, seed=1, nights=SHIFT_AFTER + 30 + length)
    chain = ScaleChain(plan, anchor_shift=SHIFT, shift_after=SHIFT_AFTER, shift_nights=length)
    found = watch_of(chain)
    assert found.residual_alarms
    # A slow shift is half done at its middle; the nights from there on are those that count.
    assert SHIFT_AFTER < found.residual_alarms[0] <= SHIFT_AFTER + length // 2 + 30
    assert not [night for night in found.population_alarms if night <= SHIFT_AFTER]


@pytest.mark.slow
def test_healthy_anchors_raise_no_alarm_in_90_nights() -> None:
    found = watch_of(ScaleChain(replace(ALARM_PLAN, seed=1)))
    assert found.residual_alarms == ()


@pytest.mark.slow
def test_free_items_do_not_move_together_under_healthy_anchors() -> None:
    """One programme tells it to ±.008 only, the mean of four to ±.004."""
    found = [drift_of(drift_plan(600, 600, seed)) for seed in (3, 4, 5, 6)]
    assert all(drift.items > 150 for drift in found)
    assert abs(np.mean([drift.moved for drift in found])) < 0.01
    assert all(abs(drift.moved) < 3.0 * drift.moved_se for drift in found)


@pytest.mark.slow
def test_intervals_cover_when_references_have_errors_of_their_own() -> None:
    """Twelve anchors whose references are off by .1, and items known to .05 by their answers."""
    seeds = range(1, 13)
    for is_linked in (True, False):
        stated, ignored = (
            np.mean([coverage_of((seed, is_stated, is_linked)).coverage for seed in seeds])
            for is_stated in (True, False)
        )
        assert stated >= 0.925
        assert ignored < stated - 0.02
