"""Shards beside the archived days, for as long as a night needs them.

They hold item numbers, scores and weights: no id, no pseudonym and no time. A night removes its own
when it ends. What a killed one left is removed by a later night.
"""

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial

import fsspec

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
        self._root = f"{archive.rstrip('/')}/{FOLDER}"

    @property
    def shown(self) -> str:
        """The place, for messages."""
        return self._root

    @cached_property
    def _folder(self) -> str:
        filesystem, root = fsspec.core.url_to_fs(self._root)
        now = datetime.now(UTC)
        filesystem.makedirs(root, exist_ok=True)
        for path in filesystem.ls(root, detail=False):
            if _is_left_over(path.rstrip("/").rpartition("/")[2], now):
                filesystem.rm(path, recursive=True)
        return f"{self._root}/{now:{_STAMP}}-{secrets.token_hex(4)}"

    @property
    def read(self) -> Callable[[str], bytearray]:
        """What workers read with."""
        return partial(_read, self._folder)

    def write(self, name: str, content: Iterable[bytes | memoryview]) -> None:
        """Write a file."""
        filesystem, folder = fsspec.core.url_to_fs(self._folder)
        filesystem.makedirs(folder, exist_ok=True)
        with filesystem.open(f"{folder}/{name}", "wb") as file:
            for part in content:
                file.write(part)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        filesystem, folder = fsspec.core.url_to_fs(self._folder)
        for name in names:
            filesystem.rm(f"{folder}/{name}")

    def close(self) -> None:
        """Remove the folder, if one was made."""
        if "_folder" in vars(self):
            filesystem, folder = fsspec.core.url_to_fs(self._folder)
            if filesystem.exists(folder):
                filesystem.rm(folder, recursive=True)
            del self._folder


def _read(folder: str, name: str) -> bytearray:
    filesystem, path = fsspec.core.url_to_fs(f"{folder}/{name}")
    content = bytearray(filesystem.size(path))
    with filesystem.open(path, "rb") as file:
        file.readinto(content)
    return content


def _is_left_over(name: str, now: datetime) -> bool:
    try:
        made = datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return False
    return now - made > LEFT_OVER
