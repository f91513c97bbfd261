"""Real processes for the tests: other owners of a server, other users of the machine."""

import multiprocessing
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 300.0
"""How long a test waits for another process: long enough for a busy machine."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    """Start a Python process that can import the project; its output is a pipe."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        **options,
    )


def bare_environment() -> dict[str, str]:
    """Give the variables of a process that inherits none of the pipeline's settings.

    What chooses the processor's kernels of linear algebra is kept: other ones round differently,
    and results are compared to the byte.
    """
    kernels = ("OPENBLAS_", "OMP_", "MKL_", "NUMBA_", "NPY_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME") or name.startswith(kernels)
    }
    return kept | {"PYTHONPATH": str(PROJECT)}


def as_user(name: str, function: Callable[..., Any], *arguments: object) -> Any:
    """Call a function in a process of another user; give its result, or raise its error.

    The process is a fork, so that it need not read a Python that only root can reach.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call_as, args=(name, sender, function, arguments))
    process.start()
    try:
        assert receiver.poll(PATIENCE_SECONDS), "the other user's process gave no answer"
        outcome = receiver.recv()
    finally:
        process.join(PATIENCE_SECONDS)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _call_as(name, sender, function, arguments):
    user = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    try:
        sender.send(function(*arguments))
    except Exception as error:
        sender.send(RuntimeError(f"{type(error).__name__}: {error}"))
