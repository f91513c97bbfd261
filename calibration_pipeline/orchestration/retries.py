"""Which failures of a run are worth another try: those of the infrastructure, never a verdict."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import dagster as dg
from dagster._core.execution.plan.resume_retry import ReexecutionStrategy
from dagster._core.storage.tags import MAX_RETRIES_TAG, RETRY_NUMBER_TAG, RETRY_STRATEGY_TAG

from calibration_pipeline.errors import (
    ArchiveUnavailableError,
    ArchiveWriteError,
    CalibrationError,
    DatabaseUnavailableError,
    DiskFullError,
    EngineUnavailableError,
    LockHeldError,
    LockLostError,
    SourceUnavailableError,
)
from calibration_pipeline.store.connection import PASSING_DATABASE_ERRORS

RETRIES = 2
JOB_TAGS = {
    MAX_RETRIES_TAG: str(RETRIES),
    # From the start: what a night's steps tell each other is in the memory of one run.
    RETRY_STRATEGY_TAG: ReexecutionStrategy.ALL_STEPS.value,
}
NO_RETRY = {MAX_RETRIES_TAG: "0"}
"""Tags of a run that somebody waits for: who started it decides what is next."""

PATIENCE_SECONDS = 60.0
"""How long a run waits for a database or a lock. PostgreSQL is restarted in that time, and it has
noticed by then that the holder of a lock is dead. Dagster itself retries at once."""
_LONGEST_PAUSE_SECONDS = 15.0

_PASSING = (
    ArchiveUnavailableError,
    ArchiveWriteError,
    DatabaseUnavailableError,
    DiskFullError,
    EngineUnavailableError,
    LockHeldError,
    LockLostError,
    SourceUnavailableError,
)
_Opened = TypeVar("_Opened")


def is_passing(error: BaseException | None) -> bool:
    """Whether a failure may be gone by the next try: the database, the disk, or the lock.

    All else gives the same again: a verdict, an input that can't be used, a defect of the program.
    An error of our own says what it is, whatever caused it: a damaged file is no passing one.
    """
    causes = tuple(causes_of(error))
    ours = next((cause for cause in causes if isinstance(cause, CalibrationError)), None)
    if ours is not None:
        return isinstance(ours, _PASSING)
    return any(isinstance(cause, (OSError, *PASSING_DATABASE_ERRORS)) for cause in causes)


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, what caused it, what caused that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def forbid_retry(instance: dg.DagsterInstance, run_id: str) -> None:
    """See to it that Dagster doesn't retry a run.

    Dagster decides when a run fails, by the tags that the run has at that moment.
    """
    instance.add_run_tags(run_id, NO_RETRY)


def may_be_retried(tags: Mapping[str, str]) -> bool:
    """Whether a run is of those that Dagster retries, be this its last try or not."""
    return int(tags.get(MAX_RETRIES_TAG, "0")) > 0


def retries_left(tags: Mapping[str, str]) -> int:
    """Count how often a run with these tags may still be retried."""
    return int(tags.get(MAX_RETRIES_TAG, "0")) - int(tags.get(RETRY_NUMBER_TAG, "0"))


def patiently(
    open_it: Callable[[], _Opened],
    *,
    sleep: Callable[[float], None] = time.sleep,
    patience_seconds: float = PATIENCE_SECONDS,
) -> _Opened:
    """Call a function until it doesn't fail in a passing way, with longer and longer pauses.

    Raises
    ------
    CalibrationError
        What it fails with when patience has run out, or at once if that won't pass.
    """
    pause, waited = 1.0, 0.0
    while True:
        try:
            return open_it()
        except (DatabaseUnavailableError, LockHeldError):
            if waited >= patience_seconds:
                raise
        sleep(pause)
        waited += pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS, max(patience_seconds - waited, 0.1))
