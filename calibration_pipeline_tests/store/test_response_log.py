"""Imports of answers: the whole file, once, or nothing and one line that says why."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.response_log import ResponseImport, import_responses
from calibration_pipeline.store.tables import import_batches, response_log
from calibration_pipeline_tests.store.answers import moment, write_csv

HEADER = "session_id,candidate_id,item_id,is_correct,answered_at"
GOOD = (
    f"{HEADER}\n"
    "s1,ann,i1,1,2026-03-10T10:00:30+01:00\n"
    "s1,ann,i2,0,2026-03-10T10:00:00+01:00\n"
    "s2,bob,i1,0,2026-03-10 09:30:00Z\n"
)


def _import(engine: sa.Engine, path: Path) -> ResponseImport:
    return import_responses(engine, path, lambda done, total: None)


@pytest.fixture(autouse=True)
def _bank(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")


def _rows(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(sa.select(response_log).order_by(response_log.c.response_id))
        )


def test_a_file_is_appended_and_sessions_start_at_their_first_answer(
    engine: sa.Engine, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "a.csv", GOOD)
    assert _import(engine, path) == ResponseImport(3, 2, is_repeat=False)
    rows = _rows(engine)
    assert {row.session_id: row.session_started_at for row in rows} == {
        "s1": moment("2026-03-10T09:00:00+00:00"),
        "s2": moment("2026-03-10T09:30:00+00:00"),
    }
    assert sorted((r.session_id, r.candidate_id, r.item_id, r.score) for r in rows) == [
        ("s1", "ann", "i1", 1),
        ("s1", "ann", "i2", 0),
        ("s2", "bob", "i1", 0),
    ]
    assert {row.content_version for row in rows} == {1}


def test_the_same_file_twice_says_so_and_does_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    _import(engine, write_csv(tmp_path / "a.csv", GOOD))
    again = _import(engine, write_csv(tmp_path / "renamed.csv", GOOD))
    assert again == ResponseImport(3, 2, is_repeat=True)
    assert len(_rows(engine)) == 3


def test_parquet_gives_the_same_rows(engine: sa.Engine, tmp_path: Path) -> None:
    _import(engine, write_csv(tmp_path / "a.csv", GOOD))
    expected = [row[1:-1] for row in _rows(engine)]
    with engine.begin() as connection:
        connection.execute(sa.delete(response_log))
    times = ["2026-03-10T09:00:30", "2026-03-10T09:00:00", "2026-03-10T09:30:00"]
    table = pa.table(
        {
            "person_id": ["ann", "ann", "bob"],
            "session_id": pa.array(["s1", "s1", "s2"]).dictionary_encode(),
            "item_id": ["i1", "i2", "i1"],
            "correct": [True, False, False],
            "answered_at": pa.array(
                [moment(f"{t}+00:00") for t in times], pa.timestamp("ns", "UTC")
            ),
            "unrelated": [1, 2, 3],
        }
    )
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    assert _import(engine, tmp_path / "a.parquet").responses == 3
    assert [row[1:-1] for row in _rows(engine)] == expected


def test_every_optional_column_is_stored(engine: sa.Engine, tmp_path: Path) -> None:
    values = {
        "content_version": "1",
        "session_started_at": "2026-03-10T09:59:00+01:00",
        "position": "1",
        "time_on_task_ms": "1500",
        "option_selected": '"B, or ""C"""',
        "theta_at_presentation": "-0.333333333333333314829616256247",
        "population_group": "north",
        "engine_version": "4.2",
        "outcome": "invalid",
    }
    text = f"{HEADER},{','.join(values)}\ns1,ann,i1,1,2026-03-10T10:00:00+01:00,"
    _import(engine, write_csv(tmp_path / "a.csv", text + ",".join(values.values()) + "\n"))
    (row,) = _rows(engine)
    assert row.session_started_at == moment("2026-03-10T08:59:00+00:00")
    assert (row.position, row.time_on_task_ms, row.option_selected) == (1, 1500, 'B, or "C"')
    assert row.theta_at_presentation == -1 / 3
    assert (row.population_group, row.engine_version) == ("north", "4.2")
    assert row.outcome == "invalid"


