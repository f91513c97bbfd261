"""What every part of the store stands on: the database, the archive, the lock and the run log."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from typing import Any, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.errors import DatabaseUnavailableError, LockLostError
from calibration_pipeline.store import (
    anchors,
    bank,
    extraction,
    item_priors,
    leak_watches,
    night_history,
    runs,
    snapshots,
    states,
)
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.lock import CalibrationLock
from calibration_pipeline.store.sources.base import ResponseSource
from calibration_pipeline.store.sources.native import NATIVE

DAYS_IN_MEMORY = 64
"""Archived days kept between the nights of a backfill: two windows."""
STATES_IN_MEMORY = 64
"""States and versions kept between the steps of a backfill; 2,400 items take 2 MB each."""
WATCHES_IN_MEMORY = 2
"""Leak watches kept between a night's steps; 2,400 items take 7 MB each."""

PRIORS_IN_MEMORY = 2
"""Fits of item priors kept between nights, of which a week's share one."""


@dataclass(frozen=True)
class RunContext:
    """Who runs, with what.

    Attributes
    ----------
    triggered_by
        A schedule, a person or a command.
    orchestrator_run_id
        Dagster's run.
    configuration, package_versions
        Logged with every night and stated in every version's manifest.
    is_partial
        Whether single steps are run by themselves, which says nothing of how the night ended.
    """

    triggered_by: str
    orchestrator_run_id: str
    configuration: Mapping[str, Any]
    package_versions: Mapping[str, str]
    is_partial: bool = False


@dataclass
class StoreBase(AbstractContextManager["StoreBase"]):
    """A database and an archive under the calibration lock, and the run log of one run.

    What a run writes, it writes through its lock: the fence is checked in the transaction of each
    write, so that a run which was succeeded can't add anything, however late it wakes up.

    Attributes
    ----------
    engine
        Of a database at the current schema revision.
    archive
        The archived days.
    timezone
        The zone in which a day begins.
    pseudonym_key
        Secret of the keyed hash for candidates and sessions.
    context
        Who runs, with what.
    source
        Where the answers come from.
    """

    engine: sa.Engine
    archive: Archive
    timezone: ZoneInfo
    pseudonym_key: bytes
    context: RunContext
    source: ResponseSource = NATIVE
    _lock: CalibrationLock = field(init=False)
    _runs: dict[date, str] = field(init=False, default_factory=dict)
    _ended: set[date] = field(init=False, default_factory=set)
    _failure: str = field(init=False, default="")

    def __post_init__(self) -> None:
        holder = f"run {self.context.orchestrator_run_id} ({self.context.triggered_by})"
        self._lock = CalibrationLock(self.engine, holder)
        # Revisions, states and versions never change once written; the pool stands as the run
        # found it, so that all of a run's steps see the same one.
        keep_days, keep = lru_cache(DAYS_IN_MEMORY), lru_cache(STATES_IN_MEMORY)
        self._cached_day = keep_days(partial(extraction.read_day, self.engine, self.archive))
        self._cached_state = keep(partial(states.read_state, self.engine))
        self._cached_watch = lru_cache(WATCHES_IN_MEMORY)(
            partial(leak_watches.read_leak_watch, self.engine)
        )
        self._cached_item_priors = lru_cache(PRIORS_IN_MEMORY)(
            partial(item_priors.read_item_priors, self.engine)
        )
        self._cached_items = keep(partial(snapshots.read_snapshot_items, self.engine))
        self._cached_bank = keep(partial(bank.read_bank, self.engine))
        self._cached_anchors = keep(partial(anchors.read_anchor_set, self.engine))
        self._cached_tracks = keep(partial(night_history.count_tracks, self.engine))
        self._cached_displacement = keep(partial(night_history.read_displacement, self.engine))

    def __enter__(self) -> Self:
        """Take the calibration lock, and take over from whoever held it before."""
        self._lock.__enter__()
        try:
            self._take_over()
        except BaseException:
            self._leave()
            raise
        return self

    def _take_over(self) -> None:
        """Log the runs that nobody ended as failed: their processes can't do so any more."""
        reason = f"{runs.ABANDONED}: its process stopped, or it lost the lock"
        runs.close_abandoned_runs(self._lock, reason)

    def __exit__(self, *exception: Any) -> None:
        """Log nights without an end as failed, free the lock and close idle connections.

        A code server outlives many runs.
        """
        try:
            self._end_open_runs()
        finally:
            self._leave()

    def _end_open_runs(self) -> None:
        left = [run_id for night, run_id in self._runs.items() if night not in self._ended]
        if left:
            # Without the lock or the database it is for the next run to say so.
            with suppress(LockLostError, DatabaseUnavailableError, sa.exc.DBAPIError):
                runs.close_abandoned_runs(self._lock, self._failure or runs.ABANDONED, left)

    def _leave(self) -> None:
        self._lock.__exit__(None, None, None)
        self.engine.dispose()

    def run_of(self, partition: date) -> str:
        """Give this run's row in the run log for a night; the first call writes it."""
        if partition not in self._runs:
            self._runs[partition] = runs.open_run(
                self._lock,
                partition=partition,
                triggered_by=self.context.triggered_by,
                configuration=self.context.configuration,
                package_versions=self.context.package_versions,
                orchestrator_run_id=self.context.orchestrator_run_id,
            )
            if self.context.is_partial:
                self.close_run(partition, "partial", counts={}, timings={}, reason=runs.PARTIAL)
        return self._runs[partition]

    def note_failure(self, reason: str) -> None:
        """Keep why the run fails, for the log of the nights that it leaves without an end."""
        self._failure = reason

    def close_run(
        self,
        partition: date,
        outcome: str,
        *,
        counts: Mapping[str, int],
        timings: Mapping[str, float],
        reason: str = "",
    ) -> None:
        """Log how the night ended."""
        runs.close_run(
            self._lock,
            self.run_of(partition),
            outcome,
            counts=counts,
            timings=timings,
            reason=reason,
        )
        self._ended.add(partition)
