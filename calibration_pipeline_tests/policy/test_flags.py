from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_changes import LAST_NIGHT, WINDOW_AGO
from calibration_pipeline.policy.flag_reasons import REASONS, SUSPECTED_LEAK
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.records import Flag
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import (
    Traffic,
    make_anchors,
    make_bank,
    make_pool,
    run_nights,
    simulate_days,
)

SETTINGS = CalibrationConfiguration()
BANK = make_bank(3)
USUAL = np.tile([1.0, 0.5, 0.2], (3, 1))
STATE = make_state(BANK, USUAL)
ANCHORED = make_state(BANK, USUAL, is_anchor=[False, True, False])


def with_values(state, field: str, item: int, value):
    values = getattr(state, field).copy()
    values[item] = value
    return replace(state, **{field: values})


def only(flags: tuple[Flag, ...]) -> Flag:
    assert len(flags) == 1
    return flags[0]


def test_an_ordinary_night_raises_nothing():
    assert raise_flags(STATE, STATE, SETTINGS) == ()
    assert raise_flags(STATE, None, SETTINGS) == ()


@pytest.mark.parametrize(("log_a_se", "is_credible"), [(0.05, True), (0.5, False)])
def test_low_discrimination(log_a_se, is_credible):
    state = with_values(STATE, "parameters", 1, [0.3, 0.5, 0.2])
    state = with_values(state, "covariance", 1, np.diag([log_a_se**2, 0.01, 0.04]))
    flag = only(raise_flags(state, None, SETTINGS))
    assert flag.key == BANK.keys[1]
    assert (flag.reason, flag.is_credible) == ("low_discrimination", is_credible)
    assert (flag.value, flag.threshold) == (0.3, 0.4)
    assert flag.z == pytest.approx(np.log(0.4 / 0.3) / log_a_se)


@pytest.mark.parametrize("statistic", ["infit", "outfit"])
@pytest.mark.parametrize(("value", "threshold"), [(1.5, 1.3), (0.6, 0.7)])
def test_misfit_on_either_side(statistic, value, threshold):
    state = with_values(STATE, statistic, 2, value)
    flag = only(raise_flags(state, None, SETTINGS))
    assert flag.reason == f"misfit_{statistic}"
    assert (flag.value, flag.reference, flag.threshold) == (value, 1.0, threshold)
    assert flag.is_credible
    noisy = with_values(state, f"{statistic}_se", 2, 0.4)
    assert not only(raise_flags(noisy, None, SETTINGS)).is_credible


def test_fit_that_is_unknown_is_no_misfit():
    assert raise_flags(with_values(STATE, "infit", 0, np.nan), None, SETTINGS) == ()


@pytest.mark.parametrize(("se", "is_credible"), [(0.05, True), (0.2, False)])
def test_an_anchor_that_drifts(se, is_credible):
    state = with_values(ANCHORED, "shadow_parameters", 1, [1.0, 0.8, 0.2])
    state = with_values(state, "covariance", 1, np.diag([0.01, se**2, 0.0]))
    flag = only(raise_flags(state, None, SETTINGS))
    assert (flag.reason, flag.is_credible) == ("anchor_drift", is_credible)
    assert (flag.value, flag.reference) == (0.8, 0.5)
    assert flag.z == pytest.approx(0.3 / se)


@pytest.mark.parametrize(("reference_se", "is_credible"), [(0.0, True), (0.1, False)])
def test_an_anchor_whose_reference_has_an_error_drifts_less_credibly(reference_se, is_credible):
    state = with_values(ANCHORED, "shadow_parameters", 1, [1.0, 0.8, 0.2])
    state = with_values(state, "covariance", 1, np.diag([0.01, 0.05**2, 0.0]))
    known = make_anchors(BANK, np.array([1]), USUAL)
    # Of its error in difficulty, a part would go with guessing, which the refit shares.
    error = np.array([[0.0, 0.0, 0.0], [0.0, 4.0, 3.0], [0.0, 3.0, 3.0]]) * reference_se**2
    anchors = replace(known, covariance=error[None])
    flag = only(raise_flags(state, None, SETTINGS, anchors=anchors))
    assert flag.z == pytest.approx(0.3 / np.hypot(0.05, reference_se))
    assert flag.is_credible is is_credible


