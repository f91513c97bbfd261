"""What the tests let processes calculate: in a module of its own, which they load quickly."""

import os
import time
from pathlib import Path

_PATIENCE_SECONDS = 300.0


def nothing() -> None:
    """Prepare nothing."""


def held_until(gate: Path, begun: Path) -> int:
    """Calculate until a file appears; give the process."""
    begun.touch()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not gate.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.getpid()


def leave_a_mark(mark: Path) -> None:
    """Show that it was called."""
    mark.touch()


def die() -> None:
    """End as a process does that has no memory left."""
    os._exit(9)
