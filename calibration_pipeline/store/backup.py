"""A backup: one folder with the database's tables and the archive, as they stood together.

The calibration lock is held from the dump to the last copied file. No night, deletion or erasure
comes in between, so every day that the dump names lies in the folder. The pseudonym key is left
out: with it, whoever finds a backup could tell which pseudonym is whose.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store import postgres_programs
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.backup_files import (
    ARCHIVE_FOLDER,
    CALIBRATION_DUMP,
    DAGSTER_DUMP,
    FORGOTTEN,
    BackupFile,
    BackupManifest,
    copy_private,
    copy_stream,
    describe,
    write_manifest,
)
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.deletions import IS_DELETED
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.schema import database_revision
from calibration_pipeline.store.snapshots import list_snapshots
from calibration_pipeline.store.tables import SCHEMA, archive_revisions
from calibration_pipeline.store.telling import Tell, tell_nobody, told

_UNFINISHED = ".calibration-backup-unfinished"


@dataclass(frozen=True)
class BackupScope:
    """What is backed up, or restored.

    Attributes
    ----------
    database
        Holds the schema `calibration`.
    archive
        The archived days, wherever they are: a backup copies them all.
    forgotten
        List of the candidates who must not come back.
    dagster
        Dagster's database where it is ours alone, in the embedded server. None where it is the
        operator's: other programs' tables may lie beside.
    programs
        Folder of `pg_dump` and `pg_restore`; None to look for them on the PATH.
    """

    database: Database
    archive: Archive
    forgotten: Path
    dagster: Database | None = None
    programs: Path | None = None


def write_backup(
    scope: BackupScope,
    target: Path,
    *,
    created_at: datetime,
    holder: str,
    tell: Tell = tell_nobody,
) -> BackupManifest:
    """Write a backup, whole or not at all.

    Parameters
    ----------
    scope
        What to back up; its database is at the current schema revision.
    target
        The folder to create.
    created_at
        Now.
    holder
        Who takes the calibration lock, for the message that others see meanwhile.
    tell
        Told what is being dumped or copied.

    Raises
    ------
    BadInputError
        `target` exists, or can't be written.
    ArchiveUnavailableError
        The archive can't be read; nothing was kept.
    LockHeldError
        A night, or another command that changes the store, is running.
    LockLostError
        Another one has taken the lock meanwhile; nothing was kept.
    PostgresProgramError
        `pg_dump` is missing, doesn't go with the server, or failed.
    """
    if target.exists():
        raise BadInputError(f"{target} exists already: give a new name to each backup")
    postgres_programs.require_programs(scope.database, scope.programs, "pg_dump")
    unfinished = target.with_name(f".{target.name}{_UNFINISHED}")
    with CalibrationLock(scope.database, holder) as lock:
        try:
            # Left by backups that were killed: whoever holds the lock is the only writer.
            for leftover in target.parent.glob(f".*{_UNFINISHED}"):
                shutil.rmtree(leftover, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.mkdir(mode=0o700)
            manifest = _write(scope, unfinished, created_at, tell)
            with lock.begin():
                pass  # had it been lost, an erasure could have taken files away in between
            unfinished.rename(target)
            _fsync(target.parent)
        except OSError as error:
            raise BadInputError(
                f"the backup {target} can't be written ({error.strerror or error}): make room "
                "there, correct the folder's permissions, or choose another place"
            ) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _write(scope: BackupScope, folder: Path, created_at: datetime, tell: Tell) -> BackupManifest:
    parts = [CALIBRATION_DUMP]
    tell("Dumping the tables", 0, 1)
    postgres_programs.dump(
        scope.database, folder / CALIBRATION_DUMP, programs=scope.programs, schema=SCHEMA
    )
    if scope.dagster is not None:
        parts.append(DAGSTER_DUMP)
        tell("Dumping Dagster's tables", 0, 1)
        postgres_programs.dump(
            scope.dagster, folder / DAGSTER_DUMP, programs=scope.programs, schema=None
        )
    if scope.forgotten.exists():
        parts.append(FORGOTTEN)
        copy_private(scope.forgotten, folder / FORGOTTEN)
    archived, missing = _copy_archive(scope.archive, archived_files(scope.database), folder, tell)
    newest = list_snapshots(scope.database, limit=1)
    manifest = BackupManifest(
        created_at=created_at,
        program_version=version("calibration-pipeline"),
        schema_revision=str(database_revision(scope.database)),
        newest_version=newest[0].version if newest else None,
        content_digest=newest[0].content_digest if newest else None,
        files=(*(describe(folder, name) for name in parts), *archived),
        missing_files=tuple(missing),
    )
    write_manifest(folder, manifest)
    _fsync(folder)
    return manifest


def _copy_archive(
    archive: Archive, names: Sequence[str], folder: Path, tell: Tell
) -> tuple[list[BackupFile], list[str]]:
    """Copy archived files. Not as links: a backup mustn't share its bytes with the original."""
    copied: list[BackupFile] = []
    present = archive.present(names)
    missing = sorted(set(names) - set(present))
    for name in told(tell, "Copying archived files", present):
        inside = f"{ARCHIVE_FOLDER}/{name}"
        with archive.location.open(name) as file:
            copied.append(BackupFile(inside, *copy_stream(file, folder / inside)))
    for path in (folder / ARCHIVE_FOLDER).rglob("*"):
        if path.is_dir():
            _fsync(path)
    return copied, missing


def archived_files(database: Database) -> list[str]:
    """List the files, relative to the archive's root, of every revision that isn't deleted."""
    r = archive_revisions.c
    query = sa.select(r.file_name, r.quarantine_file_name).where(~IS_DELETED)
    with database.connect() as connection:
        return sorted({name for row in connection.execute(query) for name in row if name})


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
