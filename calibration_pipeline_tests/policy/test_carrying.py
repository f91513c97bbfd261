from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.irt.model import standard_errors, to_internal
from calibration_pipeline.policy import carrying
from calibration_pipeline.policy.carrying import (
    CarriedItems,
    carry_over,
    fold,
    free_by_model,
    starting_values,
)
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    NO_ANCHORS,
    Traffic,
    draw_items,
    make_anchors,
    make_bank,
    make_pool,
    run_nights,
    simulate_days,
)

SETTINGS = replace(CalibrationConfiguration(), window_days=5)
POOL = make_pool(40, 10, np.random.default_rng(0))
DAYS = simulate_days(POOL, 12, np.random.default_rng(1), Traffic(40, 10, 1.0))
UNTIMED = np.full(40, np.nan)


def on_day(number: int):
    return FIRST_DAY + timedelta(days=number)


def nothing_carried(folded_through) -> CarriedItems:
    empty = carry_over(None, {}, POOL.bank, POOL.anchors)
    return replace(empty, folded_through=folded_through)


def fold_to(carried: CarriedItems, number: int, settings=SETTINGS) -> CarriedItems:
    """Fold up to the night of day `number`, all days at hand, always linearised at the truth."""
    return fold(carried, DAYS, on_day(number), POOL.truth, POOL.bank, settings, UNTIMED)


def test_the_first_night_folds_nothing():
    folded = fold_to(nothing_carried(None), 6)
    assert not folded.information.any()
    assert folded.folded_through == on_day(1)


def test_a_day_is_folded_once():
    once = fold_to(nothing_carried(on_day(-1)), 6)
    again = fold_to(once, 6)
    assert once.folded_through == on_day(1)
    assert once.folded_counts.sum() == sum(len(day.item) for day in DAYS[:2])
    assert again.information.tobytes() == once.information.tobytes()
    assert again.linear.tobytes() == once.linear.tobytes()
    assert again.folded_counts.tobytes() == once.folded_counts.tobytes()


def test_folding_after_skipped_nights_equals_folding_daily():
    at_once = fold_to(nothing_carried(on_day(-1)), 11)
    daily = nothing_carried(on_day(-1))
    for number in range(5, 12):
        daily = fold_to(daily, number)
    assert daily.folded_through == at_once.folded_through == on_day(6)
    np.testing.assert_array_equal(daily.folded_counts, at_once.folded_counts)
    np.testing.assert_allclose(daily.information, at_once.information, rtol=1e-12)
    np.testing.assert_allclose(daily.linear, at_once.linear, rtol=1e-12)


def test_a_day_without_an_archive_only_ages_what_is_carried():
    before = fold_to(nothing_carried(on_day(-1)), 6)
    after = fold(before, [], on_day(7), POOL.truth, POOL.bank, SETTINGS, UNTIMED)
    ratio = after.information[0, 1, 1] / before.information[0, 1, 1]
    assert ratio == pytest.approx(0.5 ** (1 / 180))
    assert after.folded_through == on_day(2)


def test_carried_information_halves_in_a_half_life_and_its_mode_stays():
    settings = replace(SETTINGS, forgetting_half_life_days=20.0)
    before = fold_to(nothing_carried(on_day(-1)), 11, settings)
    after = fold(before, [], on_day(31), POOL.truth, POOL.bank, settings, UNTIMED)
    np.testing.assert_allclose(after.information, before.information / 2, rtol=1e-9)
    np.testing.assert_allclose(after.linear, before.linear / 2, rtol=1e-9)


def test_what_is_folded_is_positive_semidefinite_and_points_near_the_truth():
    folded = fold_to(nothing_carried(on_day(-1)), 11)
    assert np.linalg.eigvalsh(folded.information).min() > -1e-9
    difficulty = folded.information[:, 1, 1]
    prior = np.diag([10.0, 0.5, 10.0])
    pull = folded.linear + np.array([2.0, 0.0, -14.0])
    mode = np.linalg.solve(folded.information + prior, pull[:, :, None])[:, 1, 0]
    well_known = difficulty > np.median(difficulty)
    assert np.corrcoef(mode[well_known], POOL.truth[well_known, 1])[0, 1] > 0.9


def test_carrying_agrees_with_fitting_all_days_at_once():
    """Folding approximates a day by its curvature: less than half a standard error is lost."""
    pool = make_pool(50, 12, np.random.default_rng(3))
    days = simulate_days(pool, 40, np.random.default_rng(4), Traffic(50, 15, 0.6))
    patient = replace(CalibrationConfiguration(), forgetting_half_life_days=1e9)
    carried = run_nights(pool, days, replace(patient, window_days=10))[-1]
    together = run_nights(pool, days, replace(patient, window_days=40), first=39)[-1]
    free = ~pool.is_anchor
    np.testing.assert_array_equal(carried.total_counts, together.total_counts)
    errors = standard_errors(together.parameters, together.covariance)[free]
    gap = (carried.parameters - together.parameters)[free] / errors
    assert np.sqrt(np.square(gap).mean(axis=0)).max() < 0.5
    narrowed = standard_errors(carried.parameters, carried.covariance)[free, 1] / errors[:, 1]
    assert np.median(narrowed) == pytest.approx(1.0, abs=0.1)


