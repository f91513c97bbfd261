"""What the charts of the pool say of known figures."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.records import NightFigures, SnapshotItem
from calibration_pipeline.reports.charts import Pencil
from calibration_pipeline.reports.pool_charts import (
    ability_error_chart,
    information_chart,
    pool_information,
    pool_size_chart,
)
from calibration_pipeline_tests.policy.states import make_scale

PEN, NO_PEN = Pencil(), Pencil(draws=False)


def item(name: str, **changes: object) -> SnapshotItem:
    usual = SnapshotItem(
        key=(name, 1), scale="main", discrimination=1.0, difficulty=0.0, guessing=0.0,
        discrimination_se=0.1, difficulty_se=0.1, guessing_se=0.0, covariance=(0.0,) * 9,
        track="trusted", source="fitted", window_count=10, total_count=10, at_bound="",
    )  # fmt: skip
    return replace(usual, **changes)


def test_information_is_the_sum_over_items() -> None:
    at = np.array([0.0, 1.0])
    p = 1.0 / (1.0 + math.exp(-1.0))
    assert pool_information([item("a"), item("b")], at, 1.0) == pytest.approx(
        [0.5, 2.0 * p * (1.0 - p)]
    )
    assert pool_information([item("a")], at, 1.7)[0] == pytest.approx(1.7**2 / 4.0)
    broken = item("a", difficulty=math.nan)
    assert pool_information([broken, item("b")], at, 1.0)[0] == pytest.approx(0.25)
    assert pool_information([], at, 1.0).tolist() == [0.0, 0.0]


def test_the_information_of_the_pool_leaves_out_what_is_retired_or_of_another_scale() -> None:
    items = [
        item("a"),
        item("b", track="provisional"),
        item("gone"),
        item("elsewhere", scale="other"),
    ]
    previous = {("a", 1): item("a", discrimination=2.0)}
    chart = information_chart(0, make_scale(), items, previous, {("gone", 1)}, 1.0, PEN)
    assert chart.trouble == ""
    assert chart.headers == (
        "Ability", "Items within ±0.5", "In use", "Trusted alone", "In use, version before",
    )  # fmt: skip
    assert chart.rows[3] == ("0", "2", "0.5", "0.2", "1.0")
    assert chart.summary.startswith("2 items in use; information 0.2 at −2, 0.5 at 0, 0.2 at +2.")
    error = 1.0 / math.sqrt(2.0 * math.exp(-3.0) / (1.0 + math.exp(-3.0)) ** 2)
    assert f"a standard error of {error:.2f}." in chart.summary
    assert ">in use, version before</text>" in chart.svg


def test_an_empty_scale_has_no_information() -> None:
    chart = information_chart(0, make_scale(), [], {}, (), 1.0, PEN)
    assert (chart.summary, chart.trouble) == ("No item is in use.", "")


def night(day: int, usable: int, error: float = math.nan) -> NightFigures:
    return NightFigures(date(2026, 3, day), day, usable, 1000 - usable, 3, 500, error)


def test_the_usable_pool_is_told_with_its_change() -> None:
    chart = pool_size_chart([night(1, 640), night(2, 600)], PEN)
    assert chart.summary == (
        "600 items are usable on 2026-03-02 (−40 since 2026-03-01), 400 provisional, 3 retired."
    )
    assert chart.rows == (
        ("2026-03-02", "2", "600", "400", "3"),
        ("2026-03-01", "1", "640", "360", "3"),
    )
    assert chart.trouble == ""


def test_errors_of_ability_are_of_the_nights_that_have_any() -> None:
    chart = ability_error_chart([night(1, 1), night(2, 1, 0.42), night(3, 1, 0.401)], PEN)
    assert chart is not None
    assert chart.summary == "0.401 over 500 sessions of 2026-03-03; 0.420 on 2026-03-02."
    assert [row[0] for row in chart.rows] == ["2026-03-03", "2026-03-02"]
    assert ability_error_chart([night(1, 1)], PEN) is None
