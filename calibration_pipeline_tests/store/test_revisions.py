"""The record of archived days: what is read, what is behind, what was lost."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import NightBlockedError
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.extraction import changed_days, newest_revisions, read_day
from calibration_pipeline_tests.store.answers import DAY, NOON, ZURICH, Extract, log, session


def test_newest_revisions_are_by_day(engine: sa.Engine, extract: Extract) -> None:
    extract()
    log(engine, session("a", NOON))
    second = extract()
    absent = DAY + timedelta(days=1)
    assert newest_revisions(engine, [DAY, absent]) == {DAY: second}
    assert newest_revisions(engine, []) == {}


def test_a_day_that_was_not_extracted_is_named(engine: sa.Engine, archive: Archive) -> None:
    with pytest.raises(NightBlockedError, match="2026-03-10 have not been extracted:"):
        read_day(engine, archive, DAY)
    with pytest.raises(NightBlockedError, match="as revision 4"):
        read_day(engine, archive, DAY, 4)


def test_changed_days_are_those_whose_archive_is_behind(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    days = [DAY + timedelta(days=n) for n in range(3)]
    log(engine, session("a", NOON))
    assert (
        changed_days(engine, archive, days[0], days[2], ZURICH) == days[:1]
    )  # the others have no answers
    for day in days:
        extract(day)
    assert changed_days(engine, archive, days[0], days[2], ZURICH) == []
    log(engine, session("late", "2026-03-11T23:59:59+01:00"))
    assert changed_days(engine, archive, days[0], days[2], ZURICH) == [days[1]]


def test_a_lost_file_is_written_again(
    engine: sa.Engine, archive: Archive, extract: Extract, tmp_path: Path
) -> None:
    log(engine, session("a", NOON))
    first = extract()
    (file,) = (tmp_path / "archive").rglob("*.parquet")
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(NightBlockedError, match=r"can't be read.*backup"):
        read_day(engine, archive, DAY)
    assert extract() == first
    assert file.read_bytes() == content


def test_a_file_without_a_record_is_never_read(
    engine: sa.Engine, archive: Archive, extract: Extract
) -> None:
    log(engine, session("a", NOON))
    with archive.write_day(DAY) as writer:
        orphan, _ = writer.commit(1)  # and then its process died
    assert newest_revisions(engine, [DAY]) == {}
    assert extract().revision == 1
    assert len(read_day(engine, archive, DAY).item) == 3
    assert archive.read(orphan).num_rows == 0
