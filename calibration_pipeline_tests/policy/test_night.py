from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import numba
import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.records import CalibrationState, DayResponses, ItemBank
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    NO_ANCHORS,
    SimulatedPool,
    Traffic,
    first_fits,
    make_anchors,
    make_bank,
    make_pool,
    night_inputs,
    run_nights,
    simulate_days,
)

SETTINGS = replace(CalibrationConfiguration(), window_days=6)
POOL = make_pool(40, 12, np.random.default_rng(0))
DAYS = simulate_days(POOL, 14, np.random.default_rng(1), Traffic(40, 12, 1.0))


def on_day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def night(
    number: int,
    parent: CalibrationState | None = None,
    *,
    days: list[DayResponses] = DAYS,
    bank: ItemBank = POOL.bank,
    anchors=POOL.anchors,
    settings: CalibrationConfiguration = SETTINGS,
) -> CalibrationState:
    inputs = night_inputs(on_day(number), days, bank, anchors, settings, parent=parent)
    return calibrate_night(inputs, settings)


@pytest.fixture(scope="module")
def first() -> CalibrationState:
    return night(5)


def test_a_first_night_is_accepted_and_says_what_it_used(first):
    assert first.is_accepted
    assert first.parent is None
    assert [entry[0] for entry in first.window] == [on_day(n) for n in range(6)]
    assert first.folded_through == on_day(-1)
    assert not first.carried_information.any()
    assert first.window_counts.sum() == 6 * 40 * 12
    np.testing.assert_array_equal(first.total_counts, first.window_counts)
    assert first.parameters[POOL.is_anchor].tobytes() == POOL.truth[POOL.is_anchor].tobytes()
    assert (first.is_updated == (~POOL.is_anchor & (first.window_counts > 0))).all()


def test_equal_inputs_give_equal_digests_and_other_answers_do_not(first):
    assert night(5).digest == first.digest
    day = DAYS[5]
    flipped = replace(day, correct=np.append(1 - day.correct[:1], day.correct[1:]))
    assert night(5, days=[*DAYS[:5], flipped]).digest != first.digest


def test_attempts_do_not_change_the_digest():
    inputs = night_inputs(on_day(5), DAYS, POOL.bank, POOL.anchors, SETTINGS)
    again = calibrate_night(replace(inputs, attempt=3), SETTINGS)
    assert again.attempt == 3
    assert again.digest == calibrate_night(inputs, SETTINGS).digest


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


def test_threads_do_not_change_the_digest(first, restored_threads):
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    assert night(5).digest == first.digest


def test_a_skipped_night_is_made_up_for_exactly(first):
    """Every answer is counted on the tenth night, whether the nights between ran or not."""
    daily = first
    for number in range(6, 11):
        daily = night(number, daily)
    skipping = night(10, first)
    assert skipping.parent == (on_day(5), 1)
    assert daily.folded_through == skipping.folded_through == on_day(4)
    np.testing.assert_array_equal(daily.total_counts, skipping.total_counts)
    assert daily.total_counts.sum() == 11 * 40 * 12
    gap = (daily.parameters - skipping.parameters)[:, 1]
    assert np.abs(gap).max() < 0.1


def test_a_rejected_night_leaves_no_trace_in_the_next(first):
    strict = replace(SETTINGS, population_sd_range=(4.0, 5.0))
    rejected = night(6, first, settings=strict)
    assert not rejected.is_accepted
    assert "population sd" in rejected.reasons[0]
    after = night(7, first)
    np.testing.assert_array_equal(after.total_counts.sum(), 8 * 40 * 12)


def test_a_window_made_longer_reaches_no_day_that_is_carried_already(first):
    parent = night(9, first)
    assert parent.folded_through == on_day(3)
    longer = night(10, parent, settings=replace(SETTINGS, window_days=10))
    assert [entry[0] for entry in longer.window] == [on_day(n) for n in range(4, 11)]
    assert longer.total_counts.sum() == 11 * 40 * 12


def test_a_window_made_shorter_folds_what_it_no_longer_holds(first):
    shorter = night(6, first, settings=replace(SETTINGS, window_days=3))
    assert shorter.folded_through == on_day(3)
    assert shorter.total_counts.sum() == 7 * 40 * 12


