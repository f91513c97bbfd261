"""Is there enough, and when will there be: against counts that can be checked by hand."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.readiness import (
    ItemOutlook,
    Readiness,
    assess_readiness,
    difficulties,
)
from calibration_pipeline.records import AnswerCounts, ItemBank
from calibration_pipeline_tests.simulated import make_bank

SETTINGS = CalibrationConfiguration()


def counts(window: list[int], total: list[int] | None = None, days: int = 30) -> AnswerCounts:
    return AnswerCounts(np.array(window), np.array(total or window), days)


def assess(
    found: AnswerCounts, bank: ItemBank | None = None, anchors: Any = (), difficulty: Any = None
) -> Readiness:
    n_items = len(found.window)
    is_anchor = np.isin(np.arange(n_items), list(anchors))
    b = np.full(n_items, np.nan) if difficulty is None else np.asarray(difficulty, float)
    return assess_readiness(bank or make_bank(n_items), is_anchor, b, found, SETTINGS)


def outlook(window: int, total: int, days: int) -> ItemOutlook:
    (item,) = assess(counts([window], [total], days)).items
    return item


def test_a_scale_is_counted() -> None:
    found = assess(counts([0, 1, 24, 25, 400], [0, 1, 299, 300, 500]))
    (scale,) = found.scales
    assert (scale.items, scale.answered, scale.eligible, scale.trusted) == (5, 4, 2, 2)
    assert (scale.most_answered, scale.most_answers) == (make_bank(5).keys[4], 500)
    assert found.fittable == ("main",)


def test_families_are_counted_apart_and_retired_items_nowhere() -> None:
    bank = replace(
        make_bank(5, scales={"one": "3PL", "two": "3PL"}, scale_index=[0, 0, 0, 1, 1]),
        content_families=("x", None, "x", "x", None),
        is_retired=np.array([False, False, True, False, False]),
    )
    found = assess(counts([30, 40, 900, 7, 0]), bank)
    assert [(g.scale, g.family, g.items, g.answered, g.eligible, g.most_answers)
            for g in found.families] == [
        ("one", "", 1, 1, 1, 40),
        ("one", "x", 1, 1, 1, 30),
        ("two", "", 1, 0, 0, 0),
        ("two", "x", 1, 1, 0, 7),
    ]  # fmt: skip
    assert [g.items for g in found.scales] == [2, 2]
    assert found.families[2].most_answered is None
    assert len(found.items) == 4


def test_one_ready_item_is_not_enough_for_a_scale() -> None:
    assert not assess(counts([25, 24, 24])).can_calibrate
    assert assess(counts([25, 25, 24])).can_calibrate


def test_scales_are_judged_apart() -> None:
    bank = make_bank(4, scales={"one": "3PL", "two": "3PL"}, scale_index=[0, 1, 0, 1])
    assert assess(counts([30, 30, 30, 3]), bank).fittable == ("one",)


@pytest.mark.parametrize(
    ("window", "total", "days", "to_eligible", "to_trusted"),
    [
        (25, 300, 30, 0, 0),
        (25, 299, 30, 0, 2),  # 0.83 a day: one answer takes two days
        (10, 10, 10, 15, 290),  # one a day: 15 more days; a window holds 30
        (8, 8, 10, math.inf, 365),  # 0.8 a day: a window holds 24
        (9, 9, 10, 18, 324),  # 0.9 a day: 16 more answers take 17.8 days; a window holds 27
        (3, 3, 3, 22, 297),  # in whole numbers: 22 days, not 23
        (24, 24, 30, math.inf, 345),
        (0, 250, 30, math.inf, math.inf),
        (0, 300, 30, math.inf, 0),
    ],
)
def test_each_threshold_is_crossed_at_the_windows_rate(
    window: int, total: int, days: int, to_eligible: float, to_trusted: float
) -> None:
    found = outlook(window, total, days)
    assert (found.days_to_eligible, found.days_to_trusted) == (to_eligible, to_trusted)
    assert found.answers_a_day == pytest.approx(window / days)


def test_items_that_cross_first_come_first_and_those_that_never_do_last() -> None:
    found = assess(counts([0, 10, 20, 700], [0, 10, 20, 700], days=10))
    assert [item.total_count for item in found.items] == [20, 10, 700, 0]
    assert [item.next_crossing for item in found.items] == [3, 15, math.inf, math.inf]


def test_anchors_cover_tenths_of_the_difficulties() -> None:
    difficulty = np.linspace(-2.0, 2.0, 40)
    window = np.full(40, 100)
    window[39] = 99  # an anchor that isn't ready
    (scale,) = assess(counts(window.tolist()), None, (0, 1, 20, 39), difficulty).scales
    assert (scale.anchors, scale.anchors_ready) == (4, 3)
    assert (scale.deciles, scale.deciles_with_anchors, scale.deciles_covered) == (10, 3, 2)


def test_a_family_is_compared_with_the_tenths_that_it_has_items_in() -> None:
    difficulty = np.concatenate([np.linspace(-2, -1, 5), np.linspace(-1, 2, 35)])
    bank = replace(make_bank(40), content_families=("easy",) * 5 + (None,) * 35)
    found = assess(counts([200] * 40), bank, (0, 30), difficulty)
    easy = found.families[1]
    assert (easy.deciles, easy.deciles_covered) == (2, 1)


def test_items_of_unknown_difficulty_are_in_no_tenth() -> None:
    (scale,) = assess(counts([200] * 4), None, (0,), [np.nan, np.nan, 0.0, 1.0]).scales
    assert (scale.anchors_ready, scale.deciles, scale.deciles_covered) == (1, 2, 0)


def test_an_estimated_difficulty_stands_before_the_banks_and_that_before_the_authors() -> None:
    bank = replace(
        make_bank(3),
        parameters=np.array([[1.0, 0.5, 0.2], [1.0, 0.6, 0.2], [np.nan] * 3]),
        author_difficulty=np.array([9.0, 9.0, -1.0]),
    )
    found = difficulties(bank, np.array([0.1, np.nan, np.nan]))
    assert found.tolist() == [0.1, 0.6, -1.0]


def test_a_young_programme_is_not_held_to_a_full_window() -> None:
    young, old = outlook(10, 10, 5), outlook(10, 10, 30)
    assert (young.days_to_eligible, old.days_to_eligible) == (8, math.inf)


def test_an_empty_bank_can_calibrate_nothing() -> None:
    found = assess(counts([]), make_bank(0))
    assert (found.can_calibrate, found.items) == (False, ())
