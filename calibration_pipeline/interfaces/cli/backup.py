"""``calibrate db backup`` and ``calibrate db restore``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.interfaces.cli.console import json_option, progress, say
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.facts import print_facts
from calibration_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from calibration_pipeline.store.backup import BackupScope
    from calibration_pipeline.store.backup_files import BackupManifest

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option("--out", type=_FOLDER, required=True, help="Folder to create; must not exist.")
@json_option
def backup(out: Path, as_json: bool) -> None:
    """Write a backup of the database and the archive into a new folder, whole or not at all.

    Holds the calibration lock meanwhile, so choose an hour without a nightly run. The folder
    holds personal data and test secrets; only you can read it. The pseudonym key is not in it:
    keep that apart. Exit code 1 if an archived day was missing: the rest is backed up all the same.

    Example: calibrate db backup --out backups/2026-11-20
    """
    with _scope(load_settings(), check_revision=True) as scope:
        from calibration_pipeline.store.backup import write_backup

        with progress("Backing up") as reporter:
            manifest = write_backup(
                scope,
                out.absolute(),
                created_at=datetime.now(UTC),
                holder="calibrate db backup",
                tell=reporter.reach,
            )
    print_facts(f"Backed up to {out}", _facts(manifest), as_json=as_json)
    if manifest.missing_files:
        raise CalibrationError(
            f"the archive lacks {manifest.missing_files[0]} ({len(manifest.missing_files)} in "
            "all): all else is backed up; restore it from an older backup"
        )


@click.command()
@click.argument("folder", type=_FOLDER)
@json_option
def restore(folder: Path, as_json: bool) -> None:
    """Restore the backup in FOLDER into an empty database and a home without an archive.

    Every file is compared with the backup's manifest first, and what was restored at the end; a
    restore that fails leaves everything as it was. Put the pseudonym key in place before the next
    night, and repeat what was forgotten since the backup.

    Example: calibrate db restore backups/2026-11-20
    """
    from calibration_pipeline.store.backup_files import read_manifest, verify_files

    settings, source = load_settings(), folder.absolute()
    # Before the embedded server is made for it.
    with progress("Reading the backup") as reporter:
        verify_files(source, read_manifest(source), reporter.reach)
    with _scope(settings, check_revision=False) as scope:
        from calibration_pipeline.store.restore import restore_backup

        with progress("Restoring") as reporter:
            manifest = restore_backup(source, scope, reporter.reach)
    print_facts(f"Restored from {folder}", _facts(manifest), as_json=as_json)
    if settings.pseudonym_key is None and not (settings.home / "pseudonym.key").exists():
        say(
            f"Put the pseudonym key that belongs to this backup at {settings.home}/pseudonym.key, "
            "or in CALIBRATION_PSEUDONYM_KEY, before the next night: a new key would recognise "
            "nobody."
        )


@contextmanager
def _scope(settings: Settings, *, check_revision: bool) -> Iterator[BackupScope]:
    """Open the databases that the settings name, for as long as the command needs them."""
    with ExitStack() as opened:
        database = opened.enter_context(configured_database(check_revision=check_revision))
        # Here, and not above: SQLAlchemy takes longer to import than `--help` may.
        from calibration_pipeline.store.archive_opening import open_archive
        from calibration_pipeline.store.backup import BackupScope
        from calibration_pipeline.store.connection import open_database
        from calibration_pipeline.store.embedded import EmbeddedServer
        from calibration_pipeline.store.embedded_account import server_account
        from calibration_pipeline.store.embedded_binaries import program_folder

        programs = dagster = None
        if settings.database_url is None:
            programs = program_folder(server_account())
            if settings.dagster_database_url is None:
                url = EmbeddedServer(settings.home).dagster_url()
                dagster = open_database(url, settings.home, check_revision=False)
                opened.callback(dagster.dispose)
        yield BackupScope(
            database,
            open_archive(settings.archive_place),
            settings.home / "forgotten",
            dagster,
            programs,
        )


def _facts(manifest: BackupManifest) -> dict[str, Any]:
    return {
        "created_at": manifest.created_at.isoformat(timespec="seconds"),
        "program_version": manifest.program_version,
        "schema_revision": manifest.schema_revision,
        "newest_version": manifest.newest_version,
        "content_digest": manifest.content_digest,
        "files": len(manifest.files),
        "bytes": manifest.size,
    }
