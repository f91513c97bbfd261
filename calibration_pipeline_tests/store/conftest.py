"""A migrated database per test, copied from a template, with a bank and a run to start from."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.records import DayRevision
from calibration_pipeline.store import runs
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.extraction import extract_day
from calibration_pipeline.store.schema import migrate
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.store.answers import DAY, KEY, ZURICH, Extract


@pytest.fixture(scope="session")
def migrated_template(embedded_server: EmbeddedServer) -> Iterator[str]:
    with fresh_database(embedded_server) as url:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url


@pytest.fixture
def migrated_url(embedded_server: EmbeddedServer, migrated_template: str) -> Iterator[str]:
    with fresh_database(embedded_server, template_url=migrated_template) as url:
        yield url


@pytest.fixture
def engine(migrated_url: str) -> Iterator[sa.Engine]:
    engine = open_engine(migrated_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def untouched_engine(
    embedded_server: EmbeddedServer, migrated_template: str
) -> Iterator[sa.Engine]:
    """One migrated database for all tests of what is refused: none of them stores anything."""
    with fresh_database(embedded_server, template_url=migrated_template) as url:
        engine = open_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def run_id(engine: sa.Engine) -> str:
    return runs.open_run(
        engine,
        partition=date(2026, 3, 1),
        triggered_by="a test",
        configuration={"window_days": 30},
        package_versions={"numpy": "2"},
    )


@pytest.fixture
def bank_csv(tmp_path: Path) -> Path:
    path = tmp_path / "bank.csv"
    path.write_text(
        "item_id,discrimination,difficulty,guessing,is_anchor,author_difficulty\n"
        "i2,1.25,-0.5,0.2,true,-0.4\n"
        "i1,,,,false,0.5\n"
        "i10,0.8,1.5,0.25,true,\n"
        "i3,1.0,0.25,0.2,false,\n"
    )
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def extract(engine: sa.Engine, archive: Archive, bank_csv: Path) -> Extract:
    """Extract a day of the Zurich calendar, with the items of `bank_csv` known."""
    import_bank(engine, bank_csv, "3PL")

    def extract(day: date = DAY, **options: Any) -> DayRevision:
        return extract_day(engine, archive, day, ZURICH, options.pop("key", KEY), **options)

    return extract
