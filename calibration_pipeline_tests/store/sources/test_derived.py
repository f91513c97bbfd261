"""A source whose sessions have to be found: what one view of it says of its days."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import ItemKey
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.extraction import changed_days, extract_day
from calibration_pipeline.store.late_answers import days_behind, record_search, start_search
from calibration_pipeline.store.sources.base import Fingerprint, ResponseSource
from calibration_pipeline.store.sources.choosing import choose_source
from calibration_pipeline.store.sources.configuration import SourceConfiguration
from calibration_pipeline.store.sources.sql.tables_view import TableView
from calibration_pipeline_tests.store.answers import DAY, KEY, ZURICH
from calibration_pipeline_tests.store.sources.source_database import execute, reader_url

ONE_DAY = timedelta(days=1)
TABLE = (
    "DROP TABLE IF EXISTS student_attempts",
    "CREATE TABLE student_attempts (student_id text, item_id text, correct bool,"
    " attempted_at timestamptz, written_at timestamptz DEFAULT now())",
)


def answered(at: str, item: str = "i1", written_at: str | None = None) -> str:
    logged = f"'{written_at}'" if written_at else f"'{at}'"
    return f"INSERT INTO student_attempts VALUES ('ann', '{item}', true, '{at}', {logged})"  # noqa: S608


@pytest.fixture
def source(engine: sa.Engine, bank_csv: Path, source_url: str, tmp_path: Path) -> ResponseSource:
    import_bank(engine, bank_csv, "3PL")
    execute(source_url, *TABLE)
    configuration = SourceConfiguration(
        "student_attempts",
        database_url=reader_url(source_url),
        names={"student_attempts.logged_at": "written_at"},
    )
    return choose_source(configuration, tmp_path / "home")


@contextmanager
def fingerprints_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often a view has asked its source for fingerprints, one entry for each view."""
    asked: list[int] = []
    open_view, ask = TableView.__init__, TableView.fingerprints

    def opening(self: TableView, *arguments: object, **more: object) -> None:
        asked.append(0)
        open_view(self, *arguments, **more)  # type: ignore[arg-type]

    def asking(
        self: TableView, bounds: Sequence[datetime], known: Collection[ItemKey]
    ) -> list[Fingerprint]:
        asked[-1] += 1
        return ask(self, bounds, known)

    with monkeypatch.context() as patch:
        patch.setattr(TableView, "__init__", opening)
        patch.setattr(TableView, "fingerprints", asking)
        yield asked


def test_an_extraction_takes_one_fingerprint_of_what_it_streams(
    engine: sa.Engine,
    source: ResponseSource,
    source_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A row that comes while the day is streamed is in neither, and is found afterwards."""
    archive = Archive(tmp_path / "archive")
    execute(source_url, answered("2026-03-10 10:00Z"))
    extract_day(engine, archive, DAY, ZURICH, KEY, source=source)
    execute(source_url, answered("2026-03-10 10:01Z", "i2"))
    stream = TableView.stream

    def interrupted(self: TableView, *bounds: datetime) -> Iterator[object]:
        yield from stream(self, *bounds)
        execute(source_url, answered("2026-03-10 10:02Z", "i3"))

    with monkeypatch.context() as patch, fingerprints_read(monkeypatch) as asked:
        patch.setattr(TableView, "stream", interrupted)
        revision = extract_day(engine, archive, DAY, ZURICH, KEY, source=source)
    assert revision.response_count == 2
    assert asked == [1, 1]  # to see whether the day has changed, and beside its rows
    assert changed_days(engine, archive, DAY, DAY, ZURICH, source) == [DAY]
    assert extract_day(engine, archive, DAY, ZURICH, KEY, source=source).response_count == 3


def test_an_answer_that_came_late_may_be_of_a_session_that_began_the_day_before(
    engine: sa.Engine, source: ResponseSource, source_url: str, tmp_path: Path
) -> None:
    """It was given after midnight: the day of its session is behind, and so may be its own."""
    archive = Archive(tmp_path / "archive")
    execute(source_url, answered("2026-03-10 23:50+01"))
    for day in (DAY - ONE_DAY, DAY, DAY + ONE_DAY):
        extract_day(engine, archive, day, ZURICH, KEY, source=source)
    record_search(engine, start_search(engine))
    late = datetime.now(UTC) + timedelta(hours=1)
    execute(source_url, answered("2026-03-11 00:05+01", "i2", written_at=late.isoformat()))
    with engine.connect() as connection, source.view(connection, ZURICH) as view:
        arrived = view.late_arrivals(DAY - ONE_DAY, DAY + ONE_DAY, None)
        of_the_day_alone = view.late_arrivals(DAY, DAY, None)
        behind = days_behind(connection, view)
    assert arrived == {DAY: late, DAY + ONE_DAY: late}
    assert of_the_day_alone == {DAY: late}
    assert behind == [DAY, DAY + ONE_DAY]
    assert extract_day(engine, archive, DAY, ZURICH, KEY, source=source).response_count == 2
    assert (
        extract_day(engine, archive, DAY + ONE_DAY, ZURICH, KEY, source=source).response_count == 0
    )
