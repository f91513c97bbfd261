"""Tables and views of other systems: every row comes as it stands, and a change is seen."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.base import Fingerprint
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.elsewhere import LogElsewhereReader
from calibration_pipeline.store.sources.sql.student_attempts import StudentAttemptsReader
from calibration_pipeline_tests.store.sources.source_database import (
    DAY,
    FAR_AHEAD,
    LONG_AGO,
    execute,
    owning,
    read,
    reader_url,
    rows_of,
)

TABLE = (
    "DROP TABLE IF EXISTS student_attempts CASCADE",
    "CREATE TABLE student_attempts (student_id text, item_id text, correct text,"
    " created_at timestamptz, logged timestamptz, version text)",
)
KNOWN = {("i1", 1), ("i2", 1)}


def reader(url: str, **changes: Any) -> StudentAttemptsReader:
    stated = {"kind": "student_attempts", "database_url": reader_url(url)}
    return StudentAttemptsReader(SourceConfiguration(**{**stated, **changes}))


def make(url: str, *rows: str, table: Sequence[str] = TABLE) -> None:
    inserts = [f"INSERT INTO student_attempts VALUES ({row})" for row in rows]  # noqa: S608
    execute(url, *table, *inserts)


def fingerprint(
    url: str,
    known: Any = KNOWN,
    bounds: Sequence[datetime] = (LONG_AGO, FAR_AHEAD),
    **changes: Any,
) -> Fingerprint:
    with reader(url, **changes).view("") as view:
        return view.fingerprints(bounds, known)[0]


def test_text_comes_as_it_stands(source_url: str) -> None:
    """What is empty, and what isn't there, are different."""
    values = ["''", "NULL", r"E'a\nb,\"c\"'", r"E'\\.'", r"E'\\N'", "' x '", "E'\r'", "'NULL'"]
    rows = [
        f"{value}, {value}, {value}, '2026-03-10 10:00:0{n}Z'" for n, value in enumerate(values)
    ]
    make(source_url, *rows)
    found = sorted(read(reader(source_url)), key=lambda row: row["answered_at"])
    expected = ["", None, 'a\nb,"c"', "\\.", "\\N", " x ", "\r", "NULL"]
    for column in ("candidate_id", "item_id", "code"):
        assert [row.get(column) for row in found] == expected
    assert found[0]["answered_at"] == "2026-03-10 10:00:00+00"


def test_the_size_of_a_block_does_not_matter(source_url: str) -> None:
    """Not even where one row is larger than a block."""
    rows = [f"'c{n}', repeat('x', {n} * 700000), 'true', '2026-03-10 10:00Z'" for n in range(5)]
    make(source_url, *rows)
    with reader(source_url).view("") as view:
        (whole,) = view.stream(*DAY)
        blocks = list(view.stream(*DAY, block_bytes=1000))
        assert list(view.stream(DAY[0] - timedelta(days=1), DAY[0])) == []
    lengths = sorted(len(text) for block in blocks for text in block["item_id"].to_pylist())
    assert lengths == [n * 700_000 for n in range(5)]
    assert len(blocks) > 3
    assert whole.num_rows == 5


@pytest.mark.parametrize(
    ("column", "zone", "inside"),
    [
        ("timestamptz", None, "2026-03-10 00:00Z"),
        ("timestamptz", "Asia/Tokyo", "2026-03-10 00:00Z"),
        ("timestamp", None, "2026-03-10 00:00"),
        ("timestamp", "America/New_York", "2026-03-09 20:00"),
        ("a_moment", None, "2026-03-10 00:00Z"),
    ],
)
def test_rows_are_placed_by_the_columns_own_type(
    source_url: str, column: str, zone: str | None, inside: str
) -> None:
    """From the first moment to before the last, in the zone that is set for times without one."""
    execute(
        source_url,
        *TABLE,
        "DROP DOMAIN IF EXISTS a_moment",
        "CREATE DOMAIN a_moment AS timestamptz",
        f"ALTER TABLE student_attempts ALTER created_at TYPE {column} USING NULL",
    )
    with owning(source_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO student_attempts SELECT 'c', 'i1', 'true', %s::timestamptz + %s",
            [(inside, timedelta(seconds=n)) for n in (-1, 0, 86_399, 86_400)],
        )
    with reader(source_url, naive_timezone=zone).view("") as view:
        found = sorted(row["answered_at"] for row in rows_of(view, *DAY))
        assert len(found) == 2
        assert found[0].startswith(inside[:16])
        assert found[0].endswith("+00") == (column != "timestamp")
        bounds = [DAY[0] - timedelta(days=1), *DAY, DAY[1] + timedelta(days=1)]
        assert [each.row_count for each in view.fingerprints(bounds, KNOWN)] == [1, 2, 1]


