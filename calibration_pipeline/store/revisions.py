"""The record of archived days: which extraction gave which file, from what state of the source."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.records import DayResponses, DayRevision
from calibration_pipeline.store.archive import Archive, DayWriter
from calibration_pipeline.store.day_arrays import READ_COLUMNS, day_responses
from calibration_pipeline.store.deletions import kept_revision
from calibration_pipeline.store.sources.base import Fingerprint, ResponseSource, SourceView
from calibration_pipeline.store.tables import archive_revisions, source_observations


def _newest(connection: sa.Connection, day: date) -> sa.Row[Any] | None:
    revisions = archive_revisions.c
    return connection.execute(
        sa.select(archive_revisions)
        .where(revisions.day == day)
        .order_by(revisions.revision.desc())
        .limit(1)
    ).one_or_none()


def observed(connection: sa.Connection, first: date, last: date) -> dict[date, Fingerprint]:
    """Give the newest observation of each day's source; uses source_observations_day_idx."""
    o = source_observations.c
    rows = connection.execute(
        sa.select(o.day, o.row_count, o.latest_ingested_at, o.checksum)
        .distinct(o.day)
        .where(o.day.between(first, last))
        .order_by(o.day, o.observation_id.desc())
    )
    return {row.day: Fingerprint(*row[1:]) for row in rows}


def changed(
    connection: sa.Connection,
    view: SourceView,
    archive: Archive,
    first: date,
    last: date,
    timezone: ZoneInfo,
) -> list[date]:
    """List the days that are not archived as their source stands now.

    A day that was never extracted and has no answers is as it was.
    """
    known = observed(connection, first, last)
    found = view.fingerprints(first, last)
    return [
        day
        for day, fingerprint in found.items()
        if (day in known or fingerprint.row_count)
        and (known.get(day) != fingerprint or not _is_usable(connection, archive, day, timezone))
    ]


def _is_usable(connection: sa.Connection, archive: Archive, day: date, timezone: ZoneInfo) -> bool:
    row = _newest(connection, day)
    return row is not None and row.timezone == timezone.key and archive.exists(row.file_name)


def unchanged(
    connection: sa.Connection, view: SourceView, archive: Archive, day: date, timezone: ZoneInfo
) -> DayRevision | None:
    """Give a day's newest revision if its source is as it was when that was extracted."""
    row = _newest(connection, day)
    if row is None or changed(connection, view, archive, day, day, timezone):
        return None
    return _revision(row)


def require_answers_left(connection: sa.Connection, view: SourceView, day: date, kind: str) -> None:
    """Refuse a source that has lost all of a day: it was cleared, or is another one by mistake.

    Raises
    ------
    NightBlockedError
        The newest revision has answers, and the source has none.
    """
    newest = _newest(connection, day)
    if newest is None or not newest.response_count or view.fingerprints(day, day)[day].row_count:
        return
    raise NightBlockedError(
        f"the source ({kind}) has no answers of {day}, of which {newest.response_count} are "
        "archived: nothing was calibrated; correct CALIBRATION_SOURCE__…, or if they are gone for "
        "good, let the nights go on without them with --refresh"
    )


def record(
    connection: sa.Connection,
    archive: Archive,
    writer: DayWriter,
    found: DayRevision,
    fingerprint: Fingerprint,
    timezone: ZoneInfo,
    erased_sessions: int = 0,
) -> DayRevision:
    """Record an extraction, as a new revision unless it is the newest one over again.

    `erased_sessions` were in the source and left out, because their candidates have been erased.
    """
    newest = _newest(connection, found.day)
    recorded = replace(found, revision=number_of(connection, found, timezone))
    if newest is None or newest.revision != recorded.revision:
        insert_revision(connection, writer, recorded, timezone.key)
    elif not archive.exists(newest.file_name):
        writer.commit_again(newest.file_name, newest.quarantine_file_name)
    _observe(connection, recorded.day, recorded.revision, fingerprint, erased_sessions)
    return recorded


def days_as_extracted(
    connection: sa.Connection, source: ResponseSource, days: Sequence[date]
) -> list[date]:
    """List those of some archived days whose log is as it was when they were last extracted.

    None where the answers are from elsewhere: erasing them here changes nothing there.
    """
    if not source.is_in_store:
        return []
    return [
        day
        for day in days
        if (row := _newest(connection, day)) is not None
        and observed(connection, day, day).get(day) == _fingerprint(connection, source, row)
    ]


def observe_erasure(
    connection: sa.Connection, source: ResponseSource, days: Sequence[date]
) -> None:
    """Record days' sources as extracted, after candidates were taken out of them and the archive.

    Otherwise what was taken out would pass for a correction of the log that came late.

    Parameters
    ----------
    days
        Whose sources were as extracted before: what else has changed is yet to be found.
    """
    for row in filter(None, (_newest(connection, day) for day in days)):
        erased = erased_sessions(connection, row.day)
        fingerprint = _fingerprint(connection, source, row)
        _observe(connection, row.day, row.revision, fingerprint, erased)


