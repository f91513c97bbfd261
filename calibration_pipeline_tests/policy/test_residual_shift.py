"""Anchors that move together are seen by what does not move with them."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.residual_shift import residual_shift
from calibration_pipeline.records import CalibrationState
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

SETTINGS = CalibrationConfiguration()
ITEMS, ANCHORS, AUTHOR_ERROR = 120, 20, 0.5
TRUTH = draw_items(ITEMS, np.random.default_rng(0))
AUTHORS = TRUTH[:, 1] + np.random.default_rng(1).normal(0.0, AUTHOR_ERROR, ITEMS)
BANK = make_bank(ITEMS, author_difficulty=AUTHORS)
IS_ANCHOR = np.arange(ITEMS) < ANCHORS
EVERY = np.ones(ITEMS, bool)


def state(seed: int = 2, *, free: float = 0.0, anchors: float = 0.0) -> CalibrationState:
    """A night whose free items look so much harder, and whose anchors' refits do."""
    error = np.random.default_rng(seed).normal(0.0, 0.1, ITEMS)
    found = make_state(BANK, TRUTH, is_anchor=IS_ANCHOR)
    seen = TRUTH.copy()
    seen[:, 1] += error + np.where(IS_ANCHOR, anchors, free)
    parameters = np.where(IS_ANCHOR[:, None], TRUTH, seen)
    return replace(found, parameters=parameters, shadow_parameters=seen)


def shift(tonight: CalibrationState, baseline: CalibrationState | None = None, bank=BANK):
    return residual_shift(tonight, baseline or state(), bank, EVERY, SETTINGS)


def test_free_items_that_became_harder_and_anchors_that_became_easier_look_alike() -> None:
    for moved in (state(3, free=0.4), state(3, anchors=-0.4), state(3, free=0.1, anchors=-0.3)):
        found = shift(moved)
        assert found.shift == pytest.approx(0.4, abs=3 * found.standard_error)
        # Each mean has the errors of two nights: of 20 anchors, and of 100 free items.
        expected = 0.1 * np.sqrt(2 / ANCHORS + 2 / (ITEMS - ANCHORS))
        assert found.standard_error == pytest.approx(expected)


def test_a_scale_that_moves_as_a_whole_is_no_shift() -> None:
    tonight = state(3)
    moved = transform_items(tonight.shadow_parameters, LinkingConstants(1.0, 0.7))
    same = shift(tonight)
    assert shift(replace(tonight, shadow_parameters=moved)).shift == pytest.approx(same.shift)
    assert abs(same.shift) < 3 * same.standard_error


def test_new_items_are_held_against_their_authors() -> None:
    """Half of the free items are new: no estimate of theirs is older, but their authors' are."""
    old = np.arange(ITEMS) < 70
    everything, before = state(3, free=0.4), state()
    arrays = {
        name: value[old]
        for name, value in vars(before).items()
        if isinstance(value, np.ndarray) and len(value) == ITEMS
    }
    baseline = replace(before, keys=before.keys[:70], **arrays)
    with_new = shift(everything, baseline)
    assert with_new.shift == pytest.approx(0.4, abs=3 * with_new.standard_error)
    silent = make_bank(ITEMS)
    without = shift(everything, baseline, silent)
    assert without.standard_error > with_new.standard_error
    only_new = replace(everything, is_updated=everything.is_updated & ~old)
    by_authors = shift(only_new, baseline)
    assert by_authors.shift == pytest.approx(0.4, abs=3 * by_authors.standard_error)
    assert by_authors.standard_error > AUTHOR_ERROR / np.sqrt(50)
    assert np.isnan(shift(only_new, baseline, silent).shift)


def test_items_with_few_answers_say_nothing() -> None:
    tonight = state(3, free=0.4)
    few = np.where(IS_ANCHOR, SETTINGS.minimum_anchor_responses - 1, 500)
    assert np.isnan(shift(replace(tonight, window_counts=few)).shift)
    few = np.where(IS_ANCHOR, 500, SETTINGS.minimum_responses - 1)
    assert np.isnan(shift(replace(tonight, window_counts=few)).shift)


def test_only_items_of_the_scale_are_compared() -> None:
    tonight = state(3)
    tonight.shadow_parameters[60:, 1] += np.where(IS_ANCHOR[60:], 0.0, 2.0)
    in_scale = np.arange(ITEMS) < 60
    found = residual_shift(tonight, state(), BANK, in_scale, SETTINGS)
    assert abs(found.shift) < 3 * found.standard_error
