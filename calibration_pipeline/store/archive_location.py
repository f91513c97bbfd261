"""Where an archive's files lie: what a folder of this machine and an object store have in common.

Files have names relative to the archive's root, with slashes. A file is written once and never
changed; it counts when the database has a row that names it, never because it is there.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from calibration_pipeline.store.backup_files import BackupFile


class NewFile(Protocol):
    """A file that is being written, and that nobody can see under a name yet."""

    @property
    def file(self) -> IO[bytes]:
        """What to write to."""
        ...

    def finish(self, name: str) -> str:
        """Make the file durable under a name in its folder.

        Returns
        -------
        str
            Its name within the archive, which may say more of the file's content.
        """
        ...

    def finish_as(self, name: str) -> None:
        """Make the file durable under exactly a name within the archive."""

    def discard(self) -> None:
        """Remove what has no name yet."""


class ArchiveLocation(Protocol):
    """A place for an archive's files. All methods fail in one line about the archive.

    Reading ends in `ArchiveUnavailableError` where the place can't be reached, and in the
    reader's own error where a file is missing or damaged; writing and deleting end in
    `ArchiveWriteError`.
    """

    @property
    def shown(self) -> str:
        """The place, for messages; it holds no secret."""
        ...

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        ...

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of many names under which a file is there, in their order."""
        ...

    def names(self, under: str = "") -> list[str]:
        """List the files below a folder of the archive, whoever knows of them."""
        ...

    def modified(self, name: str) -> float:
        """When a file was last written, in seconds since 1970."""
        ...

    def open(self, name: str) -> AbstractContextManager[Any]:
        """Open a file for Arrow.

        Raises
        ------
        OSError
            There is no such file.
        """
        ...

    def new_file(self, folder: str) -> NewFile:
        """Begin a file that will get its name in a folder."""
        ...

    def settle(self, folder: str) -> None:
        """Make the names in a folder durable."""

    def delete(self, names: Iterable[str]) -> int:
        """Delete files for good; give how many there were."""
        ...

    def require_room(self, minimum_free_bytes: int, coming_bytes: int) -> None:
        """Refuse what would leave less than a number of bytes free."""

    def naming(self) -> AbstractContextManager[None]:
        """Turn what the system says while a file is written into one line about the archive."""
        ...

    def place(self, source: Path, files: Sequence[BackupFile]) -> None:
        """Copy files below a folder of this machine into an archive without files: all or none.

        Raises
        ------
        OSError
            The archive can't be written; a place elsewhere says so by `ArchiveWriteError`.
        """

    def clear(self, files: Sequence[BackupFile]) -> None:
        """Take back what `place` has copied."""

    def try_out(self) -> None:
        """Write, read and delete a little file, as `calibrate doctor` does."""
