"""Which items are on the cold-start list, and on which scale they are planned."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.policy.cold_start import cold_start_items
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import CalibrationState, ItemBank, ScaleLink
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import make_bank

SETTINGS = CalibrationConfiguration()
BANK = make_bank(5)


def link(slope: float = 1.0, intercept: float = 0.0) -> tuple[ScaleLink, ...]:
    return (ScaleLink("main", "stocking-lord", slope, intercept, 30, {}, is_within_bounds=True),)


def night(difficulty_ses: tuple[float, ...], **changes: object) -> CalibrationState:
    covariance = np.stack([np.diag([0.09, se**2, 0.16]) for se in difficulty_ses])
    state = make_state(BANK, np.tile([1.2, 0.5, 0.2], (5, 1)))
    return replace(state, covariance=covariance, **changes)


def names(state: CalibrationState, bank: ItemBank = BANK) -> list[str]:
    return [item.key[0] for item in cold_start_items(state, link(), bank, SETTINGS)]


def test_items_that_are_not_known_well_enough_are_on_the_list() -> None:
    every = [key[0] for key in BANK.keys]
    state = night((0.31, 0.29, 0.6, 0.9, 0.5))
    assert names(state) == [every[0], *every[2:]]
    is_anchor = np.array([True, False, False, False, False])
    assert names(replace(state, is_anchor=is_anchor)) == every[2:]
    retired = replace(BANK, is_retired=np.array([False, False, True, False, False]))
    assert names(state, retired) == [every[0], *every[3:]]


def test_the_less_is_known_the_more_is_needed() -> None:
    items = cold_start_items(night((0.35, 0.5, 0.6, 0.7, 0.8)), link(), BANK, SETTINGS)
    needed = [item.answers_needed for item in items]
    assert None not in needed
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]
    assert all(abs(sum(item.shares) - 1.0) < 0.01 for item in items)


def test_it_is_stated_on_the_published_scale() -> None:
    state = night((0.5,) * 5)
    item = cold_start_items(state, link(1.2, 0.1), BANK, SETTINGS)[0]
    assert abs(item.difficulty - (1.2 * 0.5 + 0.1)) < 1e-9
    assert abs(item.difficulty_se - 0.6) < 1e-9


def test_what_is_beyond_the_plan_has_no_number() -> None:
    hard_to_reach = replace(SETTINGS, cold_start=replace(SETTINGS.cold_start, maximum_answers=10))
    item = cold_start_items(night((0.9,) * 5), link(), BANK, hard_to_reach)[0]
    assert item.answers_needed is None
    assert item.answers_cautious is None
