"""Names of the settings are names: they are looked for, whatever they hold, and never run."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql

from calibration_pipeline.errors import SourceError
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.names import Column, Layout, Names, TableName
from calibration_pipeline.store.sources.sql.student_attempts import StudentAttemptsReader
from calibration_pipeline_tests.database import connect
from calibration_pipeline_tests.store.sources.exploration import examples
from calibration_pipeline_tests.store.sources.source_database import (
    FAR_AHEAD,
    LONG_AGO,
    owning,
    reader_url,
    rows_of,
)

LAYOUT = Layout("attempt", (Column("student_id"), Column("correct")))
CANARY = "CREATE TABLE IF NOT EXISTS canary AS SELECT 'sings' AS song"

HOSTILE_NAMES = st.one_of(
    st.sampled_from(
        [
            "attempt; DROP TABLE canary",
            'attempt"; DROP TABLE canary; --',
            'attempt" WHERE true); DROP TABLE canary; --',
            "(SELECT 1) AS t; DELETE FROM canary; --",
            "pg_sleep(60)",
            "t.*",
            "%s %(name)s %%",
            "{values} {0}",
            "/* */ -- \n",
            "x\\'; DROP TABLE canary; --",
            "é" * 31,
            "\u202e🙂\ufeff",
            "$$; DROP TABLE canary; $$",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
).filter(lambda name: len(name.encode()) <= 63)
HOSTILE_TEXT = st.one_of(
    HOSTILE_NAMES, st.text(max_size=100), st.sampled_from(["", "\0", "a" * 64, "\ud800", "a.b.c"])
)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))

in_one_database = examples(25)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def student_attempts(url: str, **names: str) -> StudentAttemptsReader:
    configured = {name.replace("__", "."): text for name, text in names.items()}
    return StudentAttemptsReader(
        SourceConfiguration("student_attempts", database_url=reader_url(url), names=configured)
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v_attempt", TableName("public", "v_attempt")),
        ("app.v_attempt", TableName("app", "v_attempt")),
        ('app."v.attempt"', TableName("app", "v.attempt")),
        ('"my app"."a ""b"" c"', TableName("my app", 'a "b" c')),
        ('"only.name"', TableName("public", "only.name")),
    ],
)
def test_names_of_tables(text: str, found: TableName) -> None:
    assert Names([LAYOUT], {"attempt": text}).table(LAYOUT) == found


@pytest.mark.parametrize(
    ("text", "found"), [("a.b", "a.b"), ('"itemId"', "itemId"), ('half"', 'half"'), (" ", " ")]
)
def test_names_of_columns(text: str, found: str) -> None:
    names = Names([LAYOUT], {"attempt.student_id": text})
    assert names.column(LAYOUT, LAYOUT.columns[0]) == found
    assert names.column(LAYOUT, LAYOUT.columns[1]) is None


@pytest.mark.parametrize(
    "text", ["", "a.b.c", ".a", "a.", '"a', 'a"b', '""', "a" * 64, "é" * 32, "a\0b", "\ud800"]
)
def test_what_cannot_be_a_name_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match="CALIBRATION_SOURCE__NAMES gives") as caught:
        Names([LAYOUT], {"attempt": text})
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_all_names_that_a_source_does_not_have_are_refused_at_once() -> None:
    names = {"atempt": "a", "attempt.studentid": "b", "attempt.student_id": "c"}
    with pytest.raises(SourceError) as caught:
        Names([LAYOUT], names)
    assert str(caught.value) == (
        "CALIBRATION_SOURCE__NAMES names atempt (did you mean attempt?), attempt.studentid "
        "(did you mean attempt.student_id?), which this source doesn't have"
    )
    with pytest.raises(SourceError, match=r"names qqq, atempt \(did.*: its names are attempt, att"):
        Names([LAYOUT], {"qqq": "a", "atempt": "b"})


@pytest.mark.parametrize(
    ("documented", "suggested"),
    [("atempt", "attempt"), ("attempt.studentid", "attempt.student_id"), ("Attempt", "attempt")],
)
def test_a_typing_error_is_refused_with_the_nearest_name(documented: str, suggested: str) -> None:
    with pytest.raises(SourceError, match=f"{documented}.*did you mean {suggested}"):
        Names([LAYOUT], {documented: "x"})


def test_a_name_like_no_other_is_refused_with_all_there_are() -> None:
    with pytest.raises(SourceError, match=r"qqq.*attempt, attempt\.student_id, attempt\.correct$"):
        Names([LAYOUT], {"qqq": "x"})


def canary_sings(url: str) -> bool:
    with connect(url) as connection:
        return connection.execute("SELECT song FROM canary").fetchall() == [("sings",)]


@in_one_database
@given(table=HOSTILE_TEXT, column=HOSTILE_TEXT)
@example(table='x"; DROP TABLE canary; --', column="item_id")
def test_a_hostile_name_is_looked_for_and_not_found(
    source_url: str, table: str, column: str
) -> None:
    columns = "student_id text, item_id text, correct bool, created_at timestamptz"
    with owning(source_url) as connection:
        connection.execute(CANARY)
        connection.execute(f"CREATE TABLE IF NOT EXISTS plain ({columns})")
    mapped: list[dict[str, str]] = [
        {"student_attempts": table},
        {"student_attempts": quoted(table)},
        {"student_attempts": "plain", "student_attempts__item_id": f"x{column}"},
        {"student_attempts": "plain", "student_attempts__logged_at": f"x{column}"},
    ]
    for names in mapped:
        with pytest.raises(SourceError) as caught, student_attempts(source_url, **names).view(""):
            pass
        assert len(str(caught.value).splitlines()) == 1
    assert canary_sings(source_url)


@in_one_database
@given(table=HOSTILE_NAMES, column=HOSTILE_NAMES, value=VALUES)
@example(table="a\\", column='"; DROP TABLE canary; --', value="'); DROP TABLE canary; --")
def test_a_hostile_name_that_exists_is_read(
    source_url: str, table: str, column: str, value: str
) -> None:
    """As are hostile values, those of the bank's items included."""
    make = sql.SQL(
        "CREATE TABLE {t} (student_id text, {c} text, correct text, created_at timestamptz);"
        "INSERT INTO {t} VALUES ({v}, {v}, {v}, '2026-03-10 10:00Z')"
    ).format(t=sql.Identifier(table), c=sql.Identifier(f"x{column}"[:15]), v=sql.Literal(value))
    names = {"student_attempts": quoted(table), "student_attempts__item_id": f"x{column}"[:15]}
    bounds = (LONG_AGO, FAR_AHEAD)
    with owning(source_url) as connection:
        connection.execute(CANARY)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(table)))
        connection.execute(make)
    try:
        with student_attempts(source_url, **names).view("") as view:
            (row,) = rows_of(view)
            (known,) = view.fingerprints(bounds, {(value, 1), ("other", 2)})
            (unknown,) = view.fingerprints(bounds, {(f"{value}?", 1)})
            assert view.late_arrivals(bounds, None) == [None]
            assert view.undated_rows() == 0
    finally:
        with owning(source_url) as connection:
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(table)))
    expected: dict[str, Any] = dict.fromkeys(("candidate_id", "item_id", "code"), value)
    assert row == expected | {"answered_at": "2026-03-10 10:00:00+00"}
    assert known.row_count == unknown.row_count == 1
    assert known.checksum != unknown.checksum
    assert canary_sings(source_url)


def test_a_zone_is_a_value(source_url: str) -> None:
    """The only other text of the settings that statements hold."""
    with owning(source_url) as connection:
        connection.execute(
            "DROP TABLE IF EXISTS student_attempts; CREATE TABLE student_attempts"
            " (student_id text, item_id text, correct bool, created_at timestamp)"
        )
    configuration = SourceConfiguration(
        "student_attempts", database_url=reader_url(source_url), naive_timezone="Europe/Zurich"
    )
    with StudentAttemptsReader(configuration).view("") as view:
        assert rows_of(view) == []
