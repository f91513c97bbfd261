"""Answers that came after their day had been folded in: found, archived, counted, never folded.

A day is folded in once, in its newest revision at that moment, which the state names. What comes
for it later would have to be folded a second time or not at all: it is archived as a newer revision
and reported here as the difference between the two. So the state stays exact for what it counted,
and a rebuild that begins with `--refresh` takes the newer revisions in.

**How changed days are found.** The days of the window are compared with their source row by row
every night. Folded days are the whole history, so only what has arrived since the last search is
looked at: an answer to a folded day was logged more than 12 hours after its session began, and an
index holds such answers alone, by arrival. Where nothing came the search reads nothing. The rows of
a day with an arrival are compared with those that were extracted: the time of the newest one would
not do, for a transaction that began earlier may end later. Where they differ the day is extracted
again as a whole, which shows its corrections and deletions as well.

**What is not found.** An answer to a folded day that is changed in place and keeps its
`ingested_at`, and one that is deleted, leave no trace that is cheap to see: they wait until the
day is extracted for another reason (an answer arrives, or a night with the day in its window is
run again). Nor is an answer found whose `ingested_at` is more than a day before it could be read,
be it stated by the engine or because its transaction took so long.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.store import deletions, revisions
from calibration_pipeline.store.sources.base import Fingerprint, ResponseSource, SourceView
from calibration_pipeline.store.sources.native import NATIVE
from calibration_pipeline.store.tables import source_checks, source_observations

# A transaction logs answers with the time it began, and they can be read when it has ended.
LONGEST_TRANSACTION = timedelta(days=1)

# Each folded day of the chain of states that ends with the newest one that had folded through
# :folded_through, beside its newest revision. A day without an archive when its turn came was
# folded as nothing, which an empty revision is as well. Where candidates were erased from what was
# folded, the revision in its place counts: what was taken out isn't late. Nor is there anything to
# say of days that have been deleted. The primary keys serve every join.
_FOLDED_DAYS = """
WITH RECURSIVE chain AS (
    (SELECT partition, attempt, parent_partition, parent_attempt, folded_through
     FROM calibration.calibration_states
     WHERE is_accepted AND folded_through <= :folded_through
     ORDER BY folded_through DESC, partition DESC, attempt DESC LIMIT 1)
    UNION ALL
    SELECT s.partition, s.attempt, s.parent_partition, s.parent_attempt, s.folded_through
    FROM chain JOIN calibration.calibration_states AS s
        ON (s.partition, s.attempt) = (chain.parent_partition, chain.parent_attempt)
), newest AS (
    SELECT DISTINCT ON (day) day, digest, response_count
    FROM calibration.archive_revisions
    WHERE day > (SELECT min(folded_through) FROM chain)
      AND day <= (SELECT max(folded_through) FROM chain)
      AND day >= coalesce((SELECT max(deleted_before) FROM calibration.retention_runs), '-infinity')
    ORDER BY day, revision DESC
), kept AS (
    SELECT f.day, f.revision
    FROM chain JOIN calibration.state_folds AS f USING (partition, attempt)
    UNION
    SELECT day, d.replaced_by
    FROM kept JOIN calibration.archive_deletions AS d USING (day, revision)
    WHERE d.replaced_by IS NOT NULL
), folded AS (
    SELECT DISTINCT ON (day) day, r.digest, r.response_count
    FROM kept JOIN calibration.archive_revisions AS r USING (day, revision)
    ORDER BY day, revision DESC
)
SELECT day,
       CASE WHEN folded.digest IS NULL THEN newest.response_count > 0
            ELSE newest.digest <> folded.digest END AS has_changed,
       newest.response_count - coalesce(folded.response_count, 0) AS more_answers
