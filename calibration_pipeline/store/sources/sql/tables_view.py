"""Rows of tables of a database that isn't ours: have they changed, and what are they.

A source is one or several sets of rows, each read by statements of its own: what one has to say of
them all is added up here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from psycopg import postgres, sql

from calibration_pipeline.errors import SourceError
from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.sources.base import Fingerprint
from calibration_pipeline.store.sources.raw import RAW_COLUMNS
from calibration_pipeline.store.sources.sql.foreign import ForeignDatabase
from calibration_pipeline.store.sources.sql.tables_blocks import BLOCK_BYTES, blocks

TIMESTAMPTZ = postgres.types["timestamptz"].oid
TIMESTAMP = postgres.types["timestamp"].oid

# What a datetime can be, in every zone.
_FIRST_MOMENT = datetime(1, 1, 2, tzinfo=UTC)
_LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)
_LARGEST = 2**63 - 1

# A sum, not an exclusive or: in that two rows alike cancel each other out. The collation is named
# because a column's own may call different texts equal, and because it may have none.
_FINGERPRINTS = """
SELECT width_bucket(a.placed, {bounds}), count(*), {latest},
       mod(sum(hash_record_extended(ROW({columns}, k.versions), 0)), {largest})::bigint
FROM (SELECT {placed_at} AS placed, {logged_at} AS logged, {values}
      FROM {source} WHERE {placed_at} >= {first} AND {placed_at} < {last}) AS a
LEFT JOIN unnest({items}::text[], {versions}::text[]) AS k (item_id, versions)
    ON k.item_id = a.item_id
GROUP BY 1
"""

# The comparison stands in a CASE: added to an extreme time, twelve hours are out of range.
_LATE = """
SELECT width_bucket(a.placed, {bounds}), {latest}
FROM (SELECT {placed_at} AS placed, {logged_at} AS logged
      FROM {source}
      WHERE {placed_at} >= {first} AND {placed_at} < {last} AND {logged_at} > {since}
        AND CASE WHEN {placed_at} >= {first} AND {placed_at} < {last}
                 THEN {logged_at} > {comparable} + interval '12 hours' END) AS a
