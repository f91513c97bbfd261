"""The scratch folder: where a day under way lies, and never longer than that.

Who works in a place there holds a lock on a file in it. The kernel drops the lock when its holder
dies, however it dies, so what a killed process has left is told from what somebody works on.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

_UNCLAIMED = timedelta(minutes=1)
"""A place without a lock is nobody's after this; it takes its owner some microseconds."""
_PREFIX = "day-"
_LOCK = "in-use"


def scratch_folder(home: Path) -> Path:
    """Give the scratch folder below the folder of everything that is kept on disk."""
    return home / "scratch"


@contextmanager
def private_place(folder: Path) -> Iterator[Path]:
    """Give a folder of one's own below the scratch folder, and remove it afterwards.

    Raises
    ------
    OSError
        It can't be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_PREFIX) as name:
        place = Path(name)
        descriptor = os.open(place / f"{_LOCK}.new", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Under its name it is locked from the first moment on.
            (place / f"{_LOCK}.new").rename(place / _LOCK)
            yield place
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> int:
    """Remove what processes have left that were killed, and give how many places that were.

    Parameters
    ----------
    folder
        The scratch folder; there need not be one.

    Raises
    ------
    OSError
        Something that nobody works on can't be removed.
    """
    removed = 0
    for place in sorted(folder.glob(f"{_PREFIX}*")):
        if _is_nobodys(place):
            with suppress(FileNotFoundError):  # somebody else is at it as well
                shutil.rmtree(place)
            removed += 1
    return removed


def _is_nobodys(place: Path) -> bool:
    try:
        descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        try:
            return place.stat().st_mtime < time.time() - _UNCLAIMED.total_seconds()
        except FileNotFoundError:  # its owner has just removed it
            return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
