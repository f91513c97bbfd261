"""Files as a source: what a view says of their rows, and what is noticed."""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.errors import SourceError, SourceUnavailableError
from calibration_pipeline.store.sources.base import EMPTY, day_start, days_between
from calibration_pipeline.store.sources.files.placing import CELL
from calibration_pipeline.store.sources.raw import RAW_SCHEMA
from calibration_pipeline_tests.store.sources.exploration import examples
from calibration_pipeline_tests.store.sources.fillers_files import csv_bytes
from calibration_pipeline_tests.store.sources.written_files import (
    BOUNDS,
    HEADER,
    KNOWN,
    NOON,
    reader,
    rows,
    write,
)


def test_rows_of_a_day_as_they_stand_in_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        [f"ann, i1,TRUE,{NOON}", f"bob,i2,,{NOON}", "cy,i1,0,2026-03-12T00:00:00Z"],
    )
    with reader(path).view("") as view:
        found = rows(view)
        assert view.undated_rows() == 0
    empty = dict.fromkeys(RAW_SCHEMA.names)
    assert found == [
        empty | {"candidate_id": "ann", "item_id": " i1", "code": "TRUE", "answered_at": NOON},
        empty | {"candidate_id": "bob", "item_id": "i2", "answered_at": NOON},
    ]


def test_whether_the_bank_knows_an_item_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        [f"ann,i1,1,{NOON},1", f"ann,i3,1,{NOON},2", "ann,i1,1,2026-03-09T08:00:00Z,"],
        f"{HEADER},content_version",
    )
    with reader(path).view("") as view:
        eve, before, _ = view.fingerprints(BOUNDS, KNOWN)
        assert view.fingerprints(BOUNDS, KNOWN | {("i3", 1)}) == [eve, before, EMPTY]
        after = view.fingerprints(BOUNDS, KNOWN | {("i3", 2)})
        assert (after[0], after[1] == before) == (eve, False)
        assert view.fingerprints(BOUNDS, KNOWN | {("i4", 1)}) == [eve, before, EMPTY]
        # A row that states no version is known by its item alone.
        assert view.fingerprints(BOUNDS, {("i1", 7)})[0] == eve
        assert view.fingerprints(BOUNDS, set())[0] != eve


COLUMNS = ("is_correct", "session_id", "position", "option_selected", "engine_version", "outcome")


@pytest.mark.parametrize("changed", range(len(COLUMNS)))
def test_every_column_is_part_of_the_fingerprint(tmp_path: Path, changed: int) -> None:
    """Also where a text moves from one row or one column to the next."""
    header = f"candidate_id,item_id,answered_at,{','.join(COLUMNS)}"
    row = ["ann", "i1", NOON, *COLUMNS]
    found = []
    for text in ("", "x", COLUMNS[changed]):
        cells = row.copy()
        cells[3 + changed] = text
        path = write(tmp_path / "a.csv", [",".join(cells)], header)
        with reader(path).view("") as view:
            found.append(view.fingerprints(BOUNDS, KNOWN)[1])
    assert len(set(found)) == 3


@examples(10)
@given(moves=st.permutations(range(6)), cut=st.integers(0, 6))
def test_neither_order_nor_file_counts(
    tmp_path_factory: pytest.TempPathFactory, moves: list[int], cut: int
) -> None:
    lines = [f"c{n},i{n % 3},1,2026-03-{9 + n % 3:02}T08:00:00Z" for n in range(6)]
    folder = tmp_path_factory.mktemp("answers")
    write(folder / "one.csv", lines)
    with reader(folder).view("") as view:
        before = view.fingerprints(BOUNDS, KNOWN)
    write(folder / "one.csv", [lines[n] for n in moves[:cut]])
    write(folder / "two.csv", [lines[n] for n in moves[cut:]])
    with reader(folder).view("") as view:
        assert view.fingerprints(BOUNDS, KNOWN) == before


def test_late_arrivals_are_known_where_files_say_when_rows_were_logged(tmp_path: Path) -> None:
    header = f"{HEADER},logged_at"
    path = write(
        tmp_path / "a.csv",
        [
            f"ann,i1,1,{NOON},2026-03-10T23:00:00Z",
            f"ann,i2,1,{NOON},2026-03-11T09:00:00+01:00",
            f"bob,i2,1,{NOON},2026-03-11T07:00:00Z",
            "cy,i1,1,2026-03-09T12:00:00Z,2026-03-09T12:00:01Z",
        ],
        header,
    )
    latest = datetime(2026, 3, 11, 8, tzinfo=UTC)
    with reader(path).view("") as view:
        assert view.fingerprints(BOUNDS, KNOWN)[1].latest_ingested_at == latest
        assert view.late_arrivals(BOUNDS, None) == [None, latest, None]
        assert view.late_arrivals(BOUNDS, latest - timedelta(seconds=1)) == [None, latest, None]
        assert view.late_arrivals(BOUNDS, latest) == [None, None, None]


