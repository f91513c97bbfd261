"""Shards beside the archived days, for as long as a night needs them.

They hold item numbers, scores and weights: no id, no pseudonym and no time. A night removes its own
when it ends. What a killed one left is removed by a later night.
"""

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, partial

from calibration_pipeline.errors import CalibrationError
from calibration_pipeline.store.archive_location import ArchiveLocation
from calibration_pipeline.store.archive_opening import open_archive

FOLDER = "shards"
LEFT_OVER = timedelta(days=2)
"""Longer than any night."""
_STAMP = "%Y%m%dT%H%M%S"


class ShardFiles:
    """Files in a new folder of the archive, made when the first one is written.

    Parameters
    ----------
    archive
        Folder, or URL that fsspec knows. Credentials come from the environment, here and on the
        workers.
    """

    def __init__(self, archive: str) -> None:
        self._archive = archive

    @cached_property
    def _location(self) -> ArchiveLocation:
        return open_archive(self._archive).location

    @cached_property
    def _folder(self) -> str:
        now = datetime.now(UTC)
        names = self._location.names(FOLDER)
        self._forget([name for name in names if _is_left_over(name.split("/")[1], now)])
        return f"{FOLDER}/{now:{_STAMP}}-{secrets.token_hex(4)}"

    @property
    def read(self) -> Callable[[str], bytearray]:
        """What workers read with."""
        return partial(_read, self._archive, self._folder)

    def write(self, name: str, content: Iterable[bytes | memoryview]) -> None:
        """Write a file, as every file of the archive is written.

        Raises
        ------
        ArchiveWriteError, ArchiveUnavailableError
            The archive can't be written or listed.
        """
        new = self._location.new_file(self._folder)
        try:
            with self._location.naming():
                for part in content:
                    new.file.write(part)
                new.finish_as(f"{self._folder}/{name}")
        finally:
            with suppress(OSError):  # a full disk refuses what is left once more
                new.file.close()
            new.discard()

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that can't be are left for a later night."""
        self._forget([f"{self._folder}/{name}" for name in names])

    def close(self) -> None:
        """Remove whatever is left of this night's."""
        if "_folder" in vars(self):
            with suppress(CalibrationError):
                self._forget(self._location.names(self._folder))
            del self._folder

    def _forget(self, names: list[str]) -> None:
        # Nothing of the night depends on it.
        with suppress(CalibrationError):
            self._location.delete(names)


@lru_cache(maxsize=1)
def _opened(archive: str) -> ArchiveLocation:
    """Connect a worker once, and not for every file."""
    return open_archive(archive).location


def _read(archive: str, folder: str, name: str) -> bytearray:
    with _opened(archive).open(f"{folder}/{name}") as file:
        content = bytearray(file.size())
        rest = memoryview(content)
        while len(rest) and (count := file.readinto(rest)):
            rest = rest[count:]
    return content


def _is_left_over(name: str, now: datetime) -> bool:
    try:
        made = datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - made > LEFT_OVER
