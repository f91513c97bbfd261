"""Fixtures that every test module may use, and how the tests share a machine."""

import os
import signal

import numba
import pytest

from calibration_pipeline_tests.database import database_url, embedded_server

__all__ = ["database_url", "embedded_server"]

_MOST_WORKERS = 4
_LONGEST_FILES = (
    "calibration_pipeline_tests/test_operations.py",
    "faults/test_faults.py",
    "sources/test_contract.py",
    "orchestration/test_staleness.py",
    "policy/test_exactness.py",
    "interfaces/test_cli_nights.py",
    "store/test_embedded.py",
    "orchestration/test_crashes.py",
    "orchestration/test_daemon.py",
    "store/test_migrations_with_data.py",
)
"""Files of half a minute: begun first, so that no worker ends alone with one of them."""


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pytest_configure() -> None:
    """Let what the tests start be ended by signals.

    A launcher may ignore some, as a shell does with SIGINT for what it puts in the background,
    and children inherit that: servers that tests end with Ctrl-C would live on for ever.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    for ending, handler in usual.items():
        if signal.getsignal(ending) is signal.SIG_IGN:
            signal.signal(ending, handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say what `pytest -n auto` means: a worker for each core; each has a PostgreSQL of its own."""
    return min(_cores(), _MOST_WORKERS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the longest files; a run in one process keeps the usual order."""
    if hasattr(config, "workerinput"):
        rank = {name: number for number, name in enumerate(_LONGEST_FILES)}
        items.sort(key=lambda item: rank.get("/".join(item.path.parts[-2:]), len(rank)))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Compute on one thread: what tests simulate is so small that more of them only wait.

    Tests of threads set the number that they need.
    """
    numba.set_num_threads(1)
