"""A lock that processes of one machine take in turns, and that leaves no file behind."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calibration_pipeline.errors import DatabaseUnavailableError

_POLL_SECONDS = 0.05


@contextmanager
def exclusive_lock(path: Path, timeout: float = 120.0) -> Iterator[None]:
    """Hold the lock file while the body runs, and delete the file afterwards.

    The kernel drops the lock when its holder dies, however it dies; a file that a killed
    process left behind does not block anybody.

    Parameters
    ----------
    path
        The lock file; its folder must exist.
    timeout
        Seconds to wait for another holder.

    Raises
    ------
    DatabaseUnavailableError
        Another process held the lock for longer than `timeout`.
    """
    descriptor = _acquire(path, time.monotonic() + timeout)
    try:
        yield
    finally:
        # Deleted while still held: whoever waits on this file sees in `_acquire` that it is gone.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, deadline: float) -> int:
    """Open and lock `path`; give the file descriptor of the file that stands there."""
    while True:
        # O_NOFOLLOW: a link planted in the folder must not make us create a file elsewhere.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(descriptor, path):
                return descriptor
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"Another process has been starting or stopping the embedded database for too long "
                f"(it holds {path}): wait for it, or end it, and try again."
            )
        time.sleep(_POLL_SECONDS)


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Whether the path still leads to the open file: its last holder may have deleted it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