FROM newest LEFT JOIN folded USING (day)
ORDER BY day
"""


@dataclass(frozen=True)
class LateDay:
    """A folded day whose answers are others by now.

    Attributes
    ----------
    day
        The local day.
    answers
        How many more there are than were folded; 0 where answers were only corrected or deleted.
    """

    day: date
    answers: int


def late_answers(
    engine: sa.Engine, folded_through: date, timezone: ZoneInfo, source: ResponseSource = NATIVE
) -> tuple[LateDay, ...]:
    """List the folded days whose answers have changed since they were folded, oldest first.

    Each late answer is in the count of its day for as long as no night folds it. Those that no
    night has extracted yet are counted as rows, before bad ones are sorted out.

    Parameters
    ----------
    folded_through
        Of the state in question: the last day in its carried information.
    timezone
        The zone in which a day begins.
    source
        Where the answers come from.
    """
    with engine.connect() as connection, source.view(connection, timezone) as view:
        folded = _folded_days(connection, folded_through)
        waiting = _rows_behind(connection, view, among=folded)
    return _late_days(folded, waiting)


def archived_late_answers(engine: sa.Engine, folded_through: date) -> tuple[LateDay, ...]:
    """List the same as far as it has been extracted: all of it once a night has begun.

    Reads nothing of the response log.
    """
    with engine.connect() as connection:
        return _late_days(_folded_days(connection, folded_through), {})


def _folded_days(connection: sa.Connection, folded_through: date) -> dict[date, sa.Row[Any]]:
    rows = connection.execute(sa.text(_FOLDED_DAYS), {"folded_through": folded_through})
    return {row.day: row for row in rows}


def _late_days(
    folded: Mapping[date, sa.Row[Any]], waiting: Mapping[date, int]
) -> tuple[LateDay, ...]:
    return tuple(
        LateDay(day, max(0, row.more_answers + waiting.get(day, 0)))
        for day, row in folded.items()
        if row.has_changed or day in waiting
    )


def days_behind(connection: sa.Connection, view: SourceView) -> list[date]:
    """List the archived days for which late answers have arrived since they were extracted.

    Looks at what has arrived since the last search that `record_search` recorded.
    """
    return sorted(_rows_behind(connection, view))


def _rows_behind(
    connection: sa.Connection, view: SourceView, among: Container[date] | None = None
) -> dict[date, int]:
    """Count the rows that such days have more than were extracted, or among some days alone."""
    found = {}
    for day, then in _observed_with_arrivals(connection, view).items():
        if among is None or day in among:
            now = view.fingerprints(day, day)[day]
            if (now.row_count, now.checksum) != (then.row_count, then.checksum):
                found[day] = now.row_count - then.row_count
    return found


def _observed_with_arrivals(connection: sa.Connection, view: SourceView) -> dict[date, Fingerprint]:
    """Archived days with a late arrival since the last search, as they were when extracted."""
    span: Any = connection.execute(
        sa.select(
            sa.func.min(source_observations.c.day).label("first"),
            sa.func.max(source_observations.c.day).label("last"),
        )
    ).one()
    if span.first is None:
        return {}
    cut = deletions.retention_cut(connection)
    first = span.first if cut is None else max(span.first, cut)
    if span.last < first:
        return {}
    since = connection.scalar(
        sa.select(source_checks.c.checked_through)
        .order_by(source_checks.c.check_id.desc())
        .limit(1)
    )
    arrived = view.late_arrivals(first, span.last, since)
    if not arrived:
        return {}
    observed = revisions.observed(connection, min(arrived), max(arrived))
    return {day: observed[day] for day in arrived if day in observed}


def start_search(engine: sa.Engine) -> datetime:
    """Give the moment of a search, by the database's clock: before it, and never after."""
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.now())).scalar_one()


def record_search(engine: sa.Engine, started: datetime) -> None:
    """Record that all that a search found has been extracted; the next one goes on from there.

    Searches overlap by as long as a transaction may take. Nothing is counted twice by that: a day
    is behind only where its rows differ from those that were extracted.
    """
    with engine.begin() as connection:
        connection.execute(
            sa.insert(source_checks).values(checked_through=started - LONGEST_TRANSACTION)
        )
