"""What the charts of one item say of known figures."""

from datetime import date

import numpy as np

from calibration_pipeline.records import ItemEstimate, ObservedProportions
from calibration_pipeline.reports.charts import Pencil
from calibration_pipeline.reports.item_charts import Curve, curve_chart, trajectory_chart

PEN, NO_PEN = Pencil(), Pencil(draws=False)
NOW = Curve("2026-03-01", np.array([1.2, 0.5, 0.2]))
BEFORE = Curve("2026-01-30, before", np.array([1.0, -0.25, 0.2]))
OBSERVED = ObservedProportions(
    ability=np.array([-1.0, 0.0, 1.5]),
    answers=np.array([40, 50, 1000]),
    right=np.array([10, 45, 900]),
    expected=np.array([0.24, 0.5, 0.895]),
)


def test_the_curve_s_words_give_both_curves_and_the_worst_bin() -> None:
    chart = curve_chart("x", NOW, BEFORE, OBSERVED, 1.0, NO_PEN)
    assert "2026-03-01: discrimination 1.20, difficulty 0.50, guessing 0.20." in chart.summary
    assert "before: discrimination 1.00, difficulty −0.25, guessing 0.20." in chart.summary
    assert "1,090 answers in 3 bins of ability; in 1 of them" in chart.summary
    assert "Farthest apart at ability 0: 90% observed (79% to 96%), 50% expected." in chart.summary


def test_the_curve_s_table_holds_every_bin() -> None:
    rows = curve_chart("x", NOW, None, OBSERVED, 1.0, NO_PEN).rows
    assert rows[0] == ("−1.00", "40", "25%", "14% to 40%", "24%")
    assert rows[2] == ("+1.50", "1,000", "90%", "88% to 92%", "90%")


def test_the_picture_names_what_it_shows() -> None:
    svg = curve_chart("x", NOW, BEFORE, OBSERVED, 1.0, PEN).svg
    for name in ("2026-03-01", "2026-01-30, before", "observed, 95% interval", "expected there"):
        assert f">{name}</text>" in svg


def test_an_anchor_s_answers_are_held_against_its_reference() -> None:
    svg = curve_chart("x", NOW, BEFORE, OBSERVED, 1.0, PEN, is_held=True).svg
    assert ">expected by the reference</text>" in svg
    assert ">expected there</text>" not in svg


def test_a_curve_without_answers_is_drawn_too() -> None:
    chart = curve_chart("x", NOW, None, None, 1.0, PEN)
    assert chart.rows == ()
    assert chart.trouble == ""
    assert "observed" not in chart.svg


def estimate(day: int, difficulty: float, error: float, answers: int = 100) -> ItemEstimate:
    return ItemEstimate(date(2026, 3, day), difficulty, error, answers, False)


def test_a_trajectory_tells_how_the_interval_narrowed() -> None:
    nights = [estimate(1, 0.0, 1.0, 12), estimate(2, 0.3, 0.5, 60), estimate(3, 0.4, 0.1, 1500)]
    chart = trajectory_chart("x", nights, None, PEN)
    assert chart.trouble == ""
    assert chart.summary == (
        "0.40 (0.20 to 0.60) on 2026-03-03, after 1,500 answers. 0.00 (−1.96 to 1.96) on "
        "2026-03-01. The interval is 3.92 wide then and 0.39 now."
    )
    assert chart.rows[1] == ("2026-03-02", "0.30", "−0.68 to 1.28", "60")


def test_an_anchor_s_trajectory_names_where_it_is_held() -> None:
    chart = trajectory_chart("x", [estimate(1, 0.5, 0.1)], 0.25, PEN)
    assert "held at 0.25. No earlier night." in chart.summary
    assert ">held at</text>" in chart.svg
