"""One partition is one local day; the run at 04:00 on day D + 1 processes partition D."""

from datetime import date

import dagster as dg


def daily_partitions(first_day: date, timezone: str) -> dg.DailyPartitionsDefinition:
    """Local days from `first_day` on, of a zone with its daylight-saving days."""
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone=timezone)


def window_mapping(window_days: int) -> dg.TimeWindowPartitionMapping:
    """A night reads the days of its window, as far back as partitions go."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-(window_days - 1), end_offset=0, allow_nonexistent_upstream_partitions=True
    )


RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
"""Run tags that make one run process a range of nights."""

PREVIOUS_NIGHT = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
"""A night starts from the night before: last night's posterior is tonight's prior."""


def partition_days(context: dg.AssetExecutionContext) -> list[date]:
    """The days that a run is to process, oldest first; a backfill's run holds a range."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
