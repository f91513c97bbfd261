"""Where the tests' servers keep their data: in memory, where there is room for it.

Each test has a database of its own, of five hundred files. A disk's file system takes longer to
create them the more of them were deleted within the last minutes: ext4 looks for an inode that
was not, one by one.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from calibration_pipeline.store.embedded import EmbeddedServer

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is ours alone
_PREFIX = "calibration-tests-"
_NEEDED_BYTES = 2 * 1024**3
"""A worker's server holds a quarter of it; a container's usual 64 MB would be too little."""


@contextmanager
def server_folder(on_disk: Path, memory: Path = MEMORY) -> Iterator[Path]:
    """Give a folder for a server's home; it is gone afterwards where it is in memory.

    Parameters
    ----------
    on_disk
        The folder to give where memory has no room.
    memory
        A file system in memory.
    """
    if not _has_room(memory):
        yield on_disk
        return
    _remove_what_killed_runs_left(memory)
    unnamed = Path(tempfile.mkdtemp(prefix=".", dir=memory))
    # Root's server runs as another user, who must be able to pass through.
    unnamed.chmod(0o711 if os.geteuid() == 0 else 0o700)
    with _held(unnamed):
        # Named once it is held: another run would take it for one that was left.
        folder = unnamed.rename(memory / f"{_PREFIX}{unnamed.name[1:]}")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def open_parent() -> Path:
    """Give a folder that every user may enter, for what a test makes and removes itself."""
    return MEMORY if _has_room(MEMORY) else Path("/tmp")  # noqa: S108 - with `mkdtemp` alone


def _has_room(memory: Path) -> bool:
    if not os.access(memory, os.W_OK):
        return False
    found = os.statvfs(memory)
    return found.f_bavail * found.f_frsize >= _NEEDED_BYTES


def _remove_what_killed_runs_left(memory: Path) -> None:
    """End the servers whose test runs are gone, and give their memory back."""
    for folder in memory.glob(f"{_PREFIX}*"):
        # Another user's, or held by the run that it belongs to.
        with suppress(OSError), _held(folder):
            EmbeddedServer(folder / "home").remove()
            shutil.rmtree(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
