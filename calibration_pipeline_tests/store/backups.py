"""A home with answers and a version, its backup, and an empty place to restore to.

A test module imports the fixtures that its tests need.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.store import states
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.backup import BackupScope, write_backup
from calibration_pipeline.store.backup_files import MANIFEST
from calibration_pipeline.store.embedded_account import server_account
from calibration_pipeline.store.embedded_binaries import program_folder
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.schema import database_revision
from calibration_pipeline.store.suppression import remember
from calibration_pipeline_tests.store.answers import DAY, KEY, Extract, log, session
from calibration_pipeline_tests.store.examples import NIGHT, state
from calibration_pipeline_tests.store.publishing import published

NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)
DAYS = tuple(DAY + timedelta(days=n) for n in range(3))


@pytest.fixture(scope="session")
def programs() -> Path:
    """Folder of the PostgreSQL programs that go with the embedded server."""
    return program_folder(server_account())


@pytest.fixture
def scope(
    engine: sa.Engine, archive: Archive, extract: Extract, run_id: str, programs: Path
) -> BackupScope:
    """Three days of answers, one of them with a quarantine, and a version."""
    for number, day in enumerate(DAYS):
        log(engine, session(f"s{number}", f"{day}T12:00:00+01:00"))
    log(engine, session("s9", f"{DAYS[0]}T13:00:00+01:00", items="i1 unknown i2"))
    for day in DAYS:
        extract(day)
    states.write_state(engine, state(NIGHT, 1, n_items=2), run_id)
    published(engine, run_id)
    root = archive.location.path("")
    forgotten = root.with_name("forgotten")
    root.with_name("pseudonym.key").write_bytes(KEY)
    remember(forgotten, [b"a" * 16], erase=False)
    remember(forgotten, [b"e" * 16], erase=True)
    return BackupScope(engine, archive, forgotten, programs=programs)


@pytest.fixture
def backup(scope: BackupScope, tmp_path: Path) -> Path:
    """A backup that the test may damage."""
    write_backup(scope, tmp_path / "backup", created_at=NOW, holder="a test")
    return tmp_path / "backup"


@pytest.fixture
def target(database_url: str, programs: Path, tmp_path: Path) -> Iterator[BackupScope]:
    """An empty database and a home without an archive."""
    engine = open_engine(database_url)
    home = tmp_path / "new"
    yield BackupScope(engine, Archive(home / "archive"), home / "forgotten", programs=programs)
    engine.dispose()


def rewrite(backup: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a backup's manifest says."""
    document = json.loads((backup / MANIFEST).read_text())
    change(document)
    (backup / MANIFEST).write_text(json.dumps(document))


def is_untouched(target: BackupScope) -> bool:
    home = target.archive.location.root.parent
    return database_revision(target.database) is None and not (
        home.exists() and list(home.iterdir())
    )


def row_counts(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        names = connection.scalars(
            sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'calibration'")
        ).all()
        count = "SELECT count(*) FROM calibration."
        return {name: connection.scalar(sa.text(count + name)) or 0 for name in names}
