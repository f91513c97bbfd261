"""Forks of this process that do one thing and report on it, whatever becomes of them."""

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

_PIPE_BYTES = 1 << 16


class Report(Protocol):
    """Sends facts, by name, to the parent; what was sent outlives a SIGKILL."""

    def __call__(self, **facts: Any) -> None:
        """Send them."""
        ...


class Child:
    """A fork of this process that runs a function.

    Parameters
    ----------
    function
        Called in the fork with a `Report`; the fork ends with it.

    Attributes
    ----------
    facts
        Everything that the child has reported so far.
    """

    def __init__(self, function: Callable[[Report], None]) -> None:
        self.facts: dict[str, Any] = {}
        self._status: int | None = None
        self._unread = b""
        self._pipe, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run(function, writing)
        os.close(writing)

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by a signal."""
        return self._status is not None and os.WIFSIGNALED(self._status)

    def signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._status is None:
            os.kill(self.pid, number)

    def wait_for(self, fact: str, timeout: float) -> bool:
        """Wait until it has reported a fact; give whether it has before its end."""
        return self._wait(timeout, lambda: fact in self.facts) and fact in self.facts

    def wait(self, timeout: float) -> bool:
        """Wait for its end; give whether it ended by itself, and kill it if it did not."""
        ended = self._wait(timeout, lambda: False)
        if not ended:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._pipe)
        return ended

    def wait_until_asleep(self, timeout: float) -> bool:
        """Wait until it has stopped itself; give whether it has, before its end."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._read(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                return True
            if pid:
                self._status = status
                return False
        return False

    def _wait(self, timeout: float, is_enough: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._read(0.01)
            if is_enough():
                return True
            if self._status is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._status = status if pid else None
            if self._status is not None:
                self._read(0)
                return True
        return False

    def _read(self, timeout: float) -> None:
        """Take in what has been reported; a last line that was cut short is left out."""
        while select.select([self._pipe], [], [], timeout)[0]:
            block = os.read(self._pipe, _PIPE_BYTES)
            if not block:
                time.sleep(timeout)
                return
            *lines, self._unread = (self._unread + block).split(b"\n")
            for line in lines:
                self.facts |= json.loads(line)


def _run(function: Callable[[Report], None], pipe: int) -> None:
    def report(**facts: Any) -> None:
        os.write(pipe, json.dumps(facts).encode() + b"\n")

    # The parent's way out of its blocks, and what it has yet to print, are not the fork's.
    with suppress(BaseException):
        try:
            function(report)
        except BaseException:
            report(crashed=traceback.format_exc())
    os._exit(0)
