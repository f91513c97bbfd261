"""Which days have to be extracted before a night is fitted."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.store import deletions, extraction, history, late_answers
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.sources.base import ResponseSource
from calibration_pipeline.store.sources.native import NATIVE


def extract_days_due(
    engine: sa.Engine,
    archive: Archive,
    timezone: ZoneInfo,
    key: bytes,
    night: date,
    window_days: int,
    folded_through: date | None,
    *,
    refresh: bool = False,
    fence_token: int | None = None,
    source: ResponseSource = NATIVE,
) -> None:
    """Archive the days that are due before a night, oldest first.

    Parameters
    ----------
    key
        Of the pseudonyms.
    night, window_days
        The night and the length of its window. Its own day is extracted in its own turn.
    folded_through
        The last day in the carried information that the night starts from; None if there is none.
    refresh
        Read all archived days that are yet to be folded, even where nothing seems to have changed.
    fence_token
        Of the calibration lock, for a run.
    source
        Where the answers come from.

    Raises
    ------
    NightBlockedError
        Answers that the night needs have been deleted.
    """
    search_started = late_answers.start_search(engine)
    for day in days_due(
        engine,
        archive,
        timezone,
        night,
        window_days,
        folded_through,
        refresh=refresh,
        source=source,
    ):
        extraction.extract_day(
            engine,
            archive,
            day,
            timezone,
            key,
            refresh=refresh,
            fence_token=fence_token,
            source=source,
        )
    late_answers.record_search(engine, search_started)


def days_due(
    engine: sa.Engine,
    archive: Archive,
    timezone: ZoneInfo,
    night: date,
    window_days: int,
    folded_through: date | None,
    *,
    refresh: bool = False,
    source: ResponseSource = NATIVE,
) -> list[date]:
    """List the days that have to be extracted before a night is fitted, oldest first.

    - Days that are yet to be folded, those of the night's window among them, whose source is not
      as it was archived: late answers, corrections, a log that is older than the first night. So a
      day is folded as it stands when it leaves, however many nights were missed. With `refresh` all
      of these days, but for those that were never extracted and have no answers: an empty revision
      would be another window for a night on the same answers, and make all later nights stale.
    - Days that every run has passed over: they are yet to be folded, too.
    - Archived days for which answers have arrived late, folded ones included: these are archived
      for the record and never folded again.

    Deleted days are never among them.

    Raises
    ------
    NightBlockedError
        A day that the night needs has been deleted: without it the night would come out otherwise.
    """
    last_folded = folded_through or night - timedelta(days=window_days)
    with engine.connect() as connection:
        first_needed = last_folded + timedelta(days=1)
        deletions.require_kept(connection, first_needed, needed_for=f"the night of {night}")
        with source.view(connection, timezone) as view:
            due = set(late_answers.days_behind(connection, view))
        cut = deletions.retention_cut(connection) or date.min
    due |= {day for day in history.days_passed_over(engine, night) if day >= cut}
    unfolded = [last_folded + timedelta(days=n) for n in range(1, (night - last_folded).days)]
    if unfolded:
        due |= set(
            extraction.changed_days(engine, archive, unfolded[0], unfolded[-1], timezone, source)
        )
    if refresh:
        due |= set(extraction.newest_revisions(engine, unfolded))
    return sorted(due)
