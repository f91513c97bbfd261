"""Which items are controlled for whom; observed and reported exposure against what was meant."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.exposure_control import UnreachableRateError
from calibration_pipeline.irt.exposure_methods import ItemEligibility, SympsonHetter
from calibration_pipeline.irt.exposure_trade_off import trade_offs
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.exposure import observed_exposure
from calibration_pipeline.policy.exposure_configuration import ExposureConfiguration
from calibration_pipeline.policy.exposure_control import (
    ControlledPool,
    adaptive_test,
    control_pool,
    expected_rates,
    pools_of,
    search_method,
    stated_settings,
    steps_of,
)
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import draw_items, make_bank
from calibration_pipeline_tests.store.examples import scale_exposure, snapshot_items

SMALL = ExposureConfiguration(
    method="eligibility",
    answers=6,
    top=1,
    candidates=200,
    verifying_candidates=4000,
    tolerance=0.15,
)


def pool(n_items: int = 40, **changes) -> ControlledPool:
    keys = tuple((f"i{j:03d}", 1) for j in range(n_items))
    parameters = draw_items(n_items, np.random.default_rng(3))
    return replace(ControlledPool("main", keys, parameters, 1.0, 0.0, 1.0, 5), **changes)


def test_each_scale_is_controlled_for_its_own_candidates():
    items = [
        replace(item, scale=scale)
        for item, scale in zip(snapshot_items(), ("b", "a", "b", "a"), strict=True)
    ]
    population = {"a": {"mean": 0.5, "sd": 1.2}, "b": {"mean": -1.0, "sd": 0.8}}
    a, b = pools_of(items, (), population, 1.7, "digest")
    assert (a.scale, a.mean, a.sd, a.scaling_constant) == ("a", 0.5, 1.2, 1.7)
    assert (b.scale, b.mean, b.sd) == ("b", -1.0, 0.8)
    assert (a.keys, b.keys) == ((("i1", 1), ("i3", 1)), (("i0", 1), ("i2", 1)))
    first = items[0]
    assert b.parameters[0].tolist() == [first.discrimination, first.difficulty, first.guessing]
    assert a.seed != b.seed
    assert pools_of(items, (), population, 1.7, "another digest")[0].seed != a.seed


def test_retired_items_and_older_wordings_are_given_to_nobody():
    items = snapshot_items()
    edited = replace(items[1], key=("i1", 2))
    (found,) = pools_of([edited, *items], {("i0", 1)}, {}, 1.0, "digest")
    assert found.keys == (("i1", 2), ("i2", 1), ("i3", 1))
    assert pools_of(items, {item.key for item in items}, {}, 1.0, "digest") == ()


def test_a_pool_is_controlled_as_its_settings_say():
    told = []
    found = control_pool(pool(mean=0.5), SMALL, 0.3, lambda: told.append(1))
    assert found.worst_rate_without == 1.0
    assert found.worst_rate <= 0.3 * 1.15
    assert found.is_reached
    assert found.rates.sum() == pytest.approx(6.0, abs=1e-9)
    assert found.probability.shape == (1, 40)
    assert (found.candidates, found.cycles, len(told)) == (4000, 100, steps_of(SMALL))
    assert found.settings == stated_settings(pool(mean=0.5), SMALL, 0.3)
    again = control_pool(pool(mean=0.5), SMALL, 0.3)
    np.testing.assert_array_equal(again.probability, found.probability)


@pytest.mark.parametrize(
    "changes", [{"mean": 0.1}, {"sd": 0.9}, {"seed": 6}, {"keys": (("x", 1),) * 40}]
)
def test_another_pool_or_other_candidates_are_other_settings(changes):
    assert stated_settings(pool(**changes), SMALL, 0.3) != stated_settings(pool(), SMALL, 0.3)


def test_levels_have_rates_of_their_own():
    levels = replace(SMALL, cuts=(-0.5, 0.5), tolerance=1.0)
    found = control_pool(pool(), levels, 0.4)
    assert found.probability.shape == found.rates.shape == (3, 40)
    np.testing.assert_allclose(found.rates.sum(axis=1), 6.0)
    shares = expected_rates(found)
    assert shares.sum() == pytest.approx(6.0)
    assert ((found.rates.min(axis=0) <= shares) & (shares <= found.rates.max(axis=0))).all()
    lower, upper = (found.rates[k] @ pool().parameters[:, 1] for k in (0, 2))
    assert lower < upper  # the able are given harder items


def test_a_rate_over_all_candidates_weighs_levels_by_who_is_in_them():
    settings = {"mean": 1.0, "sd": 2.0}
    control = scale_exposure([("i0", 1)], cuts=(-1.0, 1.0), settings=settings)
    control.rates[:, 0] = [1.0, 0.0, 0.5]
    assert expected_rates(control)[0] == pytest.approx(0.158655 + 0.25, abs=1e-6)


def test_the_methods_are_those_of_the_settings():
    hetter = replace(SMALL, method="sympson-hetter", iterations=3, damping=0.5, floor=0.1)
    assert search_method(hetter) == SympsonHetter(3, 200, 0.5, 0.1, 1.0)
    assert steps_of(hetter) == 5
    found = search_method(ExposureConfiguration(method="eligibility"))
    assert found == ItemEligibility()
    with pytest.raises(ValueError, match="off"):
        search_method(ExposureConfiguration())


def test_a_pool_that_is_smaller_than_a_test_is_refused():
    with pytest.raises(UnreachableRateError, match="a test of 6 items can't be drawn from 5"):
        control_pool(pool(5), replace(SMALL, enough_sd=0.5), 1.0)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"method": "randomly"}, "method must be one of off, eligibility, sympson-hetter"),
        ({"answers": 0}, "answers must be 1 or more"),
        ({"least_answers": 31}, "least_answers must not be above answers"),
        ({"cuts": (0.5, -0.5)}, "cuts must go from lower"),
        ({"damping": 0.0}, "damping must lie above 0"),
        ({"floor": 0.5, "ceiling": 0.4}, "floor and ceiling"),
        ({"candidates": 9}, "candidates must be 10 or more"),
        ({"cuts": (float("nan"),)}, "must be finite"),
        ({"tolerance": float("inf")}, "must be finite"),
        ({"enough_sd": float("nan")}, "enough_sd"),
        ({"damping": float("nan")}, "damping must lie above 0"),
    ],
)
def test_settings_without_a_test_are_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        ExposureConfiguration(**changes)


@pytest.mark.parametrize("changes", [{"mean": float("nan")}, {"sd": 0.0}, {"sd": float("inf")}])
def test_abilities_that_cannot_be_drawn_are_refused(changes):
    with pytest.raises(ValueError, match="sd must be"):
        pool(**changes)


def test_control_needs_a_maximum():
    CalibrationConfiguration(maximum_exposure_rate=0.0)
    with pytest.raises(ValueError, match="maximum_exposure_rate must be above 0"):
        CalibrationConfiguration(maximum_exposure_rate=0.0, exposure=SMALL)


def test_lower_maxima_cost_more_information_and_impossible_ones_are_left_out():
    told = []
    found = trade_offs(
        adaptive_test(pool(), SMALL),
        np.random.default_rng(0),
        (0.1, 0.2, 0.4, 1.0),
        2000,
        lambda: told.append(1),
    )
    assert [point.maximum_rate for point in found] == [0.2, 0.4, 1.0]
    lost = [point.information_lost for point in found]
    assert lost[0] > lost[1] > lost[2] == 0.0
    assert len(told) == 3


def test_observed_exposure_is_the_share_of_sessions_that_saw_an_item():
    bank = make_bank(4)
    days = [
        make_day([Session([0, 1, 0], [1, 0, 1], "ann"), Session([1], [1], "bob")]),
        make_day([Session([1, 2], [1, 0], "ann"), Session([0], [1], "eve")]),
    ]
    assert observed_exposure(days, bank).tolist() == [0.5, 0.75, 0.25, 0.0]
