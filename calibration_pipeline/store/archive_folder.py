"""An archive in a folder of this machine, readable by its owner alone."""

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from calibration_pipeline.errors import ArchiveWriteError, DiskFullError
from calibration_pipeline.store.backup_files import BackupFile, copy_private, make_private

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MEGABYTE = 2**20


class _NewFile:
    """A file under a temporary name; renaming it is what makes it appear."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._path = folder / f".writing-{secrets.token_hex(8)}"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file: IO[bytes] = os.fdopen(descriptor, "wb")

    def finish(self, name: str) -> str:
        named = (self._folder / name).relative_to(self._root).as_posix()
        self.finish_as(named)
        return named

    def finish_as(self, name: str) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._path.replace(self._root / name)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


class ArchiveFolder:
    """An archive's files below a folder; the methods are those of `ArchiveLocation`.

    Parameters
    ----------
    root
        Made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def shown(self) -> str:
        """The folder."""
        return str(self.root)

    def path(self, name: str) -> Path:
        """Give the path of a file."""
        return self.root / name

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return self.path(name).exists()

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of many names under which a file is there, in their order."""
        return [name for name in names if self.exists(name)]

    def names(self, under: str = "") -> list[str]:
        """List the files below a folder of the archive, whoever knows of them."""
        folder = self.root / under
        paths = sorted(folder.rglob("*")) if folder.exists() else []
        return [path.relative_to(self.root).as_posix() for path in paths if path.is_file()]

    def modified(self, name: str) -> float:
        """When a file was last written, in seconds since 1970."""
        return self.path(name).stat().st_mtime

    def open(self, name: str) -> Any:
        """Open a file for Arrow."""
        return pa.OSFile(str(self.path(name)))

    def new_file(self, folder: str) -> _NewFile:
        """Begin a file; the folders above it are made, for their owner alone."""
        place = self.root / folder
        with self.naming():
            for part in (self.root, place.parent, place):
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _NewFile(self.root, place)

    def settle(self, folder: str) -> None:
        """Make the names in a folder durable."""
        for part in (self.root / folder, (self.root / folder).parent):
            _fsync(part)

    def delete(self, names: Iterable[str]) -> int:
        """Delete files, and the folders that they leave empty; those before a failure are gone."""
        folders, count = set(), 0
        with self.naming():
            for path in map(self.path, names):
                if path.exists():
                    path.unlink()
                    folders.add(path.parent)
                    count += 1
            for folder in folders:
                _fsync(folder)
                with suppress(OSError):  # another revision of the day is in it
                    folder.rmdir()
        return count

    def require_room(self, minimum_free_bytes: int, coming_bytes: int) -> None:
        """Refuse what the disk has no room for."""
        free = shutil.disk_usage(self._nearest()).free
        if free < minimum_free_bytes + coming_bytes:
            raise DiskFullError(
                f"the disk of {self.root} has {free // _MEGABYTE} MB free, of which "
                f"{minimum_free_bytes // _MEGABYTE} MB are to stay free: nothing was "
                "recorded; make room there, or lower CALIBRATION_MINIMUM_FREE_DISK_MB"
            )

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Turn what the operating system says about a file into one line about the archive."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in _NO_ROOM:
                raise DiskFullError(
                    f"the archive {self.root} has no room ({reason}): nothing was recorded; make "
                    "room there, and run the night again"
                ) from error
            raise ArchiveWriteError(
                f"the archive {self.root} can't be written ({reason}): nothing was recorded; "
                "correct the folder's permissions or its disk, and run the night again"
            ) from error

    def place(self, source: Path, files: Sequence[BackupFile]) -> None:
        """Copy files under another name of the archive, and give it its own at the end."""
        unfinished = self.root.with_name(f".{self.root.name}.unfinished")
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            make_private(unfinished)
            for file in files:
                copied = copy_private(source / file.name, unfinished / file.name)
                if copied != (file.size, file.sha256):
                    raise OSError(errno.EIO, f"the copy of {file.name} isn't like its original")
            shutil.rmtree(self.root, ignore_errors=True)  # empty folders at most
            unfinished.rename(self.root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def clear(self, files: Sequence[BackupFile]) -> None:  # noqa: ARG002 - nothing else is there
        """Take back what `place` has copied."""
        shutil.rmtree(self.root)

    def try_out(self) -> None:
        """Write and read a file that has no name, in the folder or where it will be made."""
        with self.naming(), tempfile.TemporaryFile(dir=self._nearest()) as file:
            file.write(b"calibrate doctor")
            file.seek(0)
            file.read()

    def _nearest(self) -> Path:
        return next(p for p in (self.root, *self.root.absolute().parents) if p.exists())


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