GROUP BY 1
"""

_ROWS = "SELECT {values} FROM {source} WHERE {placed_at} >= {first} AND {placed_at} < {last}"

_UNDATED = """
SELECT count(*) FROM {source}
WHERE {placed_at} IS NULL OR {placed_at} = 'infinity' OR {placed_at} = '-infinity'
"""


@dataclass(frozen=True)
class TimeColumn:
    """A column of times, compared by its own type so that an index on it is used."""

    column: sql.Composable
    is_naive: bool


@dataclass(frozen=True)
class AnswerRows:
    """A set of answers, as a statement gives them.

    Attributes
    ----------
    subject
        The table, for messages.
    source
        What stands behind FROM.
    values
        Text, by `RAW_COLUMNS`; what is left out is null. The item is always there.
    placed_at
        By which rows are placed in time.
    logged_at
        When rows came to be; None if nothing says so.
    tables
        What is read, for people: each table with its columns.
    """

    subject: str
    source: sql.Composable
    values: Mapping[str, sql.Composable]
    placed_at: TimeColumn
    logged_at: TimeColumn | None = None
    tables: tuple[str, ...] = ()


def time_column(column: sql.Composable, type_oid: int, name: str) -> TimeColumn:
    """Check that a column holds times.

    Raises
    ------
    SourceError
        It is of another type.
    """
    if type_oid not in (TIMESTAMPTZ, TIMESTAMP):
        known = postgres.types.get(type_oid)
        raise SourceError(
            f"the column of {name} is of type {known.name if known else 'unknown'}, and only a "
            "timestamptz or a timestamp says when an answer was given: cast it in a view, and name "
            "that in CALIBRATION_SOURCE__NAMES"
        )
    return TimeColumn(column, type_oid == TIMESTAMP)


class TableView:
    """One moment of a source's rows; see `RawView`.

    Parameters
    ----------
    database
        In the transaction that is the moment.
    answers
        The sets of rows.
    is_dated_by_session
        Whether they are placed by their session's start.
    """

    def __init__(
        self,
        database: ForeignDatabase,
        answers: Sequence[AnswerRows],
        *,
        is_dated_by_session: bool = False,
    ) -> None:
        self._database = database
        self._answers = tuple(answers)
        self._is_dated_by_session = is_dated_by_session

    @property
    def is_dated_by_session(self) -> bool:
        """See `RawView`."""
        return self._is_dated_by_session

    def fingerprints(
        self, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> list[Fingerprint]:
        """See `RawView`."""
        counts = [0] * (len(bounds) - 1)
        latest: list[datetime | None] = [None] * len(counts)
        checksums = [0] * len(counts)
        for rows in self._answers:
            statement = self._fingerprints_of(rows, bounds, known)
            for interval, count, moment, checksum in self._database.rows(statement, rows.subject):
                counts[interval - 1] += count
                latest[interval - 1] = _later(latest[interval - 1], moment)
                checksums[interval - 1] = _added(checksums[interval - 1], checksum)
        return [Fingerprint(*found) for found in zip(counts, latest, checksums, strict=True)]

    def _fingerprints_of(
        self, rows: AnswerRows, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> sql.Composed:
        versions = defaultdict(list)
        for item_id, version in known:
            # All of an item's versions, however the source spells the one that a row names.
            versions[item_id].append(version if "content_version" in rows.values else 0)
        spelled = [",".join(map(str, sorted(set(each)))) for each in versions.values()]
        return sql.SQL(_FINGERPRINTS).format(
            **self._range(rows.placed_at, bounds[0], bounds[-1]),
            bounds=self._moments(rows.placed_at, bounds[:-1]),
            latest=self._latest(rows.logged_at),
            columns=sql.SQL(", ").join(sql.Identifier("a", name) for name in rows.values),
            largest=sql.Literal(_LARGEST),
            logged_at=rows.logged_at.column if rows.logged_at else sql.SQL("NULL"),
            values=sql.SQL(", ").join(
                sql.SQL('({})::text COLLATE "C" AS {}').format(value, sql.Identifier(name))
                for name, value in rows.values.items()
            ),
            source=rows.source,
            items=sql.Literal(list(versions)),
            versions=sql.Literal(spelled),
        )

    def late_arrivals(
        self, bounds: Sequence[datetime], since: datetime | None
    ) -> list[datetime | None]:
        """See `RawView`."""
        latest: list[datetime | None] = [None] * (len(bounds) - 1)
        for rows in self._answers:
            logged_at, placed_at = rows.logged_at, rows.placed_at
            if logged_at is None:
                continue
            comparable = placed_at.column
            if logged_at.is_naive != placed_at.is_naive:
                comparable = sql.SQL("timezone({}, {})").format(self._zone(), comparable)
            statement = sql.SQL(_LATE).format(
                **self._range(placed_at, bounds[0], bounds[-1]),
                bounds=self._moments(placed_at, bounds[:-1]),
                latest=self._latest(logged_at),
                logged_at=logged_at.column,
                since=self._moment(logged_at, since or _FIRST_MOMENT),
                comparable=comparable,
                source=rows.source,
            )
            for interval, moment in self._database.rows(statement, rows.subject):
                latest[interval - 1] = _later(latest[interval - 1], moment)
        return latest

    def stream(
        self, first: datetime, last: datetime, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[pa.Table]:
        """See `RawView`.

        Parameters
        ----------
        first, last
            From when to before when.
        block_bytes
            Size of a block as text; memory stays within a few times this.
        """
        for rows in self._answers:
            values = dict(rows.values)
            if rows.placed_at.is_naive:  # where the row was looked for, whatever its time means
                placed_at = sql.SQL("timezone({}, {})::text")
                values["dated_at"] = placed_at.format(self._zone(), rows.placed_at.column)
            names = [name for name in RAW_COLUMNS if name in values]
            query = sql.SQL(_ROWS).format(
                **self._range(rows.placed_at, first, last),
                values=sql.SQL(", ").join(values[name] for name in names),
                source=rows.source,
            )
            copied = self._database.copy(query, rows.subject)
            yield from blocks(copied, names, rows.subject, block_bytes)

    def undated_rows(self) -> int:
        """See `RawView`."""
        total = 0
        for rows in self._answers:
            statement = sql.SQL(_UNDATED).format(
                source=rows.source, placed_at=rows.placed_at.column
            )
            ((count,),) = self._database.rows(statement, rows.subject)
            total += count
        return total

    def _range(
        self, placed_at: TimeColumn, first: datetime, last: datetime
    ) -> dict[str, sql.Composable]:
        return {
            "placed_at": placed_at.column,
            "first": self._moment(placed_at, first),
            "last": self._moment(placed_at, last),
        }

    def _moment(self, column: TimeColumn, moment: datetime) -> sql.Literal:
        return sql.Literal(self._comparable(column, moment))

    def _moments(self, column: TimeColumn, moments: Sequence[datetime]) -> sql.Literal:
        return sql.Literal([self._comparable(column, moment) for moment in moments])

    def _comparable(self, column: TimeColumn, moment: datetime) -> datetime:
        """A moment as the column states it."""
        if column.is_naive:
            return moment.astimezone(self._database.naive_zone).replace(tzinfo=None)
        return moment.astimezone(UTC)

    def _zone(self) -> sql.Literal:
        return sql.Literal(str(self._database.naive_zone))

    def _latest(self, logged_at: TimeColumn | None) -> sql.Composable:
        """When the newest row of a group was logged; times that can't be are left out."""
        if logged_at is None:
            return sql.SQL("NULL::timestamptz")
        latest = sql.SQL("max(a.logged) FILTER (WHERE a.logged > {} AND a.logged < {})").format(
            self._moment(logged_at, _FIRST_MOMENT), self._moment(logged_at, _LAST_MOMENT)
        )
        if logged_at.is_naive:
            return sql.SQL("timezone({}, {})").format(self._zone(), latest)
        return latest


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((each for each in (one, other) if each is not None), default=None)


def _added(one: int, other: int) -> int:
    """The sum within PostgreSQL's bigint."""
    return (one + other) % _LARGEST