def test_rows_without_a_readable_time_lie_with_the_newest_of_their_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        [
            "ann,i1,1,2026-03-09T08:00:00Z",
            "ann,i2,1,2026-03-10T08:00:00Z",
            "bob,i1,1,half past eight",
            "bob,i2,1,",
            "cy,i1,1,infinity",
            "dee,i1,1,2999-01-01T00:00:00Z",
            "eve,i1,1,2026-03-09T23:59:59",
        ],
    )
    with reader(path).view("") as view:
        days = [rows(view, BOUNDS[n : n + 2]) for n in range(3)]
        counts = [each.row_count for each in view.fingerprints(BOUNDS, KNOWN)]
    placed = [[(row["candidate_id"], row["dated_at"]) for row in day] for day in days]
    newest = "2026-03-10T08:00:00.000000+00:00"
    assert placed == [
        [("ann", None), ("eve", "2026-03-09T23:59:59.000000+00:00")],
        [("ann", None), ("bob", newest), ("bob", newest), ("cy", newest)],
        [],
    ]
    assert counts == [2, 4, 0]


def test_a_file_without_any_readable_time_lies_where_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["ann,i1,1,", "bob,i1,1,soon"])
    written = datetime(2026, 3, 10, 9, 30, tzinfo=UTC).timestamp()
    os.utime(path, (written, written))
    with reader(path).view("") as view:
        assert [row["dated_at"] for row in rows(view, BOUNDS[1:3])] == [
            "2026-03-10T09:30:00.000000+00:00"
        ] * 2


def test_every_midnight_is_at_the_end_of_a_cell() -> None:
    """In every zone, on every day of the last years; a day's count is then exact."""
    every = days_between(date(2023, 12, 1), date(2026, 12, 31))
    for name in available_timezones():
        zone = ZoneInfo(name)
        offsets = {day_start(day, zone).utcoffset() for day in every[::7]}
        assert all(offset is not None and not offset % CELL for offset in offsets), name


def test_a_bound_within_a_cell_counts_the_cell_on_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}"])
    noon = datetime.fromisoformat(NOON)
    bounds = [noon - timedelta(hours=1), noon + timedelta(minutes=1), noon + timedelta(hours=1)]
    with reader(path).view("") as view:
        assert [each.row_count for each in view.fingerprints(bounds, KNOWN)] == [1, 1]
        assert [len(rows(view, bounds[n : n + 2])) for n in (0, 1)] == [1, 0]


@pytest.mark.parametrize("change", ["replaced", "cut", "removed"])
def test_a_file_that_changes_under_a_view_is_noticed(tmp_path: Path, change: str) -> None:
    path = write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}", f"bob,i1,1,{NOON}"])
    with reader(path).view("") as view:
        before = view.fingerprints(BOUNDS, KNOWN)
        stat = path.stat()
        if change == "replaced":  # with the same size and the same time
            other = write(tmp_path / "b.tmp", [f"ann,i1,0,{NOON}", f"bob,i1,0,{NOON}"])
            os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            other.rename(path)
        elif change == "cut":
            os.truncate(path, 30)
        else:
            path.unlink()
        with pytest.raises(
            SourceUnavailableError, match=r"a\.csv was changed or removed"
        ) as caught:
            list(view.stream(BOUNDS[0], BOUNDS[-1]))
        assert "\n" not in str(caught.value)
        assert view.fingerprints(BOUNDS, KNOWN) == before


def test_a_file_that_comes_while_a_view_is_open_is_not_in_it(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [f"ann,i1,1,{NOON}"])
    source = reader(tmp_path)
    with source.view("") as view:
        write(tmp_path / "b.csv", [f"bob,i1,1,{NOON}"])
        assert len(rows(view)) == 1
    with source.view("") as view:
        assert len(rows(view)) == 2


TEXT = st.one_of(
    st.none(),
    st.sampled_from(["", " ", '"', "a\nb", "a\r\nb", "\0", "1e999", NOON, "infinity", "9999-99"]),
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
)


@examples(15)
@given(answers=st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT), max_size=8))
def test_no_text_is_lost_or_stops_a_view(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[str | None, ...]]
) -> None:
    columns = (*HEADER.split(","), "logged_at")
    path = tmp_path_factory.mktemp("answers") / "a.csv"
    path.write_bytes(csv_bytes([dict(zip(columns, a, strict=True)) for a in answers], columns))
    ever = [datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)]
    with reader(path).view("") as view:
        found = rows(view, ever)
        (fingerprint,) = view.fingerprints(ever, KNOWN)
    kept = ("candidate_id", "item_id", "code", "answered_at", "logged_at")
    expected = [tuple(text or None for text in answer) for answer in answers]
    assert [tuple(row[name] for name in kept) for row in found] == expected
    assert fingerprint.row_count == len(answers)


@examples(150)
@given(
    body=st.one_of(
        st.binary(max_size=80),
        st.text(st.sampled_from('a,"\n\r\t \0é;1'), max_size=60).map(str.encode),
    ),
    has_header=st.booleans(),
    suffix=st.sampled_from([".csv", ".tsv", ".csv.gz", ".parquet"]),
)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, has_header: bool, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("answers") / f"a{suffix}"
    path.write_bytes((HEADER.encode() + b"\n" if has_header else b"") + body)
    message = "a. "
    try:
        with reader(path).view("") as view:
            rows(view)
    except SourceUnavailableError:
        pytest.fail("nothing has changed the file")
    except SourceError as error:
        message = str(error)
    assert "a." in message
    assert len(message.splitlines()) == 1
