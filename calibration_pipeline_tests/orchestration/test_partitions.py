"""Partitions are local days, also when clocks change, and a night knows its window."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from calibration_pipeline.orchestration.partitions import (
    PREVIOUS_NIGHT,
    daily_partitions,
    window_mapping,
)

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")

FIRST = date(2026, 3, 1)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def days() -> dg.DailyPartitionsDefinition:
    return daily_partitions(FIRST, "Europe/Zurich")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)]
)
def test_a_partition_is_a_local_day(
    days: dg.DailyPartitionsDefinition, day: str, hours: int
) -> None:
    window = days.time_window_for_partition_key(day)
    assert (window.start.hour, window.end.hour) == (0, 0)
    assert window.end.timestamp() - window.start.timestamp() == hours * 3600


def test_a_day_is_a_partition_once_it_is_over(days: dg.DailyPartitionsDefinition) -> None:
    before = days.get_partition_keys(datetime(2026, 3, 5, 22, 59, tzinfo=UTC))
    after = days.get_partition_keys(datetime(2026, 3, 5, 23, 1, tzinfo=UTC))
    assert (before[0], before[-1], after[-1]) == ("2026-03-01", "2026-03-04", "2026-03-05")


def upstream(
    mapping: dg.TimeWindowPartitionMapping, days: dg.DailyPartitionsDefinition, *keys: str
) -> list[str]:
    """Partitions that some partitions read."""
    subset = days.subset_with_partition_keys(keys)
    with dg.DagsterInstance.ephemeral() as instance:
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            subset, days, days, current_time=NOW, dynamic_partitions_store=instance
        )
    return sorted(found.partitions_subset.get_partition_keys())


def test_a_window_reaches_back_as_far_as_partitions_go(
    days: dg.DailyPartitionsDefinition,
) -> None:
    found = upstream(window_mapping(30), days, "2026-04-15")
    assert (len(found), found[0], found[-1]) == (30, "2026-03-17", "2026-04-15")
    assert upstream(window_mapping(30), days, "2026-03-02") == ["2026-03-01", "2026-03-02"]


def test_a_night_reads_the_night_before_and_the_first_reads_none(
    days: dg.DailyPartitionsDefinition,
) -> None:
    assert upstream(PREVIOUS_NIGHT, days, "2026-03-29") == ["2026-03-28"]
    assert upstream(PREVIOUS_NIGHT, days, "2026-03-01") == []
