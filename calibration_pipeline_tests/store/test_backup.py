"""Backups: whole or not there, of one moment, and for their owner alone."""

import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError, LockHeldError, LockLostError
from calibration_pipeline.store import postgres_programs
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.backup import BackupScope, archived_files, write_backup
from calibration_pipeline.store.backup_files import (
    MANIFEST,
    describe,
    read_manifest,
)
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline_tests.store.backups import NOW, backup, programs, scope
from calibration_pipeline_tests.store.test_lock import END_THE_HOLDER

__all__ = ["backup", "programs", "scope"]


def test_a_backup_is_its_owners_alone_and_holds_no_key(scope: BackupScope, backup: Path) -> None:
    for path in (backup, *backup.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    key = (scope.archive.location.root.parent / "pseudonym.key").read_bytes()
    held = [path.read_bytes() for path in backup.rglob("*") if path.is_file()]
    assert not any(key in content or key.hex().encode() in content for content in held)


def test_the_manifest_names_every_file_with_its_digest(backup: Path) -> None:
    manifest = read_manifest(backup)
    on_disk = {path.relative_to(backup).as_posix() for path in backup.rglob("*") if path.is_file()}
    assert {file.name for file in manifest.files} | {MANIFEST} == on_disk
    assert all(describe(backup, file.name) == file for file in manifest.files)


def test_no_backup_beside_a_run(scope: BackupScope, tmp_path: Path) -> None:
    with (
        CalibrationLock(scope.database, "a night"),
        pytest.raises(LockHeldError, match="a night, since"),
    ):
        write_backup(scope, tmp_path / "backups" / "one", created_at=NOW, holder="a test")
    assert not (tmp_path / "backups").exists()


def test_no_run_beside_a_backup(
    scope: BackupScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = postgres_programs.dump

    def and_try_to_run(*arguments: Any, **options: Any) -> None:
        with pytest.raises(LockHeldError, match="a backup"), CalibrationLock(scope.database, "x"):
            pass
        dump(*arguments, **options)

    monkeypatch.setattr(postgres_programs, "dump", and_try_to_run)
    write_backup(scope, tmp_path / "backup", created_at=NOW, holder="a backup")


def test_a_backup_that_fails_leaves_nothing(scope: BackupScope, tmp_path: Path) -> None:
    other = replace(scope, archive=Archive(tmp_path / "damaged"))
    shutil.copytree(scope.archive.location.root, other.archive.location.root)
    name = archived_files(scope.database)[-1]
    (other.archive.location.root / name).unlink()
    (other.archive.location.root / name).mkdir()  # can't be read as a file
    with pytest.raises(BadInputError, match="can't be written"):
        write_backup(other, tmp_path / "backups" / "one", created_at=NOW, holder="a test")
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_a_killed_backup_left_is_in_nobodys_way(scope: BackupScope, tmp_path: Path) -> None:
    left = tmp_path / "backups" / ".of another day.calibration-backup-unfinished" / "archive"
    left.mkdir(parents=True)
    write_backup(scope, tmp_path / "backups" / "one", created_at=NOW, holder="a test")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["one"]


def test_a_backup_never_replaces_another(scope: BackupScope, backup: Path) -> None:
    with pytest.raises(BadInputError, match="exists already"):
        write_backup(scope, backup, created_at=NOW, holder="a test")


def test_a_backup_that_has_lost_its_lock_is_not_kept(
    scope: BackupScope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took it may have deleted files that the dump names."""
    dump = postgres_programs.dump

    def lose_the_lock(database: sa.Engine, *arguments: Any, **options: Any) -> None:
        dump(database, *arguments, **options)
        with database.begin() as connection:
            connection.execute(sa.text(END_THE_HOLDER))
        with CalibrationLock(database, "an erasure"):
            pass

    monkeypatch.setattr(postgres_programs, "dump", lose_the_lock)
    with pytest.raises(LockLostError, match="an erasure has taken it since"):
        write_backup(scope, tmp_path / "backups" / "one", created_at=NOW, holder="a test")
    assert list((tmp_path / "backups").iterdir()) == []
