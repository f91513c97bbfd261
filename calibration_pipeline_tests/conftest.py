"""Fixtures that every test module may use, and how the tests share a machine."""

import gc
import os
import signal
import time
from collections.abc import Iterator

import hypothesis
import numba
import pytest

from calibration_pipeline_tests.browser import screenshot_folder
from calibration_pipeline_tests.database import database_url, embedded_server, once

__all__ = ["database_url", "embedded_server", "once"]

# No test measures time: an example that compiles a kernel, or waits for a core, has not failed.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

_BEGAN = time.time()
_MOST_WORKERS = 5
_LONGEST_FILES = (
    "faults/test_faults.py",
    "orchestration/test_daemon.py",
    "interfaces/test_cli_nights.py",
    "sources/test_contract.py",
    "orchestration/test_staleness.py",
    "store/test_embedded.py",
    "orchestration/test_crashes.py",
    "store/test_migrations_with_data.py",
    "interfaces/test_dagster_storage.py",
    "policy/test_exactness.py",
    "policy/test_night_simulated.py",
    "orchestration/test_dry_run.py",
    "orchestration/test_folded_days.py",
    "orchestration/test_chain.py",
    "irt/test_common_uncertainty.py",
    "irt/test_em_recovery.py",
)
"""Files of ten seconds to two minutes: begun first, so that none is left to a worker at the end."""


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the pictures are that this run's browser has taken."""
    folder = screenshot_folder()
    taken = [path for path in folder.glob("*.png") if path.stat().st_mtime >= _BEGAN]
    if taken:
        terminalreporter.write_line(f"{len(taken)} screenshots in {folder}")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say what `pytest -n auto` means: one worker more than cores, up to a few.

    Some tests wait for servers and processes that they start, and leave a core to others. Each
    worker has a PostgreSQL of its own.
    """
    return min(_cores() + 1, _MOST_WORKERS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the longest files; a run in one process keeps the usual order."""
    if hasattr(config, "workerinput"):
        rank = {name: number for number, name in enumerate(_LONGEST_FILES)}
        items.sort(key=lambda item: rank.get("/".join(item.path.parts[-2:]), len(rank)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Spare the collector what lasts as long as the run: modules, and thousands of tests.

    It would go over their million objects again and again, a quarter of the time of collecting.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Let libraries find at the end that nothing of theirs is left."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Compute on one thread: what tests simulate is so small that more of them only wait.

    Tests of threads set the number that they need.
    """
    numba.set_num_threads(1)
