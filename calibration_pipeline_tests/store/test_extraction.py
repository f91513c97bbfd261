"""Extraction: once per state of the source, by local day, without anybody's id."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import DiskFullError, LockLostError
from calibration_pipeline.store import revisions
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.extraction import (
    changed_days,
    extract_day,
    read_day,
)
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.pseudonyms import pseudonyms_of
from calibration_pipeline.store.tables import archive_revisions, candidate_map
from calibration_pipeline_tests.store.answers import (
    DAY,
    KEY,
    NOON,
    ZURICH,
    Extract,
    log,
    moment,
    session,
)

"""Schema and statistics of a file, whatever its rows."""


def test_a_day_comes_back_in_canonical_order(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    later = session("a", "2026-03-10T13:00:00+01:00", "i10 i1")
    sooner = session("b", NOON, "i3 i2 i1")
    log(engine, [*later, *sooner[::-1]])
    revision = extract()
    assert (revision.revision, revision.response_count, revision.session_count) == (1, 5, 2)
    assert revision.quarantine_counts == {}
    day = read_day(engine, archive, DAY)
    assert day.revision == revision
    assert day.keys == (("i1", 1), ("i10", 1), ("i2", 1), ("i3", 1))
    assert day.session_offsets.tolist() == [0, 3, 5]
    assert day.item.tolist() == [3, 2, 0, 1, 0]
    assert day.correct.tolist() == [0, 1, 0, 0, 1]
    assert (day.item.dtype, day.correct.dtype) == (np.int32, np.uint8)
    assert day.session_pseudonyms.tobytes() == b"".join(pseudonyms_of(KEY, "session", "ba"))
    people = ["person of b", "person of a"]
    assert day.candidate_pseudonyms.tobytes() == b"".join(pseudonyms_of(KEY, "candidate", people))


def test_the_map_leads_back_to_the_source(engine: sa.Engine, extract: Extract) -> None:
    log(engine, session("a", NOON, candidate="ann"))
    extract()
    with engine.connect() as connection:
        (row,) = connection.execute(sa.select(candidate_map))
    assert (row.pseudonym, row.candidate_id) == (pseudonyms_of(KEY, "candidate", ["ann"])[0], "ann")


def test_the_map_is_given_whom_it_lacks_and_keeps_the_others(
    engine: sa.Engine, extract: Extract
) -> None:
    log(engine, session("a", NOON, candidate="ann") + session("b", NOON, candidate="bob"))
    extract()
    first = sa.select(candidate_map.c.candidate_id, candidate_map.c.recorded_at)
    with engine.connect() as connection:
        before = {tuple(row) for row in connection.execute(first)}
    log(engine, session("c", NOON, candidate="ann") + session("d", NOON, candidate="cid"))
    extract()
    with engine.connect() as connection:
        after = {tuple(row) for row in connection.execute(first)}
    assert before < after
    assert {name for name, _ in after - before} == {"cid"}


def test_no_id_of_a_person_is_archived(
    engine: sa.Engine, archive: Archive, extract: Extract, tmp_path: Path
) -> None:
    log(engine, session("SESSION-7", NOON, candidate="ANN") + session("BAD", NOON, "i1 nope"))
    extract()
    for path in (tmp_path / "archive").rglob("*.parquet"):
        table = archive.read(str(path.relative_to(tmp_path / "archive")))
        assert not {"session_id", "candidate_id"} & set(table.column_names)
        content = path.read_bytes()
        assert not any(name in content for name in (b"SESSION-7", b"ANN", b"BAD"))


def test_a_day_without_answers_is_an_empty_revision(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    revision = extract()
    assert (revision.revision, revision.response_count, revision.session_count) == (1, 0, 0)
    day = read_day(engine, archive, DAY)
    assert (day.keys, day.session_offsets.tolist(), day.item.shape) == ((), [0], (0,))


def test_an_unchanged_day_is_not_extracted_again(engine: sa.Engine, extract: Extract) -> None:
    log(engine, session("a", NOON))
    first = extract()
    assert extract() == first
    assert extract(refresh=True) == first
    with engine.connect() as connection:
        assert len(connection.execute(sa.select(archive_revisions)).all()) == 1


def test_a_late_answer_gives_a_second_revision_beside_the_first(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    first = extract()
    log(engine, session("late", NOON, "i1 i10"))
    second = extract()
    assert (second.revision, second.response_count) == (2, 5)
    assert read_day(engine, archive, DAY).revision == second
    assert read_day(engine, archive, DAY, 1).revision == first
    assert len(read_day(engine, archive, DAY, 1).item) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE calibration.response_log SET score = 1 - score WHERE item_id = 'i1'",
        "DELETE FROM calibration.response_log WHERE item_id = 'i3'",
    ],
)
def test_a_correction_that_keeps_the_times_is_noticed(
    engine: sa.Engine, extract: Extract, statement: str
) -> None:
    log(engine, session("a", NOON))
    extract()
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert extract().revision == 2


def test_a_source_that_gives_the_same_again_makes_no_revision(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    first = extract()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE calibration.response_log SET ingested_at = now()"))
        connection.execute(
            sa.text("UPDATE calibration.response_log SET ingested_at = '2027-01-02'")
        )
    assert changed_days(engine, archive, DAY, DAY, ZURICH) == [DAY]
    assert extract() == first
    assert changed_days(engine, archive, DAY, DAY, ZURICH) == []


def test_a_session_across_midnight_belongs_to_the_day_it_started(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", "2026-03-10T23:59:45+01:00"))
    assert extract(DAY).response_count == 3
    assert extract(DAY + timedelta(days=1)).response_count == 0


@pytest.mark.parametrize(
    ("day", "first", "last", "hours"),
    [
        (date(2026, 3, 29), "2026-03-28T23:00:00+00:00", "2026-03-29T21:59:59+00:00", 23),
        (date(2026, 10, 25), "2026-10-24T22:00:00+00:00", "2026-10-25T22:59:59+00:00", 25),
    ],
)
def test_days_on_which_clocks_change(
    engine: sa.Engine,
    archive: Archive,
    extract: Extract,
    day: date,
    first: str,
    last: str,
    hours: int,
) -> None:
    assert moment(last) - moment(first) == timedelta(hours=hours, seconds=-1)
    second = timedelta(seconds=1)
    starts = [moment(first) - second, moment(first), moment(last), moment(last) + second]
    for number, start in enumerate(starts):
        log(engine, session(f"s{number}", start.isoformat(), "i1"))
    counts = [extract(day + timedelta(days=n)).session_count for n in (-1, 0, 1)]
    assert counts == [1, 2, 1]


def test_machines_with_different_keys_agree_on_the_digest(
    engine: sa.Engine, extract: Extract, tmp_path: Path
) -> None:
    same_time = [session(name, NOON, candidate="ann") for name in ("c", "a", "b")]
    log(engine, [row for rows in same_time for row in rows])
    here = extract()
    there = extract_day(engine, Archive(tmp_path / "there"), DAY, ZURICH, b"x" * 32, refresh=True)
    assert here.digest == there.digest


def test_bad_rows_are_left_out_with_their_sessions_and_counted(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    good = session("good", NOON)
    log(engine, [*good, good[0]])
    log(engine, session("unknown", NOON, "i1 nope"))
    log(engine, session("version", NOON, "i1", content_version=7))
    log(engine, session("null", NOON, "i1", score=None))
    log(engine, session("two", NOON, "i1", score=2))
    log(engine, session("future", NOON, "i1", answered_at=moment("2027-01-01T00:05:01+00:00")))
    log(engine, session("skewed", NOON, "i1", answered_at=moment("2027-01-01T00:05:00+00:00")))
    two_people = session("two people", NOON, "i1 i2")
    two_people[1]["candidate_id"] = "somebody else"
    log(engine, two_people)
    two_starts = session("two starts", NOON, "i1 i2")
    two_starts[1]["session_started_at"] += timedelta(hours=1)
    log(engine, two_starts)
    revision = extract()
    assert revision.quarantine_counts == {
        "duplicate": 1,
        "future_timestamp": 1,
        "non_binary_score": 1,
        "null_score": 1,
        "session_incomplete": 1,
        "session_inconsistent": 4,
        "unknown_item": 2,
    }
    assert (revision.session_count, revision.response_count) == (2, 4)
    with engine.connect() as connection:
        name = connection.scalar(sa.select(archive_revisions.c.quarantine_file_name))
    assert archive.read(name).num_rows == sum(revision.quarantine_counts.values())


def test_an_item_imported_later_brings_its_answers_back(
    engine: sa.Engine, extract: Extract, tmp_path: Path
) -> None:
    log(engine, session("a", NOON, "i1 new"))
    assert extract().response_count == 0
    (tmp_path / "new.csv").write_text("item_id,discrimination,difficulty,guessing\nnew,,,\n")
    import_bank(engine, tmp_path / "new.csv", "3PL")
    revision = extract()
    assert (revision.revision, revision.response_count) == (2, 2)


def test_every_column_of_the_log_is_archived(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    known = {
        "time_on_task_ms": 1234,
        "option_selected": 'a "quoted", text\nin two lines',
        "theta_at_presentation": -1 / 3,
        "population_group": "",
        "engine_version": "4.2",
    }
    log(engine, session("a", NOON, "i1", **known))
    extract()
    with engine.connect() as connection:
        name = connection.scalar(sa.select(archive_revisions.c.file_name))
    (row,) = archive.read(name).to_pylist()
    assert {column: row[column] for column in known} == known
    assert (row["position"], row["answered_at"]) == (1, moment(NOON))


def test_an_extraction_without_room_writes_and_records_nothing(
    engine: sa.Engine, extract: Extract, tmp_path: Path
) -> None:
    log(engine, session("a", NOON))
    full = Archive(tmp_path / "full", minimum_free_bytes=2**60)
    with pytest.raises(DiskFullError, match="nothing was recorded"):
        extract_day(engine, full, DAY, ZURICH, KEY)
    assert not (tmp_path / "full").exists()
    with engine.connect() as connection:
        assert connection.execute(sa.select(archive_revisions)).all() == []
    assert extract().response_count == 3


def test_a_file_that_a_killed_extraction_left_is_written_over(
    engine: sa.Engine, archive: Archive, extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the file had its name and the database had no row yet."""

    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    log(engine, session("a", NOON))
    with monkeypatch.context() as patched:
        patched.setattr(revisions.sa, "insert", killed)
        with pytest.raises(KilledError):
            extract()
    (orphan,) = archive.location.path("responses").rglob("*.parquet")
    orphan.write_bytes(b"half")
    assert extract().revision == 1
    assert list(archive.location.path("responses").rglob("*.parquet")) == [orphan]
    assert read_day(engine, archive, DAY).revision.response_count == 3


def test_an_extraction_that_lost_the_lock_records_nothing(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    with CalibrationLock(engine, "slow") as lock:
        with engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE calibration.publication_fence SET token = token + 1")
            )
        with pytest.raises(LockLostError):
            extract(fence_token=lock.token)
    assert list(archive.location.path("responses").rglob("*.parquet")) == []
