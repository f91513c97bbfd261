"""How a calculating process begins and ends. Light: the process needs nothing of the service."""

import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import wait


def begin(prepare: Callable[[], None]) -> None:
    """Begin a process: Ctrl-C is for the service, whose end is the process' end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)  # a thread has no other way to end its process
