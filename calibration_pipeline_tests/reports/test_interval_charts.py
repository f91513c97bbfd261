import math

import pytest

from calibration_pipeline.reports.interval_charts import (
    MARGIN,
    WIDTH,
    Change,
    axis_reach,
    interval_chart,
)


def test_no_change_stands_in_the_middle_and_the_farthest_end_on_the_margin() -> None:
    changes = [Change(0.0, 0.1), Change(-0.5, 0.2, reference_error=0.1, limits=(-0.15, 0.15))]
    reach = axis_reach(changes)
    charts = [interval_chart(change, reach) for change in changes]
    assert charts[0].dot == charts[0].zero == WIDTH / 2
    assert charts[1].interval[0] == pytest.approx(MARGIN, abs=0.05)
    assert charts[1].dot < charts[1].interval[1] < charts[1].zero < charts[1].limits[1]
    assert sum(charts[1].reference_interval) == pytest.approx(WIDTH)


def test_an_unknown_error_leaves_the_dot_alone() -> None:
    chart = interval_chart(Change(0.3, math.nan), 1.0)
    assert chart.interval == (chart.dot, chart.dot)


@pytest.mark.parametrize("changes", [[], [Change(0.0, 0.0)]])
def test_an_axis_always_has_a_length(changes: list[Change]) -> None:
    assert axis_reach(changes) == 1.0