def test_an_anchor_with_few_answers_is_not_judged():
    state = with_values(ANCHORED, "shadow_parameters", 1, [1.0, 0.8, 0.2])
    assert raise_flags(with_values(state, "window_counts", 1, 99), None, SETTINGS) == ()


@pytest.mark.parametrize(("new_answers", "is_credible"), [(30, True), (400, False), (10, False)])
def test_a_difficulty_that_moved(new_answers, is_credible):
    """Ten surprising answers are no evidence, however many standard errors they amount to."""
    state = with_values(STATE, "parameters", 0, [1.0, 0.7, 0.2])
    state = replace(state, total_counts=STATE.total_counts + new_answers)
    flag = only(raise_flags(state, STATE, SETTINGS))
    assert (flag.reason, flag.is_credible) == ("difficulty_drift", is_credible)
    assert (flag.value, flag.reference, flag.threshold) == (0.7, 0.5, 0.15)
    assert "+0.20" in flag.explanation
    assert (flag.compared_with, flag.compared_on) == (LAST_NIGHT, STATE.partition)
    assert (abs(flag.z) > 3.5) == (new_answers < 400)


def test_nights_under_other_anchors_are_not_compared():
    """The new set may restate the scale: what moved by it is no item."""
    before = replace(STATE, partition=STATE.partition - timedelta(days=30))
    state = with_values(STATE, "parameters", 0, [1.0, 1.3, 0.3])
    state = replace(state, total_counts=STATE.total_counts + 30)
    found = raise_flags(state, STATE, SETTINGS, reference=before)
    assert {flag.reason for flag in found} >= {"difficulty_drift", "reference_drift"}
    assert {flag.compared_with for flag in found} == {LAST_NIGHT, WINDOW_AGO}
    assert all("under the same anchors" in flag.compared_with for flag in found)
    changed = replace(state, anchor_digest="another set")
    assert raise_flags(changed, STATE, SETTINGS, reference=before) == ()


def test_a_difficulty_that_differs_from_what_it_was_a_window_ago():
    before = replace(STATE, partition=STATE.partition - timedelta(days=30))
    state = with_values(STATE, "parameters", 0, [1.0, 1.3, 0.2])
    flag = only(raise_flags(state, None, SETTINGS, reference=before))
    assert (flag.reason, flag.is_credible) == ("reference_drift", True)
    assert flag.reference == 0.5
    assert 0.6 < flag.value - flag.reference < 1.0
    assert flag.compared_on == before.partition
    assert "harder than all answers up to" in flag.explanation
    assert raise_flags(STATE, None, SETTINGS, reference=before) == ()
    little = with_values(STATE, "parameters", 0, [1.0, 0.8, 0.2])
    assert not only(raise_flags(little, None, SETTINGS, reference=before)).is_credible


@pytest.mark.parametrize(("error", "is_credible"), [(0.1, True), (0.12, False)])
def test_an_item_whose_answers_contradict_those_it_carried(error, is_credible):
    """It may be dropped on less evidence than a reviewer is called for."""
    state = with_values(STATE, "carried_shift", 0, 0.4)
    state = with_values(state, "carried_shift_se", 0, error)
    flag = only(raise_flags(with_values(state, "is_contradicted", 0, True), STATE, SETTINGS))
    assert (flag.reason, flag.is_credible) == ("carried_contradicted", is_credible)
    assert (flag.value, flag.reference) == (0.5, pytest.approx(0.1))
    assert (flag.z, flag.threshold) == (
        pytest.approx(0.4 / error),
        error * SETTINGS.contradiction_z,
    )
    assert "0.40 harder" in flag.explanation
    assert raise_flags(state, STATE, SETTINGS) == ()


def test_guessing_that_rose_but_not_guessing_that_fell():
    before = with_values(STATE, "covariance", 0, np.diag([0.01, 0.01, 0.005]))
    state = replace(before, partition=STATE.partition + timedelta(days=30))
    rose = with_values(state, "parameters", 0, [1.0, 0.5, 0.3])
    fell = with_values(state, "parameters", 0, [1.0, 0.5, 0.1])
    flag = only(raise_flags(rose, None, SETTINGS, reference=before))
    assert (flag.reason, flag.value, flag.reference) == ("guessing_rise", 0.3, 0.2)
    assert flag.is_credible
    assert flag.compared_on == before.partition
    noisy = with_values(rose, "covariance", 0, np.diag([0.01, 0.01, 0.04]))
    assert not only(raise_flags(noisy, None, SETTINGS, reference=before)).is_credible
    assert raise_flags(fell, None, SETTINGS, reference=before) == ()


