"""From settings to a database: the one that is named, or the embedded one."""

from pathlib import Path

import pytest

from calibration_pipeline.errors import DatabaseUnavailableError, SchemaRevisionError
from calibration_pipeline.store.connection import open_database
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.schema import migrate


def test_the_operators_database_is_used_and_no_server_started(
    migrated_url: str, tmp_path: Path
) -> None:
    database = open_database(migrated_url, tmp_path / "home")
    with database.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM calibration.runs").scalar() == 0
    database.dispose()
    assert not (tmp_path / "home").exists()


def test_a_database_without_our_schema_is_refused_unless_it_is_to_get_it(
    database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaRevisionError, match="run `calibrate migrate`"):
        open_database(database_url, tmp_path)
    database = open_database(database_url, tmp_path, check_revision=False)
    migrate(database)
    database.dispose()
    open_database(database_url, tmp_path).dispose()


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1/exams") as refusal:
        open_database("postgresql://ada:secret@127.0.0.1:1/exams", tmp_path)
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_without_a_url_the_embedded_server_is_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    server = EmbeddedServer(home)
    try:
        database = open_database(None, home, check_revision=False)
        with database.connect() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        database.dispose()
    finally:
        server.remove()
