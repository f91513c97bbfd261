"""Restoring a backup into an empty database and a home folder without an archive.

The archive gets its name first and the tables come last, in one transaction: files without rows
count for nothing, so a restore that was killed is simply begun again.
"""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from calibration_pipeline.errors import ArchiveWriteError, CalibrationError
from calibration_pipeline.store import postgres_programs, snapshots
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.archive_objects import reason_of
from calibration_pipeline.store.backup import BackupScope, archived_files
from calibration_pipeline.store.backup_files import (
    ARCHIVE_FOLDER,
    CALIBRATION_DUMP,
    DAGSTER_DUMP,
    FORGOTTEN,
    BackupFile,
    BackupManifest,
    digest_of,
    read_manifest,
    verify_files,
)
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.private_files import private_file
from calibration_pipeline.store.schema import migrate
from calibration_pipeline.store.suppression import read_remembered, remember
from calibration_pipeline.store.tables import SCHEMA
from calibration_pipeline.store.telling import Tell, tell_nobody

_HAS_SCHEMA = sa.text("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = :schema)")
_HAS_TABLES = sa.text("SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public')")


class RestoreError(CalibrationError):
    """A backup can't be restored here; the target is as it was."""


def restore_backup(source: Path, scope: BackupScope, tell: Tell = tell_nobody) -> BackupManifest:
    """Restore a backup: all of it, checked, or nothing.

    An older backup's tables are brought to the revision that this program needs. Dagster's own
    tables stay in the backup where `scope` has no database for them.

    Parameters
    ----------
    source
        The backup's folder.
    scope
        Where to.
    tell
        Told what is being checked or restored.

    Returns
    -------
    BackupManifest
        What was restored.

    Raises
    ------
    BadInputError
        The folder is no backup, or a file of it is damaged.
    RestoreError
        Something is there already, or what was restored isn't what was backed up.
    SchemaRevisionError
        A newer version of the program wrote the backup.
    PostgresProgramError
        `pg_restore` is missing, doesn't go with the server, or failed.
    """
    manifest = read_manifest(source)
    dagster = scope.dagster if manifest.has(DAGSTER_DUMP) else None
    postgres_programs.require_programs(scope.database, scope.programs, "pg_restore")
    _require_no_tables(scope.database, dagster)
    verify_files(source, manifest, tell)
    undo: list[Callable[[], None]] = []
    try:
        tell("Placing the archive", 0, 1)
        if _place_archive(source, scope.archive, manifest):
            undo.append(lambda: scope.archive.location.clear(_inside_archive(manifest)))
        tell("Restoring the tables", 0, 1)
        dump = source / CALIBRATION_DUMP
        postgres_programs.restore(scope.database, dump, programs=scope.programs)
        undo.append(lambda: _drop_schema(scope.database))
        migrate(scope.database)
        tell("Comparing with the backup", 0, 1)
        _check(scope, manifest)
        undo.append(_merge_forgotten(source, scope.forgotten, manifest))
        if dagster is not None:
            tell("Restoring Dagster's tables", 0, 1)
            dump = source / DAGSTER_DUMP
            postgres_programs.restore(dagster, dump, programs=scope.programs)
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    return manifest


def _merge_forgotten(source: Path, target: Path, manifest: BackupManifest) -> Callable[[], None]:
    """Add the backup's list of forgotten candidates to the one here; give what takes it back."""
    before = target.read_bytes() if target.exists() else None
    if manifest.has(FORGOTTEN):
        people = read_remembered(source / FORGOTTEN)
        remember(target, people.forgotten, erase=False)
        remember(target, people.erased, erase=True)

    def take_back() -> None:
        if before is None:
            target.unlink(missing_ok=True)
        else:
            with private_file(target) as file:
                file.write(before)

    return take_back


def _require_no_tables(database: Database, dagster: Database | None) -> None:
    with database.connect() as connection:
        if connection.scalar(_HAS_SCHEMA, {"schema": SCHEMA}):
            raise RestoreError(
                f"the database holds a schema {SCHEMA} already: restore into an empty database, "
                "named by CALIBRATION_DATABASE_URL or in a new CALIBRATION_HOME"
            )
    if dagster is None:
        return
    with dagster.connect() as connection:
        if connection.scalar(_HAS_TABLES):
            raise RestoreError(
                "the embedded server holds tables of Dagster already: restore in a new "
                "CALIBRATION_HOME"
            )


def _place_archive(source: Path, archive: Archive, manifest: BackupManifest) -> bool:
    """Copy the archive to its place, all of it or nothing.

    Returns
    -------
    bool
        Whether it was placed; not so if a killed restore had done it.
    """
    stated, place = _inside_archive(manifest), archive.location
    present = set(place.names())
    if present:
        if present == {file.name for file in stated} and _are_same(archive, stated):
            return False
        raise RestoreError(
            f"{place.shown} holds archived days already: restore in a new CALIBRATION_HOME, or "
            "with another CALIBRATION_ARCHIVE"
        )
    try:
        place.place(source / ARCHIVE_FOLDER, stated)
    except (OSError, ArchiveWriteError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise RestoreError(
            f"the archive {place.shown} can't be written ({reason_of(cause)}): make room there, or "
            "correct its permissions"
        ) from error
    return True


def _inside_archive(manifest: BackupManifest) -> list[BackupFile]:
    """The archived files, with their names relative to the archive's root."""
    prefix = f"{ARCHIVE_FOLDER}/"
    return [
        BackupFile(file.name.removeprefix(prefix), file.size, file.sha256)
        for file in manifest.files
        if file.name.startswith(prefix)
    ]


def _are_same(archive: Archive, stated: list[BackupFile]) -> bool:
    for file in stated:
        with archive.location.open(file.name) as found:
            if digest_of(found) != (file.size, file.sha256):
                return False
    return True


def _check(scope: BackupScope, manifest: BackupManifest) -> None:
    """Compare what is in the database now with the archive and with the manifest."""
    names = archived_files(scope.database)
    present = set(scope.archive.present(names))
    absent = [name for name in names if name not in present and name not in manifest.missing_files]
    if absent:
        raise RestoreError(
            f"the backup lacks the archived file {absent[0]} ({len(absent)} in all): nothing was "
            "restored; use another backup"
        )
    if manifest.newest_version is None:
        return
    published = snapshots.read_manifest(scope.database, manifest.newest_version)
    items = snapshots.read_snapshot_items(scope.database, manifest.newest_version)
    if snapshots.content_digest(items, published.scaling_constant) != manifest.content_digest:
        raise RestoreError(
            f"version {manifest.newest_version} isn't what was backed up (its digest differs): "
            "nothing was restored; use another backup"
        )


def _drop_schema(database: Database) -> None:
    """Take back what this restore stored; the schema wasn't there before."""
    with database.begin() as connection:
        connection.execute(sa.schema.DropSchema(SCHEMA, cascade=True))