ANN, BOB = "'ann', 'i1', 'true', '2026-03-10 10:00Z'", "'bob', 'i2', 'f', '2026-03-10 11:00Z'"


def test_a_fingerprint_is_that_of_the_rows(source_url: str) -> None:
    make(source_url, ANN, BOB)
    found = fingerprint(source_url)
    assert (found.row_count, found.latest_ingested_at) == (2, None)
    make(source_url, BOB, ANN)
    assert fingerprint(source_url) == found
    execute(
        source_url,
        "ALTER TABLE student_attempts ALTER item_id TYPE varchar(9), ALTER correct TYPE char(4)",
        "ALTER TABLE student_attempts ADD COLUMN note text DEFAULT 'new'",
    )
    assert fingerprint(source_url) == found


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE student_attempts SET student_id = 'Ann' WHERE student_id = 'ann'",
        "UPDATE student_attempts SET item_id = NULL WHERE student_id = 'ann'",
        "UPDATE student_attempts SET correct = 't' WHERE student_id = 'ann'",
        "UPDATE student_attempts SET created_at = created_at + interval '1 us'",
        "DELETE FROM student_attempts WHERE student_id = 'ann'",
        "INSERT INTO student_attempts SELECT * FROM student_attempts",
    ],
)
def test_a_fingerprint_changes_with_a_row(source_url: str, change: str) -> None:
    make(source_url, ANN, BOB)
    before = fingerprint(source_url)
    execute(source_url, change)
    assert fingerprint(source_url) != before


def test_two_rows_alike_do_not_cancel_out(source_url: str) -> None:
    make(source_url, ANN, ANN)
    before = fingerprint(source_url)
    make(source_url, BOB, BOB)
    assert fingerprint(source_url) != before


def test_a_fingerprint_says_whether_the_bank_knows_the_item(source_url: str) -> None:
    make(source_url, ANN, BOB)
    found = fingerprint(source_url)
    assert fingerprint(source_url, KNOWN | {("i3", 1)}) == found
    assert fingerprint(source_url, KNOWN | {("i1", 2)}) == found
    assert fingerprint(source_url, {("i1", 1)}) != found
    assert fingerprint(source_url, set()).row_count == 2
    versioned = {"names": {"student_attempts.content_version": "version"}}
    stated = fingerprint(source_url, **versioned)
    assert fingerprint(source_url, KNOWN | {("i1", 2)}, **versioned) != stated


def test_late_arrivals(source_url: str) -> None:
    """Half a day after the answer; times that can't be compared or told are no trouble."""
    rows = [
        "'a', 'i1', '1', '2026-03-10 10:00Z', '2026-03-10 22:00:00Z'",
        "'a', 'i1', '1', '2026-03-10 10:00Z', '2026-03-10 22:00:01Z'",
        "'a', 'i1', '1', '2026-03-10 10:00Z', 'infinity'",
        "'a', 'i1', '1', '2026-03-10 10:00Z', '200000-01-01 00:00Z'",
        "'a', 'i1', '1', '2026-03-11 10:00Z', NULL",
        "'a', 'i1', '1', '294276-12-31 23:00Z', '294276-12-31 23:00Z'",
        "'a', 'i1', '1', '4713-01-02 00:00Z BC', '-infinity'",
    ]
    make(source_url, *rows)
    bounds = [*DAY, DAY[1] + timedelta(days=1)]
    latest = datetime(2026, 3, 10, 22, 0, 1, tzinfo=UTC)
    logged = {"student_attempts.logged_at": "logged"}
    with reader(source_url, names=logged).view("") as view:
        assert view.late_arrivals(bounds, None) == [latest, None]
        assert view.late_arrivals(bounds, latest - timedelta(seconds=1)) == [latest, None]
        assert view.late_arrivals(bounds, latest) == [None, None]
        assert [each.latest_ingested_at for each in view.fingerprints(bounds, KNOWN)] == [
            latest,
            None,
        ]
    with reader(source_url).view("") as view:
        assert view.late_arrivals(bounds, None) == [None, None]


