"""A backup as a folder of files: its manifest, and whether the files are still what it says."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.private_files import private_file
from calibration_pipeline.store.telling import Tell, tell_nobody, told

CALIBRATION_DUMP = "calibration.dump"
DAGSTER_DUMP = "dagster.dump"
ARCHIVE_FOLDER = "archive"
FORGOTTEN = "forgotten"
MANIFEST = "manifest.json"

_FORMAT = 1
_CHUNK = 1 << 20


class Readable(Protocol):
    """Whatever gives bytes: a file, or an object of a store."""

    def read(self, size: int, /) -> bytes:
        """Give up to so many bytes; none at the end."""
        ...


@dataclass(frozen=True)
class BackupFile:
    """A file of a backup: its name within the folder, its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds.

    Attributes
    ----------
    created_at
        When it was begun.
    program_version, schema_revision
        Of the program that wrote it, and of the tables in it.
    newest_version, content_digest
        The newest published version and the SHA-256 of its rows; None if nothing was published.
    files
        Every file but the manifest itself.
    missing_files
        Archived days that the database knew and whose files were gone already.
    """

    created_at: datetime
    program_version: str
    schema_revision: str
    newest_version: int | None
    content_digest: str | None
    files: tuple[BackupFile, ...]
    missing_files: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def has(self, name: str) -> bool:
        """Whether the backup holds a file of this name."""
        return any(file.name == name for file in self.files)


def copy_private(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file durably, with mode 0600, into folders of mode 0700.

    Returns
    -------
    tuple
        Its size in bytes and its SHA-256.
    """
    with source.open("rb") as read:
        return copy_stream(read, target)


def copy_stream(read: Readable, target: Path) -> tuple[int, str]:
    """Copy what can be read into a private file; see `copy_private`."""
    make_private(target.parent)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    hasher, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "wb") as written:
        while chunk := read.read(_CHUNK):
            hasher.update(chunk)
            written.write(chunk)
            size += len(chunk)
        written.flush()
        os.fsync(written.fileno())
    return size, hasher.hexdigest()


def digest_of(read: Readable) -> tuple[int, str]:
    """Take the size in bytes and the SHA-256 of what can be read."""
    hasher, size = hashlib.sha256(), 0
    while chunk := read.read(_CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    return size, hasher.hexdigest()


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents, open to their owner alone."""
    missing = [step for step in (folder, *folder.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir(mode=0o700, exist_ok=True)


def describe(folder: Path, name: str) -> BackupFile:
    """Take the size and the digest of a file that stands in a backup."""
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BackupFile(name, (folder / name).stat().st_size, digest)


def write_manifest(folder: Path, manifest: BackupManifest) -> None:
    """Write the manifest, which makes the folder a backup."""
    document = {"format": _FORMAT} | asdict(manifest)
    with private_file(folder / MANIFEST) as file:
        text = json.dumps(document, indent=2, default=datetime.isoformat)
        file.write(f"{text}\n".encode())


def read_manifest(folder: Path) -> BackupManifest:
    """Read the manifest of a backup.

    Raises
    ------
    BadInputError
        The folder is no backup, or one that this version of the program doesn't know.
    """
    try:
        document = json.loads((folder / MANIFEST).read_bytes())
        if document.pop("format") != _FORMAT:
            raise BadInputError(
                f"the backup {folder} was written by a newer version of the program: "
                "install that version"
            )
        return _parsed(document)
    except OSError as error:
        raise BadInputError(
            f"{folder} is no backup: its {MANIFEST} can't be read ({error.strerror}); "
            "name a folder that `calibrate db backup` wrote"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"the {MANIFEST} of {folder} is damaged: restore from another backup"
        ) from error


def _parsed(document: dict[str, Any]) -> BackupManifest:
    moment = datetime.fromisoformat(document.pop("created_at"))
    files = tuple(BackupFile(**entry) for entry in document.pop("files"))
    missing = tuple(document.pop("missing_files"))
    for name in (*(file.name for file in files), *missing):
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts:
            raise ValueError(name)
    return BackupManifest(created_at=moment, files=files, missing_files=missing, **document)


def verify_files(folder: Path, manifest: BackupManifest, tell: Tell = tell_nobody) -> None:
    """Compare every file with the manifest, and tell how far that is.

    Raises
    ------
    BadInputError
        A file is missing or is not the one that was written.
    """
    for stated in told(tell, "Checking the backup's files", manifest.files):
        try:
            found = describe(folder, stated.name)
        except OSError as error:
            raise BadInputError(
                f"the backup's file {stated.name} can't be read ({error.strerror}): nothing was "
                "restored; use another backup"
            ) from error
        if found != stated:
            raise BadInputError(
                f"the backup's file {stated.name} is damaged (its SHA-256 isn't the manifest's): "
                "nothing was restored; use another backup"
            )
