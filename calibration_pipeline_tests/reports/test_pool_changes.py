"""What is different from the version before."""

import math
from dataclasses import replace

import pytest

from calibration_pipeline.records import SnapshotItem
from calibration_pipeline.reports.pool_changes import version_change
from calibration_pipeline_tests.reports.test_pool_charts import item


def by_key(*items: SnapshotItem) -> dict[tuple[str, int], SnapshotItem]:
    return {entry.key: entry for entry in items}


def test_a_change_is_counted_by_kind() -> None:
    before = by_key(
        item("same"),
        item("moved", difficulty_se=0.3),
        item("moved more", difficulty_se=0.2),
        item("graduate", track="provisional", source="author", difficulty_se=0.9),
        item("doubted"),
        item("gone"),
    )
    now = [
        item("same"),
        item("moved", difficulty=0.1, difficulty_se=0.25),
        item("moved more", difficulty=-0.3, difficulty_se=0.15),
        item("graduate", difficulty_se=0.2),
        item("doubted", track="provisional"),
        item("new"),
    ]
    change = version_change(now, before)
    assert (change.came, change.went, change.moved) == (1, 1, 2)
    assert (change.graduated, change.became_provisional) == (1, 1)
    assert change.median_move == pytest.approx(0.2)
    # Of same, moved, moved more and doubted: the graduate had no estimate before.
    assert change.error_before == pytest.approx(0.15)
    assert change.error_now == pytest.approx(0.125)


def test_nothing_to_compare_is_not_a_number() -> None:
    change = version_change([item("a")], {})
    assert (change.came, change.moved) == (1, 0)
    assert math.isnan(change.median_move)
    assert math.isnan(change.error_now)
    broken = version_change([replace(item("a"), difficulty=math.nan)], by_key(item("a")))
    assert broken.moved == 0
