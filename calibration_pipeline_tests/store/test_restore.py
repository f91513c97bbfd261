"""Restoring backups: all of one, checked, or nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store import postgres_programs, schema
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.backup import BackupScope, archived_files, write_backup
from calibration_pipeline.store.backup_files import (
    BackupManifest,
    describe,
    write_manifest,
)
from calibration_pipeline.store.embedded import EmbeddedServer
from calibration_pipeline.store.engine import open_engine
from calibration_pipeline.store.postgres_programs import PostgresProgramError
from calibration_pipeline.store.restore import RestoreError, restore_backup
from calibration_pipeline.store.schema import database_revision, head_revision
from calibration_pipeline.store.snapshots import list_snapshots
from calibration_pipeline.store.suppression import ForgottenPeople, read_remembered, remember
from calibration_pipeline.store.tables import SCHEMA
from calibration_pipeline_tests.database import fresh_database
from calibration_pipeline_tests.store.backups import (
    NOW,
    backup,
    is_untouched,
    programs,
    rewrite,
    row_counts,
    scope,
    target,
)

__all__ = ["backup", "programs", "scope", "target"]


def test_a_restored_backup_is_what_was_backed_up(
    scope: BackupScope, backup: Path, target: BackupScope
) -> None:
    manifest = restore_backup(backup, target)
    newest = list_snapshots(scope.database, limit=1)[0]
    assert (manifest.newest_version, manifest.content_digest) == (
        newest.version,
        newest.content_digest,
    )
    assert (manifest.created_at, manifest.schema_revision) == (NOW, head_revision())
    assert list_snapshots(target.database) == list_snapshots(scope.database)
    assert row_counts(target.database) == row_counts(scope.database)
    names = archived_files(scope.database)
    assert len(names) == 4
    assert archived_files(target.database) == names
    for name in names:
        assert (target.archive.location.root / name).read_bytes() == (
            scope.archive.location.root / name
        ).read_bytes()


def test_published_rows_are_as_unchangeable_as_before(backup: Path, target: BackupScope) -> None:
    restore_backup(backup, target)
    with (
        target.database.connect() as connection,
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
    ):
        connection.execute(sa.text("DELETE FROM calibration.snapshot_items"))


def test_what_the_archive_had_lost_before_is_said_and_doesnt_stop_a_backup(
    scope: BackupScope, target: BackupScope, tmp_path: Path
) -> None:
    lost = archived_files(scope.database)[0]
    poorer = replace(scope, archive=Archive(tmp_path / "poorer"))
    shutil.copytree(scope.archive.location.root, poorer.archive.location.root)
    (poorer.archive.location.root / lost).unlink()
    manifest = write_backup(poorer, tmp_path / "incomplete", created_at=NOW, holder="a test")
    assert manifest.missing_files == (lost,)
    restore_backup(tmp_path / "incomplete", target)
    assert database_revision(target.database) == head_revision()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
@pytest.mark.parametrize("name", ["calibration.dump", "archive"])
def test_a_damaged_file_is_found_before_anything_is_restored(
    backup: Path, target: BackupScope, name: str, damage: str
) -> None:
    path = backup / name
    if path.is_dir():
        path = next(path.rglob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "changed" else content[:-1])
    with pytest.raises(BadInputError, match=r"damaged|can't be read"):
        restore_backup(backup, target)
    assert is_untouched(target)


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path, target: BackupScope) -> None:
    with pytest.raises(BadInputError, match="is no backup"):
        restore_backup(tmp_path, target)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", ""])
def test_a_manifest_that_points_outside_is_refused(
    backup: Path, target: BackupScope, name: str
) -> None:
    rewrite(backup, lambda document: document["files"][0].update(name=name))
    with pytest.raises(BadInputError, match="damaged"):
        restore_backup(backup, target)


def test_a_database_with_tables_is_not_touched(backup: Path, target: BackupScope) -> None:
    restore_backup(backup, target)
    before = row_counts(target.database)
    elsewhere = replace(target, archive=Archive(target.archive.location.root.parent / "other"))
    with pytest.raises(RestoreError, match="holds a schema calibration already"):
        restore_backup(backup, elsewhere)
    assert row_counts(target.database) == before
    assert not elsewhere.archive.location.root.exists()


def test_an_archive_of_other_days_is_not_touched(backup: Path, target: BackupScope) -> None:
    target.archive.location.root.mkdir(parents=True)
    (target.archive.location.root / "day.parquet").write_bytes(b"answers")
    with pytest.raises(RestoreError, match="holds archived days already"):
        restore_backup(backup, target)
    assert (target.archive.location.root / "day.parquet").read_bytes() == b"answers"
    assert database_revision(target.database) is None


def test_a_killed_restore_is_begun_again(backup: Path, target: BackupScope) -> None:
    """The archive has its name by then; the tables come in one transaction after it."""
    shutil.copytree(backup / "archive", target.archive.location.root)
    restore_backup(backup, target)
    assert database_revision(target.database) == head_revision()


def test_a_dump_that_cant_be_restored_leaves_nothing(backup: Path, target: BackupScope) -> None:
    """Its digest is right: the fault shows only when PostgreSQL reads it."""
    dump = backup / "calibration.dump"
    dump.write_bytes(dump.read_bytes()[: dump.stat().st_size // 2])
    described = describe(backup, dump.name)
    rewrite(
        backup,
        lambda document: document["files"][0].update(size=described.size, sha256=described.sha256),
    )
    with pytest.raises(PostgresProgramError, match="pg_restore failed"):
        restore_backup(backup, target)
    assert is_untouched(target)


def test_a_version_with_another_digest_is_taken_back(backup: Path, target: BackupScope) -> None:
    rewrite(backup, lambda document: document.update(content_digest="0" * 64))
    with pytest.raises(RestoreError, match="isn't what was backed up"):
        restore_backup(backup, target)
    assert is_untouched(target)


def test_who_was_forgotten_here_stays_forgotten_after_a_restore(
    backup: Path, target: BackupScope
) -> None:
    """The list here is newer than the backup, and one knows more than the other."""
    remember(target.forgotten, [b"n" * 16], erase=False)
    remember(target.forgotten, [b"a" * 16], erase=True)
    restore_backup(backup, target)
    assert read_remembered(target.forgotten) == ForgottenPeople(
        forgotten=frozenset({b"n" * 16}), erased=frozenset({b"a" * 16, b"e" * 16})
    )


def test_a_day_without_its_file_is_noticed(backup: Path, target: BackupScope) -> None:
    rewrite(backup, lambda document: document["files"].pop())
    with pytest.raises(RestoreError, match="lacks the archived file"):
        restore_backup(backup, target)
    assert is_untouched(target)


def test_the_backup_of_an_older_version_is_brought_up_to_date(
    embedded_server: EmbeddedServer, target: BackupScope, tmp_path: Path
) -> None:
    """As an older program wrote it: nothing in it but tables of revision 0009."""
    with fresh_database(embedded_server) as url:
        engine = open_engine(url)
        configuration = schema.alembic_configuration()
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(SCHEMA))
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "0009")
        dump = tmp_path / "calibration.dump"
        postgres_programs.dump(engine, dump, programs=target.programs, schema=SCHEMA)
        engine.dispose()
    files = (describe(tmp_path, dump.name),)
    write_manifest(tmp_path, BackupManifest(NOW, "0.0.9", "0009", None, None, files, ()))
    assert restore_backup(tmp_path, target).schema_revision == "0009"
    assert database_revision(target.database) == head_revision()


def test_backup_and_restore_tell_how_far_they_are(
    scope: BackupScope, target: BackupScope, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    manifest = write_backup(
        scope,
        tmp_path / "told",
        created_at=NOW,
        holder="a test",
        tell=lambda *step: told.append(step),
    )
    copied = [step[1:] for step in told if step[0] == "Copying archived files"]
    assert copied == [(n, len(copied)) for n in range(len(copied))]
    assert told[0] == ("Dumping the tables", 0, 1)
    told.clear()
    restore_backup(tmp_path / "told", target, lambda *step: told.append(step))
    checked = [step[1:] for step in told if step[0] == "Checking the backup's files"]
    assert checked == [(n, len(manifest.files)) for n in range(len(manifest.files))]
    assert [step[0] for step in told][-2:] == ["Restoring the tables", "Comparing with the backup"]
