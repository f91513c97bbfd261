"""Readers that poll `current` as fast as test engines might, in threads and in other processes.

Run as a module with a URL and a number, it polls in that many threads until its input ends, and
prints what each of them saw.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from calibration_pipeline.interfaces.reader import ItemReader
from calibration_pipeline.store.snapshot_rows import content_digest

PAUSE_SECONDS = 0.02


@dataclass
class Seen:
    """What one reader saw: versions with the digests of their items, in order, and errors."""

    versions: list[tuple[int, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class PollingReaders:
    """Readers in threads, each with a connection of its own, until the block ends."""

    def __init__(self, url: str, n_readers: int) -> None:
        self.seen = [Seen() for _ in range(n_readers)]
        self._readers = [ItemReader(url) for _ in range(n_readers)]
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._poll, args=pair)
            for pair in zip(self._readers, self.seen, strict=True)
        ]

    def __enter__(self) -> "PollingReaders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        for reader in self._readers:
            reader.close()

    def wait_until(self, has: Callable[[Seen], bool], readers: int, seconds: float = 300) -> None:
        """Wait until so many readers have seen something."""
        deadline = time.monotonic() + seconds
        while sum(map(has, self.seen)) < readers:
            assert time.monotonic() < deadline, "the readers don't come upon it"
            time.sleep(PAUSE_SECONDS / 4)

    def _poll(self, reader: ItemReader, seen: Seen) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopped.is_set()  # what stands at the end is seen by everybody
            try:
                pinned = reader.pin()
                if not seen.versions or seen.versions[-1][0] != pinned.version:
                    items = tuple(pinned.by_key.values())
                    digest = content_digest(items, pinned.scaling_constant)
                    seen.versions.append((pinned.version, digest))
            except Exception as error:
                seen.errors.append(f"{type(error).__name__}: {error}")
            self._stopped.wait(PAUSE_SECONDS)


def main(url: str, n_readers: int) -> None:
    with ExitStack() as stack:
        readers = stack.enter_context(PollingReaders(url, n_readers))
        print("polling", flush=True)  # noqa: T201 - read by the test
        sys.stdin.read()
    print(json.dumps([asdict(seen) for seen in readers.seen]))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
