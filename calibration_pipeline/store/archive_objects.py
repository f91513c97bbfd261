"""An archive in an object store: S3, Google Cloud Storage, or whatever else fsspec reaches.

Such a store has no rename, and it doesn't need one. A file is written to this machine first, into a
temporary file without a name. Its key ends in the SHA-256 of its bytes and it is uploaded whole: an
object appears complete or not at all, the same key is always the same bytes, and a late upload of a
run that was given up can damage nothing. What was uploaded without its row being committed is found
and deleted like any other leftover.
"""

import io
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from calibration_pipeline.errors import (
    ArchiveUnavailableError,
    ArchiveWriteError,
    CalibrationError,
    DiskFullError,
)
from calibration_pipeline.store.backup_files import BackupFile, digest_of

_DIGEST_DIGITS = 16
_LONGEST_REASON = 200
_MEGABYTE = 2**20
_PATIENCE_SECONDS = 60.0
_SLOWEST_UPLOAD = 2**20
"""Bytes per second. The libraries' own timeouts don't hold for uploads: a server that takes a
connection and never answers would be waited for without end."""
_USER_PART = re.compile(r"//[^/@\s]*@")
_WITHOUT_CONDITIONS = "NotImplemented"
"""What a store says that can't upload on condition that the key is free."""


class _Upload:
    """A file without a name on this machine's disk, which `finish` uploads."""

    def __init__(self, objects: "ArchiveObjects", folder: str) -> None:
        self._objects = objects
        self._folder = folder
        # A killed process leaves nothing of it: it has no name.
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by its owner

    def finish(self, name: str) -> str:
        self.file.flush()
        self.file.seek(0)
        _, digest = digest_of(self.file)
        stem, _, suffixes = name.partition(".")
        named = f"{self._folder}/{stem}-{digest[:_DIGEST_DIGITS]}.{suffixes}"
        self.finish_as(named)
        return named

    def finish_as(self, name: str) -> None:
        self.file.flush()
        self._objects.upload(self.file, name)
        self.file.close()

    def discard(self) -> None:
        self.file.close()


