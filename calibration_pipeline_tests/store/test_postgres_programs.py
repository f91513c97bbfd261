"""`pg_dump` and `pg_restore` as they are called, and when they are refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.store import postgres_programs
from calibration_pipeline.store.backup import BackupScope, write_backup
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.postgres_programs import PostgresProgramError
from calibration_pipeline.store.restore import restore_backup
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.store.backups import NOW, backup, programs, scope, target

__all__ = ["backup", "programs", "scope", "target"]


def test_the_password_reaches_the_program_and_no_command_line(
    scope: BackupScope, programs: Path, tmp_path: Path
) -> None:
    """The real program behind one that writes down what it was called with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "pg_dump"
    script.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" >> {tmp_path}/arguments\n'
        f'printf "%s\\n" "$PGPASSWORD" >> {tmp_path}/passwords\n'
        f'exec {programs}/pg_dump "$@"\n'
    )
    script.chmod(0o755)
    url = scope.database.url.set(password="hunter2")  # noqa: S106
    engine = open_engine(url.render_as_string(hide_password=False))
    write_backup(
        replace(scope, database=engine, programs=folder),
        tmp_path / "backup",
        created_at=NOW,
        holder="a test",
    )
    engine.dispose()
    assert "hunter2" not in (tmp_path / "arguments").read_text()
    assert "--dbname=postgresql://calibration@" in (tmp_path / "arguments").read_text()
    assert "hunter2\n" in (tmp_path / "passwords").read_text()
    assert "PGPASSWORD" not in os.environ


def test_a_newer_program_is_refused_where_the_server_couldnt_take_its_backup_back(
    programs: Path,
) -> None:
    """Seen: pg_restore 18 sets transaction_timeout, and PostgreSQL 15 refuses."""
    assert postgres_programs._find("pg_dump", programs, 17) == programs / "pg_dump"
    with pytest.raises(PostgresProgramError, match="doesn't go with a server of 15"):
        postgres_programs._find("pg_dump", programs, 15)


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("pg_dump (PostgreSQL) 15.18", "is of PostgreSQL 15, which doesn't go with a server of 18"),
        ("something else", "of an unknown version"),
        (None, "pg_dump is not on the PATH: install the client programs of PostgreSQL 18"),
    ],
)
def test_a_program_that_cant_read_the_server_is_refused_at_once(
    scope: BackupScope,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    reason: str,
) -> None:
    if version is not None:
        (tmp_path / "pg_dump").write_text(f"#!/bin/sh\necho '{version}'\n")
        (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PostgresProgramError, match=reason.replace("(", r"\(")):
        write_backup(
            replace(scope, programs=None), tmp_path / "backup", created_at=NOW, holder="a test"
        )
    assert not (tmp_path / "backup").exists()


def test_a_failing_program_is_quoted_without_rows(
    backup: Path, target: BackupScope, embedded_server: EmbeddedServer
) -> None:
    with fresh_database(embedded_server) as url:
        engine = open_engine(url)
        restore_backup(backup, replace(target, database=engine))
        with pytest.raises(PostgresProgramError) as failed:
            postgres_programs.restore(engine, backup / "calibration.dump", programs=target.programs)
        engine.dispose()
    assert isinstance(failed.value, CalibrationError)
    assert 'schema "calibration" already exists' in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1
