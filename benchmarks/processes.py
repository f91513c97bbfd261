"""Run a program on its own, with a time limit, and say what it took."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """How a program ended.

    Attributes
    ----------
    returncode
        Its exit status; negative for a signal.
    was_stopped
        Whether the time limit ended it.
    wall_seconds
        From start to end, imports included.
    peak_mib
        Largest resident memory of the process. Linux counts the parent's memory at the start, so
        the program that calls this has to stay small itself.
    last_line
        The last thing it wrote on its error output.
    """

    returncode: int
    was_stopped: bool
    wall_seconds: float
    peak_mib: float
    last_line: str

    @property
    def failure(self) -> str:
        """What went wrong, for a page that others read: the kind alone, since texts name files."""
        kind = self.last_line.partition(":")[0][:60]
        return f"failed: {kind or f'exit status {self.returncode}'}"


def run_limited(command: list[str], limit_seconds: float) -> Run:
    """Run `command` from the repository's root in a process group of its own.

    At the limit the whole group is ended.

    Raises
    ------
    OSError
        If the program can't be started.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        was_stopped = False
        try:
            pid = 0
            while not pid:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if not pid and time.perf_counter() - started > limit_seconds:
                    was_stopped = True
                    os.killpg(process.pid, signal.SIGKILL)
                    pid, status, usage = os.wait4(process.pid, 0)
                elif not pid:
                    time.sleep(POLL_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    unit = 1 if sys.platform == "darwin" else 1024  # macOS states bytes, Linux KiB
    return Run(
        returncode=process.returncode,
        was_stopped=was_stopped,
        wall_seconds=time.perf_counter() - started,
        peak_mib=usage.ru_maxrss * unit / 2**20,
        last_line=lines[-1] if lines else "",
    )
