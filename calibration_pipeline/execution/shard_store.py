"""Where shards lie so that workers can load them; given to the engine, which knows no archive."""

from collections.abc import Callable, Iterable
from typing import Protocol

Read = Callable[[str], bytearray]
"""Reads a file by its name; can be pickled, since workers call it."""


class ShardStore(Protocol):
    """Files that this process writes, workers read, and nobody needs after the fit."""

    @property
    def read(self) -> Read:
        """What workers read with."""
        ...

    def write(self, name: str, content: Iterable[bytes | memoryview]) -> None:
        """Write a file."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""

    def close(self) -> None:
        """Remove whatever is left."""