def test_retired_items_stay_frozen_and_their_answers_still_count(first):
    retired = np.isin(np.arange(40), np.flatnonzero(~POOL.is_anchor)[:3])
    state = night(6, first, bank=replace(POOL.bank, is_retired=retired))
    assert state.parameters[retired].tobytes() == first.parameters[retired].tobytes()
    assert not state.is_updated[retired].any()
    assert not state.covariance[retired].any()
    assert (state.window_counts[retired] > 0).all()
    assert (state.parameters[~retired] != first.parameters[~retired]).any()


def test_a_new_item_disturbs_no_other(first):
    """It stands in the middle of the pool, with no answers yet; sums round a little otherwise."""
    keys = (*POOL.bank.keys[:20], ("i00019x", 1), *POOL.bank.keys[20:])
    bank = replace(
        make_bank(41),
        keys=keys,
        author_difficulty=np.insert(POOL.bank.author_difficulty, 20, 1.5),
    )
    grown = night(6, first, bank=bank)
    usual = night(6, first)
    others = np.arange(41) != 20
    np.testing.assert_allclose(grown.parameters[others], usual.parameters, rtol=1e-5)
    np.testing.assert_array_equal(grown.carried_information[others], usual.carried_information)
    assert not grown.is_updated[20]
    assert grown.parameters[20, 1] == pytest.approx(grown.prior_mean[20, 1])
    assert (grown.window_counts[20], grown.total_counts[20]) == (0, 0)


def test_an_edited_item_starts_anew(first):
    edited = int(np.flatnonzero(~POOL.is_anchor)[0])
    item_id = POOL.bank.keys[edited][0]
    keys = (*POOL.bank.keys[: edited + 1], (item_id, 2), *POOL.bank.keys[edited + 1 :])
    bank = replace(
        make_bank(41),
        keys=keys,
        author_difficulty=np.insert(POOL.bank.author_difficulty, edited, np.nan),
    )
    state = night(7, first, bank=bank)
    assert state.carried_information[edited].any()
    assert not state.carried_information[edited + 1].any()


def test_a_released_anchor_uses_what_it_has_carried(first):
    parent = night(9, first)
    fewer = make_anchors(POOL.bank, np.flatnonzero(POOL.is_anchor)[1:], POOL.truth)
    released = np.flatnonzero(POOL.is_anchor)[0]
    state = night(10, parent, anchors=fewer)
    assert state.is_updated[released]
    assert state.carried_information[released].any()
    assert state.parameters[released, 1] != POOL.truth[released, 1]
    assert abs(state.parameters[released, 1] - POOL.truth[released, 1]) < 0.6


def test_a_scale_with_too_few_eligible_items_is_not_fitted_and_says_why(first):
    demanding = replace(SETTINGS, minimum_responses=10_000)
    state = night(6, first, settings=demanding)
    (scale,) = state.scales
    assert not scale.fitted
    assert scale.reason.startswith("0 items with 10000 answers or more in the window")
    assert state.is_accepted
    assert not state.is_updated.any()
    np.testing.assert_array_equal(state.parameters, first.parameters)
    assert np.isfinite(state.covariance).all()
    assert state.folded_through == on_day(0)


def test_a_night_without_any_answers_stands_as_the_last_one(first):
    state = night(200, first, days=[])
    assert not state.scales[0].fitted
    np.testing.assert_array_equal(state.parameters, first.parameters)
    assert not state.window_counts.any()


def test_a_day_with_too_many_bad_rows_stops_the_night(first):
    own = DAYS[6]
    bad = replace(own, revision=replace(own.revision, quarantine_counts={"unknown_item": 30}))
    state = night(6, first, days=[*DAYS[:6], bad])
    assert not state.is_accepted
    assert "30 of 510 rows" in state.reasons[0]
    np.testing.assert_array_equal(state.parameters, first.parameters)


def two_scales(seed: int = 0) -> SimulatedPool:
    pool = make_pool(40, 20, np.random.default_rng(seed))
    bank = make_bank(
        40,
        scales={"x": "3PL", "y": "3PL"},
        scale_index=np.arange(40) % 2,
        author_difficulty=pool.bank.author_difficulty,
    )
    return replace(pool, bank=bank)


