"""The store as a night sees it: one object for the database, the archive and the lock."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calibration_pipeline.records import (
    AnchorSet,
    AuditFinding,
    CalibrationState,
    CandidateAbilities,
    DayResponses,
    DayRevision,
    Flag,
    ItemBank,
    ItemKey,
    ScaleLink,
    SnapshotDraft,
    SnapshotItem,
)
from calibration_pipeline.store import (
    abilities,
    anchors,
    bank,
    extraction,
    history,
    results,
    runs,
    snapshots,
    states,
)
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.lock import CalibrationLock

DAYS_IN_MEMORY = 64
"""Archived days kept between the nights of a backfill: two windows."""
STATES_IN_MEMORY = 64
"""States and versions kept between the steps of a backfill; 2,400 items take 2 MB each."""


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
    """

    triggered_by: str
    orchestrator_run_id: str
    configuration: Mapping[str, Any]
    package_versions: Mapping[str, str]


@dataclass
class CalibrationStore(AbstractContextManager["CalibrationStore"]):
    """Read and write what nights need; entering it takes the calibration lock.

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
    """

    engine: sa.Engine
    archive: Archive
    timezone: ZoneInfo
    pseudonym_key: bytes
    context: RunContext
    _lock: CalibrationLock = field(init=False)
    _runs: dict[date, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        holder = f"run {self.context.orchestrator_run_id} ({self.context.triggered_by})"
        self._lock = CalibrationLock(self.engine, holder)
        # Revisions, states and versions never change once written; the pool stands as the run
        # found it, so that all of a run's steps see the same one.
        self._cached_day = lru_cache(maxsize=DAYS_IN_MEMORY)(self._read_day)
        self._cached_state = lru_cache(maxsize=STATES_IN_MEMORY)(self._read_state)
        self._cached_items = lru_cache(maxsize=STATES_IN_MEMORY)(self._read_items)
        self._cached_bank = lru_cache(maxsize=STATES_IN_MEMORY)(self._read_bank)
        self._cached_anchors = lru_cache(maxsize=STATES_IN_MEMORY)(self._read_anchors)

    def __enter__(self) -> Self:
        """Take the calibration lock."""
        self._lock.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        """Free the lock and close idle connections: a code server outlives many runs."""
        self._lock.__exit__(*exception)
        self.engine.dispose()

    # Runs

    def run_of(self, partition: date) -> str:
        """Give this run's row in the run log for a night; the first call writes it."""
        if partition not in self._runs:
            self._runs[partition] = runs.open_run(
                self.engine,
                partition=partition,
                triggered_by=self.context.triggered_by,
                configuration=self.context.configuration,
                package_versions=self.context.package_versions,
                orchestrator_run_id=self.context.orchestrator_run_id,
            )
        return self._runs[partition]

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
            self.engine,
            self.run_of(partition),
            outcome,
            counts=counts,
            timings=timings,
            reason=reason,
        )

    # Answers

    def extract_day(self, day: date, *, refresh: bool = False) -> DayRevision:
        """Archive one day's answers unless its newest revision still holds them all."""
        return extraction.extract_day(
            self.engine, self.archive, day, self.timezone, self.pseudonym_key, refresh=refresh
        )

    def days_due(self, first_night: date, window_days: int, *, refresh: bool = False) -> list[date]:
        """List the days before a night that have to be extracted for it.

        Those of its window whose source is not as it was archived (late answers, corrections, a
        log that is older than the first night), or all of them with `refresh`; and earlier days
        that every run has passed over: they are yet to be folded.
        """
        window = [first_night - timedelta(days=age) for age in range(window_days - 1, 0, -1)]
        due = set(history.days_passed_over(self.engine, first_night))
        if window and refresh:
            due |= set(window)
        elif window:
            due |= set(
                extraction.changed_days(
                    self.engine, self.archive, window[0], window[-1], self.timezone
                )
            )
        return sorted(due)

    def archived_days(self, days: Sequence[date]) -> dict[date, DayRevision]:
        """Give the newest revision of each of the days that has one."""
        return extraction.newest_revisions(self.engine, days)

    def day(self, day: date, revision: int | None = None) -> DayResponses:
        """Read an archived day; the newest revision unless one is named."""
        return self._cached_day(day, revision or self.archived_days([day])[day].revision)

    def _read_day(self, day: date, revision: int) -> DayResponses:
        return extraction.read_day(self.engine, self.archive, day, revision)

    # Pool

    def bank(self, as_of: date) -> ItemBank:
        """Read the pool as decided up to a day."""
        return self._cached_bank(as_of)

    def _read_bank(self, as_of: date) -> ItemBank:
        return bank.read_bank(self.engine, as_of)

    def anchors(self, as_of: date) -> AnchorSet:
        """Read the anchor set in force on a day."""
        return self._cached_anchors(as_of)

    def _read_anchors(self, as_of: date) -> AnchorSet:
        return anchors.read_anchor_set(self.engine, as_of)

    # States

    def next_attempt(self, partition: date) -> int:
        """Number the next try at a night."""
        return states.next_attempt(self.engine, partition)

    def write_state(self, state: CalibrationState) -> None:
        """Store a night's state under this run."""
        states.write_state(self.engine, state, self.run_of(state.partition))

    def state(self, partition: date, attempt: int | None = None) -> CalibrationState | None:
        """Read a night's state, its newest attempt unless one is named."""
        chosen = attempt or states.next_attempt(self.engine, partition) - 1
        return self._cached_state(partition, chosen) if chosen else None

    def _read_state(self, partition: date, attempt: int) -> CalibrationState | None:
        return states.read_state(self.engine, partition, attempt)

    def newest_accepted_state(self, before: date) -> CalibrationState | None:
        """Read the state that a night starts from: of the newest earlier partition with one."""
        key = history.newest_accepted_key(self.engine, before)
        return self.state(*key) if key else None

    def first_fitted_state(self, before: date, scale: str) -> CalibrationState | None:
        """Read the state that set a scale without anchors; None on its first night."""
        key = history.first_fitted_key(self.engine, before, scale)
        return self.state(*key) if key else None

    # Results

    def write_flags(self, state: CalibrationState, flags: Sequence[Flag]) -> None:
        """Store a state's flags."""
        run_id = self.run_of(state.partition)
        results.write_flags(self.engine, state.partition, state.attempt, run_id, flags)

    def flags(self, state: CalibrationState) -> tuple[Flag, ...]:
        """Read a state's flags."""
        return results.read_flags(self.engine, state.partition, state.attempt)

    def write_links(self, state: CalibrationState, links: Sequence[ScaleLink]) -> None:
        """Store a state's linking constants."""
        run_id = self.run_of(state.partition)
        results.write_links(self.engine, state.partition, state.attempt, run_id, links)

    def links(self, state: CalibrationState) -> tuple[ScaleLink, ...]:
        """Read a state's linking constants."""
        return results.read_links(self.engine, state.partition, state.attempt)

    # Versions

    def version_of(self, state: CalibrationState) -> int | None:
        """Give the version published from a state; None if none was."""
        return history.version_of_night(self.engine, state.partition, state.attempt)

    def published_before(self, partition: date) -> dict[ItemKey, SnapshotItem]:
        """Read the items of the newest version of an earlier night; empty before the first."""
        version = history.newest_version_before(self.engine, partition)
        return {} if version is None else {item.key: item for item in self.items_of(version)}

    def items_of(self, version: int) -> tuple[SnapshotItem, ...]:
        """Read a version's items."""
        return self._cached_items(version)

    def _read_items(self, version: int) -> tuple[SnapshotItem, ...]:
        return snapshots.read_snapshot_items(self.engine, version)

    def audit_of(self, version: int) -> tuple[AuditFinding, ...]:
        """Read what a version's audit found."""
        return snapshots.read_audit(self.engine, version)

    def current_version(self) -> int | None:
        """Give the version that engines read."""
        return snapshots.current_version(self.engine)

    def publish(
        self,
        draft: SnapshotDraft,
        items: Sequence[SnapshotItem],
        findings: Sequence[AuditFinding],
    ) -> int:
        """Publish a version; `current` follows unless it stands at a later night."""
        older = history.is_older_than_alias(self.engine, draft.partition, snapshots.CURRENT)
        return snapshots.publish(
            self.engine,
            draft,
            items,
            findings,
            fence_token=self._lock.token,
            moved_by=self.context.triggered_by,
            move_alias=not older,
        )

    def write_abilities(self, partition: date, version: int, found: CandidateAbilities) -> None:
        """Store a night's abilities in place of those that it had before."""
        abilities.write_abilities(self.engine, partition, version, found)
