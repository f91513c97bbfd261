"""Bad days that later nights count in part: for ``calibrate readiness`` and ``status``."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from calibration_pipeline.policy.answer_remarks import bad_day_remark, bad_days
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.windows import window_days

if TYPE_CHECKING:
    from calibration_pipeline.store.connection import Database


def bad_days_of(database: Database, last: date, policy: CalibrationConfiguration) -> list[str]:
    """Name the archived days of the window up to a day that have too many bad rows, oldest first.

    Their own nights were stopped; their sessions without a bad row count in the windows after.
    """
    from calibration_pipeline.store.revisions import newest_revisions

    found = newest_revisions(database, window_days(last, policy.window_days))
    return [bad_day_remark(revision, policy) for revision in bad_days(found, policy)]