class ArchiveObjects:
    """An archive's files as objects; the methods are those of `ArchiveLocation`.

    Parameters
    ----------
    files
        An fsspec file system that keeps no listings of its own.
    root
        Bucket and prefix, as the file system names them.
    shown
        The URL, which holds no secret.
    """

    def __init__(self, files: Any, root: str, shown: str) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self.shown = shown

    def exists(self, name: str) -> bool:
        """Whether an object is there. With many stores fsspec's own takes a failure for a no."""
        with self._reading():
            try:
                self._ask(self._files.info, self._key(name))
            except FileNotFoundError:
                return False
        return True

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of many names under which an object is there: one listing, not a request each."""
        wanted = list(names)
        if not wanted:
            return []
        with self._reading():
            found = set(self._listed(""))
        return [name for name in wanted if name in found]

    def names(self, under: str = "") -> list[str]:
        """List the objects below a prefix of the archive, whoever knows of them."""
        with self._reading():
            return self._listed(under)

    def modified(self, name: str) -> float:
        """When an object was uploaded, in seconds since 1970."""
        with self._reading():
            return float(self._files.modified(self._key(name)).timestamp())

    def open(self, name: str) -> Any:
        """Open an object for Arrow; its parts are fetched as they are read."""
        # A missing one is for the caller to name.
        with self._reading(), suppress(FileNotFoundError):
            return pa.PythonFile(_Reader(self._files.open(self._key(name), "rb"), self))
        raise FileNotFoundError(f"there is no {name} in {self.shown}")

    def new_file(self, folder: str) -> _Upload:
        """Begin a file, on this machine's disk."""
        with self.naming():
            return _Upload(self, folder)

    def upload(self, file: IO[bytes], name: str) -> None:
        """Upload an open file, and make sure that all of it has arrived."""
        with self.naming():
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            self._put(f"/dev/fd/{file.fileno()}", self._key(name), size)
            arrived = self._ask(self._files.info, self._key(name))["size"]
            if arrived != size:
                raise ArchiveWriteError(
                    f"the archive {self.shown} has {arrived} of the {size} bytes of {name}: "
                    "nothing was recorded; run the night again"
                )

    def _put(self, path: str, key: str, size: int) -> None:
        put = partial(self._ask, self._files.put_file, path, key, size=size)
        try:
            put(mode="create")
        except FileExistsError:
            pass  # the same bytes, by their digest; or this upload, whose answer was lost
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and _WITHOUT_CONDITIONS not in str(error):
                raise
            put()

    def settle(self, folder: str) -> None:
        """Do nothing: an object is durable when its upload is answered."""

    def delete(self, names: Iterable[str]) -> int:
        """Delete objects; those before a failure are gone, and doing it again goes on."""
        count = 0
        for name in self.present(names):
            with self.naming(), suppress(FileNotFoundError):
                self._ask(self._files.rm_file, self._key(name))
                count += 1
        return count

    def require_room(self, minimum_free_bytes: int, coming_bytes: int) -> None:
        """Refuse what this machine's temporary folder has no room for: files are written there."""
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
        if free < minimum_free_bytes + coming_bytes:
            raise DiskFullError(
                f"the temporary folder {folder} has {free // _MEGABYTE} MB free, of which "
                f"{minimum_free_bytes // _MEGABYTE} MB are to stay free, and files of the archive "
                "are written there before their upload: nothing was recorded; make room there, "
                "set TMPDIR, or lower CALIBRATION_MINIMUM_FREE_DISK_MB"
            )

    def place(self, source: Path, files: Sequence[BackupFile]) -> None:
        """Upload files under their names, and take back what was uploaded before a failure."""
        done: list[BackupFile] = []
        try:
            for stated in files:
                with (source / stated.name).open("rb") as file:
                    self.upload(file, stated.name)
                done.append(stated)
        except BaseException:
            with suppress(CalibrationError):  # the first failure is the one to tell
                self.clear(done)
            raise

    def clear(self, files: Sequence[BackupFile]) -> None:
        """Take back what `place` has uploaded."""
        self.delete([file.name for file in files])

    def try_out(self) -> None:
        """Write, read and delete a little object."""
        content = secrets.token_bytes(16)
        with closing(tempfile.TemporaryFile()) as file:
            file.write(content)
            file.flush()
            name = f"doctor-{content.hex()}"
            self.upload(file, name)
        with self.open(name) as found:
            is_same = found.read() == content
        if not (is_same and self.delete([name]) == 1 and not self.exists(name)):
            raise ArchiveWriteError(
                f"the archive {self.shown} doesn't give back or delete what was written to it: use "
                "a store whose reads see the last write"
            )

    def _ask(self, method: Callable[..., Any], *arguments: str, size: int = 0, **more: Any) -> Any:
        """Call a method of the file system, and give up on it after a time."""
        if self._files.async_impl:
            more["timeout"] = _PATIENCE_SECONDS + size / _SLOWEST_UPLOAD
        return method(*arguments, **more)

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _listed(self, under: str) -> list[str]:
        prefix = f"{self._root}/"
        try:
            found = self._ask(self._files.find, f"{prefix}{under}".rstrip("/"))
        except FileNotFoundError:  # no object, and with some stores so no folder
            return []
        return sorted(path.removeprefix(prefix) for path in found)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Turn whatever goes wrong while writing into one line about the archive."""
        try:
            yield
        except CalibrationError:
            raise
        # Each store's library has errors of its own, few of which are OSErrors.
        except Exception as error:
            raise ArchiveWriteError(
                f"the archive {self.shown} can't be written ({reason_of(error)}): nothing was "
                "recorded; correct its address, its permissions or the credentials in the "
                "environment, and run the night again"
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except CalibrationError:
            raise
        except Exception as error:
            raise ArchiveUnavailableError(
                f"the archive {self.shown} can't be read ({reason_of(error)}): nothing was "
                "calibrated; correct its address, its permissions or the credentials in the "
                "environment, or wait until it is there again"
            ) from error


class _Reader(io.RawIOBase):
    """An object that is being read; what fails then is the store, not the file's content."""

    def __init__(self, file: Any, objects: ArchiveObjects) -> None:
        self._file = file
        self._objects = objects

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._objects._reading():
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        self._file.close()
        super().close()


def reason_of(error: Exception) -> str:
    """Say in a few words what a store's library reports, without a user or password of a URL."""
    said = getattr(error, "strerror", None) or str(error)
    lines = str(said).strip().splitlines()
    text = _USER_PART.sub("//", lines[0]) if lines else ""
    return (text or type(error).__name__)[:_LONGEST_REASON]