def test_two_scales_do_not_touch_each_other():
    """Answers on scale y are all turned round; nothing of scale x moves by a bit."""
    pool = two_scales()
    days = simulate_days(pool, 8, np.random.default_rng(1), Traffic(60, 20, 1.0))
    is_y = pool.bank.scale_index == 1
    turned = [
        replace(day, correct=np.where(is_y[day.item], 1 - day.correct, day.correct)) for day in days
    ]
    plain, other = (run_nights(pool, d, SETTINGS, first=6)[-1] for d in (days, turned))
    for field in ("parameters", "covariance", "infit", "carried_information", "shadow_parameters"):
        ours, theirs = getattr(plain, field), getattr(other, field)
        np.testing.assert_array_equal(ours[~is_y], theirs[~is_y])
    assert plain.scales[0] == other.scales[0]
    assert plain.scales[1] != other.scales[1]
    assert (plain.parameters[is_y] != other.parameters[is_y]).any()


def answers_to_scale_x(pool: SimulatedPool, day: DayResponses) -> DayResponses:
    """The same sessions without their answers to scale y."""
    n_sessions = len(day.session_offsets) - 1
    kept = pool.bank.scale_index[day.item] == 0
    session = np.repeat(np.arange(n_sessions), np.diff(day.session_offsets))[kept]
    counts = np.bincount(session, minlength=n_sessions)
    return replace(
        day,
        session_offsets=np.concatenate([[0], np.cumsum(counts)]),
        item=day.item[kept],
        correct=day.correct[kept],
    )


def test_one_scale_may_rest_while_the_other_is_fitted():
    pool = two_scales()
    days = simulate_days(pool, 6, np.random.default_rng(1), Traffic(60, 20, 1.0))
    only_x = [answers_to_scale_x(pool, day) for day in days]
    state = run_nights(pool, only_x, SETTINGS, first=5)[0]
    assert [scale.fitted for scale in state.scales] == [True, False]
    assert state.is_updated.any()
    assert not state.is_updated[pool.bank.scale_index == 1].any()


def test_without_anchors_a_pause_does_not_set_the_scale_anew():
    """Twelve days without sessions empty the window; those who come back are abler by 1."""
    pool = make_pool(30, 0, np.random.default_rng(0), model="2PL", author_error=None)
    traffic = Traffic(150, 15, 1.0, ability_mean=lambda day: 0.0 if day < 10 else 1.0)
    days = simulate_days(pool, 27, np.random.default_rng(1), traffic)
    open_days = [day for n, day in enumerate(days) if not 6 <= n < 20]
    parent: CalibrationState | None = None
    baselines: dict[str, CalibrationState] = {}
    for number in range(5, 27):
        inputs = night_inputs(
            on_day(number), open_days, pool.bank, NO_ANCHORS, SETTINGS,
            parent=parent, baselines=baselines,
        )  # fmt: skip
        parent = calibrate_night(inputs, SETTINGS)
        assert parent.is_accepted
        baselines = first_fits(parent) | baselines
    assert parent is not None
    baseline = baselines["main"]
    assert parent.scales[0].fitted
    assert parent.scales[0].population_mean == pytest.approx(1.0, abs=0.2)
    shift = (parent.parameters - baseline.parameters)[:, 1].mean()
    assert shift == pytest.approx(0.0, abs=0.1)


def test_a_scale_that_begins_later_is_held_by_its_own_first_night():
    pool = replace(two_scales(), anchors=NO_ANCHORS)
    days = simulate_days(pool, 12, np.random.default_rng(1), Traffic(80, 20, 1.0))
    days = [answers_to_scale_x(pool, day) if n < 8 else day for n, day in enumerate(days)]
    settings = replace(SETTINGS, maximum_moved_share=1.0)
    states = run_nights(pool, days, settings, first=6)
    began = [[scale.fitted for scale in state.scales] for state in states]
    assert began[0] == [True, False]
    assert began[-1] == [True, True]
    of_x, of_y = states[-1].scales
    assert of_x.linking_slope != 1.0
    assert of_y.linking_slope != 1.0