def test_late_arrivals_between_columns_with_and_without_a_zone(source_url: str) -> None:
    make(source_url, "'a', 'i1', '1', '2026-03-10 10:00Z', '2026-03-10 23:30:00Z'")
    execute(
        source_url,
        "ALTER TABLE student_attempts ALTER logged TYPE timestamp USING"
        " logged AT TIME ZONE 'Europe/Zurich'",
    )
    options = {
        "names": {"student_attempts.logged_at": "logged"},
        "naive_timezone": "Europe/Zurich",
    }
    latest = datetime(2026, 3, 10, 23, 30, tzinfo=UTC)
    with reader(source_url, **options).view("") as view:
        assert view.late_arrivals(DAY, None) == [latest]
        assert view.late_arrivals(DAY, latest) == [None]
    assert fingerprint(source_url, **options).latest_ingested_at == latest


def test_rows_that_nothing_dates(source_url: str) -> None:
    times = ["NULL", "'infinity'", "'-infinity'", "'2026-03-10 10:00Z'", "'290000-01-01Z'"]
    make(source_url, *[f"'a', 'i1', '1', {moment}" for moment in times])
    with reader(source_url).view("") as view:
        assert view.undated_rows() == 3
        assert len(rows_of(view)) == 1


def test_what_is_not_named_is_not_read(source_url: str) -> None:
    """A session_id may be that of a login."""
    make(source_url, ANN)
    execute(
        source_url, "ALTER TABLE student_attempts ADD session_id text DEFAULT 's', ADD place int"
    )
    assert "session_id" not in read(reader(source_url))[0]
    names = {
        "student_attempts.session_id": "session_id",
        "student_attempts.position": "place",
        "student_attempts.content_version": "version",
    }
    assert read(reader(source_url, names=names))[0]["session_id"] == "s"
    names["student_attempts.option_selected"] = "gone"
    with pytest.raises(SourceError, match="no column 'gone'"):
        read(reader(source_url, names=names))


def test_a_policy_that_hides_rows_is_told(source_url: str) -> None:
    make(source_url, ANN, BOB)
    source = reader(source_url)
    assert len(read(source)) == 2
    assert source.warnings == ()
    execute(
        source_url,
        "ALTER TABLE student_attempts ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY bobs ON student_attempts TO answers_reader USING (student_id = 'bob')",
    )
    assert len(read(source)) == len(read(source)) == 1
    (warning,) = source.warnings
    assert "row-level security applies to public.student_attempts" in warning


def test_a_response_log_elsewhere(source_url: str) -> None:
    """What it may lack is read where it is there; rows are placed by their session's start."""
    with owning(source_url, "logs") as connection:
        connection.execute(
            "CREATE TABLE logs.answers (session_id text, candidate_id text, item_id text,"
            " score integer, answered_at timestamptz, session_started_at timestamptz,"
            " outcome text, ingested_at timestamptz)"
        )
        connection.execute(
            "INSERT INTO logs.answers VALUES ('s', 'c', 'i1', 1, '2026-03-11 00:10Z',"
            " '2026-03-10 23:50Z', 'scored', '2026-03-12 00:00Z')"
        )
    configuration = SourceConfiguration(
        database_url=reader_url(source_url), names={"response_log": "logs.answers"}
    )
    with LogElsewhereReader(configuration).view("") as view:
        assert view.is_dated_by_session
        (row,) = rows_of(view, *DAY)
        (arrived,) = view.late_arrivals(DAY, None)
    assert arrived == datetime(2026, 3, 12, tzinfo=UTC)
    assert row == {
        "session_id": "s",
        "candidate_id": "c",
        "item_id": "i1",
        "code": "1",
        "answered_at": "2026-03-11 00:10:00+00",
        "session_started_at": "2026-03-10 23:50:00+00",
        "outcome": "scored",
        "logged_at": "2026-03-12 00:00:00+00",
    }
