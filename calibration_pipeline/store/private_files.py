"""Files that appear whole or not at all, and that their owner alone can read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from calibration_pipeline.errors import BadInputError


@contextmanager
def private_file(target: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place and rename it over whatever stands there at the end.

    The file is created with mode 0600. Whatever fails inside the block leaves `target` as it was.

    Yields
    ------
    IO[bytes]
        The file, open for writing.

    Raises
    ------
    BadInputError
        The folder or the file can't be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def require_writable(target: Path) -> None:
    """Try whether `private_file` could begin, for work that would be lost if it couldn't.

    Raises
    ------
    BadInputError
        There is no such folder, or no file can be made in it.
    """
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> BadInputError:
    return BadInputError(
        f"{target} can't be written ({error.strerror or error}): "
        "make room there, correct the folder's permissions, or choose another place"
    )