@pytest.mark.parametrize("as_parquet", [False, True])
def test_an_item_without_an_answer_needs_no_score(
    engine: sa.Engine, tmp_path: Path, as_parquet: bool
) -> None:
    outcomes = ["scored", None, "omitted", "not_reached", "invalid"]
    table = pa.table(
        {
            "session_id": [f"s{n}" for n in range(5)],
            "candidate_id": ["ann"] * 5,
            "item_id": ["i1"] * 5,
            "is_correct": [1, 0, None, None, None],
            "answered_at": pa.array([0] * 5, pa.timestamp("us", "UTC")),
            "outcome": pa.array(outcomes).dictionary_encode(),
        }
    )
    path = tmp_path / ("a.parquet" if as_parquet else "a.csv")
    if as_parquet:
        pa.parquet.write_table(table, path)
    else:
        pa.csv.write_csv(table.set_column(5, "outcome", pa.array(outcomes)), path)
    _import(engine, path)
    stored = sorted(_rows(engine), key=lambda row: row.session_id)
    assert [row.score for row in stored] == [1, 0, None, None, None]
    assert [row.outcome for row in stored] == outcomes


def test_a_session_in_two_files_keeps_its_start(engine: sa.Engine, tmp_path: Path) -> None:
    _import(engine, write_csv(tmp_path / "a.csv", f"{HEADER}\ns1,ann,i1,1,2026-03-10T23:59:00Z\n"))
    _import(engine, write_csv(tmp_path / "b.csv", f"{HEADER}\ns1,ann,i2,1,2026-03-11T00:01:00Z\n"))
    assert {row.session_started_at for row in _rows(engine)} == {moment("2026-03-10T23:59:00Z")}


def test_answers_that_are_in_the_log_already_are_refused_unless_they_are_wanted(
    engine: sa.Engine, tmp_path: Path
) -> None:
    _import(engine, write_csv(tmp_path / "a.csv", GOOD))
    more = "s3,eve,i1,1,2026-03-09T10:00:00Z\ns2,bob,i2,1,2026-03-10T09:31:00Z\n"
    overlap = write_csv(tmp_path / "b.csv", f"{HEADER}\n{more}{GOOD.partition(chr(10))[2]}")
    with pytest.raises(BadInputError, match=r"row 3: .*already \(3 such rows\).*--force"):
        _import(engine, overlap)
    assert len(_rows(engine)) == 3
    added = import_responses(engine, overlap, lambda done, total: None, repeat_answers=True)
    assert added.responses == 5
    assert len(_rows(engine)) == 8


def test_an_answer_without_a_version_is_to_the_newest(engine: sa.Engine, tmp_path: Path) -> None:
    edited = "item_id,discrimination,difficulty,guessing,content_version\ni1,1,1,0.1,2\n"
    import_bank(engine, write_csv(tmp_path / "edited.csv", edited), "3PL")
    _import(engine, write_csv(tmp_path / "a.csv", GOOD))
    assert {(row.item_id, row.content_version) for row in _rows(engine)} == {("i1", 2), ("i2", 1)}