def common_pull(ability: float, sessions: int) -> float:
    """By how many standard errors a folded day pushes all difficulties from the truth together.

    The last accepted population is N(0, 1); that day's sessions had another mean.
    """
    pool = make_pool(40, 10, np.random.default_rng(5))
    traffic = Traffic(sessions, 15, 1.0, ability_mean=lambda _: ability)
    days = simulate_days(pool, 1, np.random.default_rng(6), traffic)
    state = make_state(pool.bank, pool.truth)
    state = replace(
        state,
        scales=(replace(make_scale(), population_mean=0.0),),
        folded_through=FIRST_DAY - timedelta(days=1),
    )
    carried = carry_over(state, {}, pool.bank, pool.anchors)
    night = FIRST_DAY + timedelta(days=5)
    folded = fold(carried, days, night, pool.truth, pool.bank, SETTINGS, UNTIMED)
    phi = to_internal(pool.truth)
    score = folded.linear - np.einsum("jkm,jm->jk", folded.information, phi)
    return float(score[:, 1].sum() / np.sqrt(folded.information[:, 1, 1].sum()))


def test_a_day_of_weaker_sessions_does_not_make_its_items_harder(monkeypatch):
    """2,000 sessions half a standard deviation below the last population."""
    assert abs(common_pull(-0.5, 2000)) < 3.0
    monkeypatch.setattr(carrying, "DAY_MEAN_SD", 1e-6)  # as if every day were like the window
    assert common_pull(-0.5, 2000) > 7.0


def test_new_items_carry_nothing_and_lost_items_are_dropped():
    truth = draw_items(6, np.random.default_rng(0))
    parent = make_state(make_bank(6), truth)
    parent = replace(parent, carried_linear=np.ones((6, 3)), total_counts=parent.total_counts + 7)
    bank = make_bank(6, first=2)
    carried = carry_over(parent, {}, bank, NO_ANCHORS)
    np.testing.assert_array_equal(carried.parameters[:4], truth[2:])
    assert np.isnan(carried.parameters[4:]).all()
    assert carried.linear.sum(axis=1).tolist() == [3, 3, 3, 3, 0, 0]
    assert carried.folded_counts.tolist() == [7, 7, 7, 7, 0, 0]


def test_anchors_stand_at_their_reference_whatever_the_parent_says():
    bank, truth = make_bank(4), draw_items(4, np.random.default_rng(0))
    carried = carry_over(make_state(bank, truth), {}, bank, make_anchors(bank, [2], truth + 0.1))
    np.testing.assert_array_equal(carried.parameters[2], truth[2] + 0.1)


def test_a_scale_that_was_set_keeps_its_population_over_a_night_without_a_fit():
    bank, truth = make_bank(4), draw_items(4, np.random.default_rng(0))
    baseline = make_state(bank, truth)
    idle = replace(baseline, scales=(replace(make_scale(), fitted=False),))
    kept = carry_over(idle, {"main": baseline}, bank, NO_ANCHORS).populations["main"]
    assert (kept.pooled_mean, kept.pooled_sd) == (0.1, 1.0)
    assert (kept.population.mean, kept.population.sd) == (0.1, 1.0)
    assert carry_over(idle, {}, bank, NO_ANCHORS).populations == {}


def test_starting_values_are_the_last_estimates_or_the_priors_mode():
    bank = make_bank(2, scales={"r": "Rasch", "g": "3PL"}, scale_index=[0, 1])
    carried = carry_over(None, {}, bank, NO_ANCHORS)
    prior_mean = np.array([[0.3, 0.7, -1.0], [0.3, 0.7, -1.0]])
    start = starting_values(carried, prior_mean, bank)
    np.testing.assert_allclose(start[0], [1.0, 0.7, 0.0])
    np.testing.assert_allclose(start[1], [np.exp(0.3), 0.7, 1 / (1 + np.e)])
    known = replace(carried, parameters=np.array([[1.0, 0.1, 0.0], [1.1, 0.2, 0.3]]))
    np.testing.assert_array_equal(starting_values(known, prior_mean, bank), known.parameters)


def test_free_coordinates_follow_the_model():
    bank = make_bank(3, scales={"x": "Rasch", "y": "2PL", "z": "3PL"}, scale_index=[2, 0, 1])
    assert free_by_model(bank).sum(axis=1).tolist() == [3, 1, 2]