def _fingerprint(
    connection: sa.Connection, source: ResponseSource, row: sa.Row[Any]
) -> Fingerprint:
    with source.view(connection, ZoneInfo(row.timezone)) as view:
        return view.fingerprints(row.day, row.day)[row.day]


def _observe(
    connection: sa.Connection, day: date, revision: int, fingerprint: Fingerprint, erased: int
) -> None:
    connection.execute(
        sa.insert(source_observations).values(
            day=day,
            revision=revision,
            row_count=fingerprint.row_count,
            latest_ingested_at=fingerprint.latest_ingested_at,
            checksum=fingerprint.checksum,
            erased_sessions=erased,
        )
    )


def insert_revision(
    connection: sa.Connection, writer: DayWriter, revision: DayRevision, timezone: str
) -> None:
    """Give what was written its name, and record it; the row makes the file count."""
    file_name, quarantine_file_name = writer.commit(revision.revision)
    connection.execute(
        sa.insert(archive_revisions).values(
            day=revision.day,
            revision=revision.revision,
            digest=revision.digest,
            file_name=file_name,
            quarantine_file_name=quarantine_file_name,
            response_count=revision.response_count,
            session_count=revision.session_count,
            quarantine_counts=revision.quarantine_counts,
            timezone=timezone,
        )
    )


def erased_sessions(connection: sa.Connection, day: date) -> int:
    """Count the sessions that were left out of a day for having been erased, when last extracted.

    Uses source_observations_day_idx.
    """
    o = source_observations.c
    newest = sa.select(o.erased_sessions).where(o.day == day).order_by(o.observation_id.desc())
    return int(connection.scalar(newest.limit(1)) or 0)


def newest_number(connection: sa.Connection, day: date) -> int:
    """Give the number of a day's newest revision; 0 if it was never extracted."""
    newest = _newest(connection, day)
    return 0 if newest is None else int(newest.revision)


def number_of(connection: sa.Connection, found: DayRevision, timezone: ZoneInfo) -> int:
    """Give the number that an extraction has or gets: the newest one's if it is that over again."""
    newest = _newest(connection, found.day)
    if newest is None:
        return 1
    same = _is_same(newest, found, timezone)
    return int(newest.revision) if same else int(newest.revision) + 1


def _is_same(row: sa.Row[Any], found: DayRevision, timezone: ZoneInfo) -> bool:
    return bool(
        row.digest == found.digest
        and row.quarantine_counts == found.quarantine_counts
        and row.timezone == timezone.key
    )


def _revision(row: sa.Row[Any]) -> DayRevision:
    return DayRevision(
        day=row.day,
        revision=row.revision,
        digest=row.digest,
        response_count=row.response_count,
        session_count=row.session_count,
        quarantine_counts=dict(row.quarantine_counts),
    )


def newest_revisions(engine: sa.Engine, days: Sequence[date]) -> dict[date, DayRevision]:
    """Give the newest revision of each of the days that has been extracted."""
    revisions = archive_revisions.c
    query = (
        sa.select(archive_revisions)
        .distinct(revisions.day)
        .where(revisions.day.in_(days))
        .order_by(revisions.day, revisions.revision.desc())
    )
    with engine.connect() as connection:
        return {row.day: _revision(row) for row in connection.execute(query)}


def read_day(
    engine: sa.Engine, archive: Archive, day: date, revision: int | None = None
) -> DayResponses:
    """Read an archived day.

    Of a revision from which candidates were erased, the one that stands in its place is read.

    Parameters
    ----------
    revision
        Which extraction; the newest one if None.

    Raises
    ------
    NightBlockedError
        The day was never extracted, was deleted, or its file is missing or damaged.
    """
    query = sa.select(archive_revisions).where(archive_revisions.c.day == day)
    with engine.connect() as connection:
        wanted = newest_number(connection, day) if revision is None else revision
        kept = kept_revision(connection, day, wanted)
        row = connection.execute(query.where(archive_revisions.c.revision == kept)).one_or_none()
    if row is None:
        which = "" if revision is None else f" as revision {revision}"
        raise NightBlockedError(
            f"the answers of {day} have not been extracted{which}: "
            "materialise the day's responses first"
        )
    table = archive.read(row.file_name, READ_COLUMNS)
    if table.num_rows != row.response_count:
        raise NightBlockedError(
            f"the archived file {row.file_name} has {table.num_rows} answers, {row.response_count} "
            "were recorded: restore it from a backup"
        )
    return day_responses(_revision(row), table)
