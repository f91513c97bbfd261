"""Rows of a source that belong to days which are yet to come: a wrong clock, or a script."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.store.sources.base import LooksAhead, ResponseSource, day_start
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.tables import response_log


def rows_ahead(
    engine: sa.Engine, today: date, timezone: ZoneInfo, source: ResponseSource = NATIVE
) -> int:
    """Count the rows that are placed after a local day.

    Uses response_log_session_started_at_idx; elsewhere the index on the column of times.

    Raises
    ------
    SourceError
        The source can't be read.
    """
    tomorrow = day_start(today + timedelta(days=1), timezone)
    with engine.connect() as connection, source.view(connection, timezone) as view:
        if isinstance(view, LooksAhead):
            return view.rows_from(tomorrow)
        starts = response_log.c.session_started_at
        query = sa.select(sa.func.count()).where(starts >= tomorrow)
        return int(connection.scalar(query) or 0)
