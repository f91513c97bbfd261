"""What the charts of anchors, candidates and runtime say of known figures."""

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from calibration_pipeline.records import (
    AnchorDisplacement,
    CalibrationState,
    ScaleLink,
    ScaleNight,
)
from calibration_pipeline.reports.charts import Pencil
from calibration_pipeline.reports.runtime_chart import runtime_chart
from calibration_pipeline.reports.scale_charts import (
    HELD,
    anchor_chart,
    displaced_anchors,
    displacement_chart,
    population_chart,
)
from calibration_pipeline_tests.policy.states import make_scale, make_state
from calibration_pipeline_tests.simulated import draw_items, make_bank

PEN = Pencil()


@pytest.fixture
def state() -> CalibrationState:
    """Five anchors, off by 0, 0.1, −0.5, 0.3 and 0.2 with a standard error of 0.1; one free item.

    The last one has no answers.
    """
    bank = make_bank(6)
    parameters = draw_items(6, np.random.default_rng(0))
    state = make_state(bank, parameters, is_anchor=[True] * 5 + [False], difficulty_se=0.1)
    shadow = parameters.copy()
    shadow[:, 1] += [0.0, 0.1, -0.5, 0.3, 0.2, 2.0]
    counts = np.array([500, 500, 500, 500, 0, 500])
    released = replace(make_scale(), released_anchors=(("i00002@1", "moved"),))
    return replace(state, shadow_parameters=shadow, window_counts=counts, scales=(released,))


def test_anchors_stand_with_what_became_of_them(state: CalibrationState) -> None:
    link = ScaleLink("main", "stocking-lord", 1.0, 0.0, 2, {"i00003@1": "off"}, True)
    anchors = displaced_anchors(state, [link])
    chart = anchor_chart(anchors, PEN)
    assert [row[0] for row in chart.rows] == ["i00002@1", "i00003@1", "i00001@1", "i00000@1"]
    assert chart.rows[0] == ("i00002@1", "−0.50", "0.10", "−5.0", "500", "released")
    assert chart.rows[1][1:4] == ("+0.30", "0.10", "+3.0")
    assert [row[-1] for row in chart.rows[1:]] == ["left out of the link", "held", "held"]
    assert chart.summary.startswith(
        "4 anchors with answers: 2 held, 1 left out of the link, 1 released. The 95% interval of 2 "
    )
    assert "Clearest: i00002@1, −0.50 (−5.0 standard errors)." in chart.summary
    for status in ("held", "left out of the link", "released"):
        assert f">{status}</text>" in chart.svg


def test_an_anchor_without_a_shadow_is_left_out(state: CalibrationState) -> None:
    covariance = state.covariance.copy()
    covariance[2] = 0.0
    anchors = displaced_anchors(replace(state, covariance=covariance), [])
    assert "i00002@1" not in [anchor.name for anchor in anchors]


def test_displacements_over_the_nights() -> None:
    nights = [
        AnchorDisplacement(date(2026, 3, 1), 0, np.nan, np.nan),
        AnchorDisplacement(date(2026, 3, 2), 96, -0.1, 0.4),
        AnchorDisplacement(date(2026, 3, 3), 95, 0.013, 0.3),
    ]
    chart = displacement_chart(nights, PEN)
    assert chart is not None
    assert chart.summary == (
        "Mean +0.013 and root mean square 0.300 over 95 anchors on 2026-03-03; −0.100 and 0.400 on "
        "2026-03-02."
    )
    assert chart.trouble == ""
    assert displacement_chart(nights[:2], PEN) is None


def test_candidates_over_the_nights() -> None:
    nights = [
        ScaleNight(date(2026, 3, day), 1, 1, "main", mean, sd)
        for day, mean, sd in ((1, 0.1, 0.9), (2, -0.025, 1.05))
    ]
    chart = population_chart(0, nights, PEN)
    assert chart is not None
    assert (chart.title, chart.trouble) == ("Candidates on scale main", "")
    assert chart.rows == (("2026-03-02", "−0.025", "1.050"), ("2026-03-01", "0.100", "0.900"))
    assert population_chart(0, nights[:1], PEN) is None


def test_runtime_stands_beside_what_is_usual() -> None:
    earlier = [{"item_fits": 10.0}, {"item_fits": 30.0, "responses": 1.0}, {"item_fits": 20.0}]
    chart = runtime_chart({"responses": 2.5, "item_fits": 40.0, "new": 0.5}, earlier, PEN)
    assert chart is not None
    assert chart.summary == "43 seconds in 3 steps; longest: item_fits with 40, usually 20."
    assert chart.rows == (
        ("item_fits", "40", "20"),
        ("responses", "2.50", "1.00"),
        ("new", "0.50", "–"),
    )
    assert chart.trouble == ""
    assert runtime_chart({}, earlier, PEN) is None


def drawn_range(svg: str) -> list[float]:
    """Numbers that label the axes."""
    return [float(t.replace("−", "-")) for t in re.findall(r">(−?[0-9.]+)</text>", svg)]


def test_one_anchor_that_is_hardly_known_does_not_flatten_the_chart(
    state: CalibrationState,
) -> None:
    anchors = list(displaced_anchors(state, []))
    lost = replace(anchors[0], name="lost", shift=-40.0, standard_error=60.0, status=HELD)
    chart = anchor_chart([*anchors, lost], PEN)
    assert not chart.trouble
    assert max(map(abs, drawn_range(chart.svg))) < 5.0
    assert "Beyond the chart, and hardly known: 1." in chart.summary
    assert "Beyond" not in anchor_chart(anchors, PEN).summary