@pytest.mark.parametrize(
    ("values", "bound", "z"),
    [
        ([3.0, 0.5, 0.2], 3.0, np.log(3.0) / np.sqrt(1 / 4 - 0.01)),
        ([1.0, 0.5, 0.35], 0.35, (np.log(0.35 / 0.65) + 1.6) / np.sqrt(1 / 4 - 0.04)),
        ([1.0, -6.0, 0.2], -6.0, -6.0 / np.sqrt(1 / 0.5 - 0.01)),
    ],
)
def test_an_estimate_at_the_end_of_its_range(values, bound, z):
    flag = only(raise_flags(with_values(STATE, "parameters", 2, values), None, SETTINGS))
    assert (flag.reason, flag.threshold) == ("estimate_at_bound", bound)
    assert flag.z == pytest.approx(z)
    assert flag.is_credible == (abs(z) >= SETTINGS.credible_z)
    assert f"{bound:g}" in flag.explanation


def test_no_guessing_is_no_estimate_at_a_bound():
    assert raise_flags(with_values(STATE, "parameters", 2, [1.0, 0.5, 0.001]), None, SETTINGS) == ()
    fixed = with_values(ANCHORED, "parameters", 1, [3.0, 0.5, 0.2])
    fixed = with_values(fixed, "shadow_parameters", 1, [3.0, 0.5, 0.2])
    assert raise_flags(fixed, None, SETTINGS) == ()


def test_verdicts_of_the_leak_detector_stand_among_the_others():
    leak = Flag(BANK.keys[1], SUSPECTED_LEAK, 12.0, 0.0, 9.0, 4.0, True, "a leak")
    state = with_values(STATE, "infit", 2, 2.0)
    flags = raise_flags(state, None, SETTINGS, suspected_leaks=[leak])
    assert [flag.reason for flag in flags] == ["suspected_leak", "misfit_infit"]


def test_every_flag_says_what_it_is_compared_with_and_is_of_a_known_reason():
    state = with_values(ANCHORED, "shadow_parameters", 1, [1.0, 0.9, 0.2])
    state = with_values(state, "parameters", 0, [0.2, 1.5, 0.3])
    state = with_values(with_values(state, "infit", 2, 2.0), "outfit", 2, 2.0)
    state = replace(state, total_counts=STATE.total_counts + 30)
    flags = raise_flags(state, ANCHORED, SETTINGS, reference=ANCHORED)
    assert {flag.reason for flag in flags} <= set(REASONS)
    assert len({flag.reason for flag in flags}) >= 6
    assert all(flag.compared_with for flag in flags)


@pytest.mark.parametrize("field", ["window_counts", "is_updated"])
def test_an_item_that_is_not_eligible_is_not_flagged_for_its_estimates(field):
    state = with_values(STATE, "parameters", 0, [0.3, 0.9, 0.3])
    state = with_values(state, field, 0, 0)
    assert raise_flags(state, STATE, SETTINGS) == ()


def test_flags_stand_in_item_order():
    state = with_values(STATE, "infit", 2, 2.0)
    state = with_values(state, "outfit", 0, 2.0)
    state = with_values(state, "infit", 0, 2.0)
    flags = raise_flags(state, None, SETTINGS)
    assert [flag.key[0] for flag in flags] == ["i00000", "i00000", "i00002"]
    assert [flag.reason for flag in flags[:2]] == ["misfit_infit", "misfit_outfit"]


def test_a_stable_pool_has_next_to_no_credible_drift():
    """600 stable items: many pass a raw threshold, next to none of them is called credible.

    `test_flags_full_size.py` has 2,400.
    """
    generator = np.random.default_rng(0)
    pool = make_pool(600, 72, generator)
    days = simulate_days(pool, 34, generator, Traffic(125, 30, 0.1))
    states = run_nights(pool, days, SETTINGS, first=29)
    raw = credible = 0
    for earlier, state in pairwise(states):
        flags = [f for f in raise_flags(state, earlier, SETTINGS) if f.reason.endswith("_drift")]
        raw += len(flags)
        credible += sum(flag.is_credible for flag in flags)
        assert sum(flag.is_credible for flag in flags) <= 2
    assert raw > 25
    assert credible <= 3