def test_progress_reaches_the_end(engine: sa.Engine, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_csv(tmp_path / "a.csv", GOOD)
    import_responses(engine, path, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (path.stat().st_size,) * 2


def _bad(row: str, header: str = HEADER) -> str:
    return GOOD.replace(HEADER, header) + row + "\n" if header == HEADER else f"{header}\n{row}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_bad("s3,eve,nope,1,2026-03-10T10:00:00Z"), "row 4: the bank has no item 'nope' .1 rows"),
        (_bad("s3,eve,i1,2,2026-03-10T10:00:00Z"), "row 4: is_correct is neither 0 nor 1 .1 such"),
        (_bad("s3,eve,i1,,2026-03-10T10:00:00Z"), "row 4: is_correct is neither 0 nor 1"),
        (_bad("s3,eve,i1,0.5,2026-03-10T10:00:00Z"), "row 4: is_correct is neither 0 nor 1"),
        (_bad("s3,eve,i1,1,2026-03-10T10:00:00"), "row 4: answered_at has no time zone .1 such"),
        (_bad("s3,eve,i1,1,2026-03-10"), "row 4: answered_at "),
        (_bad("s3,eve,i1,1,yesterdayZ"), "row 4: answered_at is not a time .1 such"),
        (_bad("s3,eve,i1,1,"), "row 4: answered_at is blank"),
        (_bad(",eve,i1,1,2026-03-10T10:00:00Z"), "row 4: session_id is blank"),
        (_bad("s1,eve,i3,1,2026-03-10T10:00:00Z"), "row 1: .*more than one start or candidate"),
        (_bad("s3,eve,i1,1"), "can't be read"),
        ("session_id,candidate_id,item_id,answered_at\n", "lacks the column is_correct"),
        (
            _bad("s,a,i1,1,2026-03-10T10:00:00Z,first", f"{HEADER},position"),
            "row 1: position is not a whole number",
        ),
        (
            _bad(
                "s,a,i1,1,2026-03-10T10:00:00Z,2026-03-10T10:00:00", f"{HEADER},session_started_at"
            ),
            "row 1: session_started_at has no time zone",
        ),
        (
            _bad("s,a,i1,1,2026-03-10T10:00:00Z,9", f"{HEADER},content_version"),
            "row 1: the bank has no item 'i1'",
        ),
        ("", "can't be read"),
        (
            _bad("s,a,i1,,2026-03-10T10:00:00Z,skipped", f"{HEADER},outcome"),
            "row 1: .*such rows",
        ),
        (
            _bad("s,a,i1,1,2026-03-10T10:00:00Z,skipped", f"{HEADER},outcome"),
            "row 1: outcome is none of scored, omitted, not_reached, invalid",
        ),
        (
            _bad("s,a,i1,,2026-03-10T10:00:00Z,scored", f"{HEADER},outcome"),
            "row 1: is_correct is neither 0 nor 1",
        ),
        (
            _bad("s,a,i1,7,2026-03-10T10:00:00Z,omitted", f"{HEADER},outcome"),
            "row 1: is_correct is neither 0 nor 1",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_stored(
    engine: sa.Engine, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        _import(engine, write_csv(tmp_path / "a.csv", text))
    assert "\n" not in str(caught.value)
    assert "eve" not in str(caught.value)  # a candidate's id
    with engine.connect() as connection:
        assert connection.execute(sa.select(import_batches)).all() == []
    assert _rows(engine) == []


def test_all_bad_rows_are_counted_across_batches(engine: sa.Engine, tmp_path: Path) -> None:
    count = 300_000
    table = pa.table(
        {
            "session_id": pa.array([f"s{k}" for k in range(count)]),
            "candidate_id": pa.array(["ann"] * count),
            "item_id": pa.array(["i1"] * count),
            "is_correct": pa.array([7 if k % 100_000 == 99_999 else 1 for k in range(count)]),
            "answered_at": pa.array([0] * count, pa.timestamp("us", "UTC")),
        }
    )
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match=r"row 100000: is_correct .*\(3 such rows\)"):
        _import(engine, tmp_path / "a.parquet")


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.date32()])
def test_a_parquet_column_without_a_time_zone_is_refused(
    engine: sa.Engine, tmp_path: Path, kind: pa.DataType
) -> None:
    names = HEADER.split(",")
    table = pa.table([["s"], ["a"], ["i1"], [1], pa.array([0], kind)], names=names)
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInputError, match="answered_at has no time zone"):
        _import(engine, tmp_path / "a.parquet")


def test_a_start_that_contradicts_the_log_is_refused(engine: sa.Engine, tmp_path: Path) -> None:
    _import(engine, write_csv(tmp_path / "a.csv", GOOD))
    row = "s1,ann,i3,1,2026-03-10T10:00:00Z,2026-03-10T09:59:00Z"
    path = write_csv(tmp_path / "b.csv", f"{HEADER},session_started_at\n{row}\n")
    with pytest.raises(BadInputError, match="another start than in the log"):
        _import(engine, path)


def test_unreadable_files_are_refused(engine: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "garbage.parquet").write_bytes(b"no parquet")
    (tmp_path / "latin.csv").write_bytes(GOOD.replace("ann", "änn").encode("latin-1"))
    for name in ("missing.csv", "garbage.parquet", "latin.csv"):
        complaint = "can't be read" if (tmp_path / name).exists() else "doesn't exist"
        with pytest.raises(BadInputError, match=f"{name} {complaint}"):
            _import(engine, tmp_path / name)


def test_text_that_postgresql_cannot_hold_is_refused(engine: sa.Engine, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", GOOD.replace("ann", "a\0n"))
    with pytest.raises(BadInputError, match=r"can't store|can't be read"):
        _import(engine, path)
