"""The store as a night sees it: one object for the database, the archive and the lock."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
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
    due_days,
    extraction,
    history,
    late_answers,
    results,
    runs,
    snapshots,
    staleness,
    states,
)
from calibration_pipeline.store.archive import Archive
from calibration_pipeline.store.late_answers import LateDay
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
        keep_days, keep = lru_cache(DAYS_IN_MEMORY), lru_cache(STATES_IN_MEMORY)
        self._cached_day = keep_days(partial(extraction.read_day, self.engine, self.archive))
        self._cached_state = keep(partial(states.read_state, self.engine))
        self._cached_items = keep(partial(snapshots.read_snapshot_items, self.engine))
        self._cached_bank = keep(partial(bank.read_bank, self.engine))
        self._cached_anchors = keep(partial(anchors.read_anchor_set, self.engine))

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

    def extract_days_due(
        self, first_night: date, window_days: int, *, refresh: bool = False
    ) -> None:
        """Archive the days that are due before a night, as their source stands now.

        With `refresh` all that are yet to be folded, even where nothing seems to have changed.
        """
        due_days.extract_days_due(
            self.engine, self.archive, self.timezone, self.pseudonym_key,
            first_night, window_days, self._folded_through(first_night), refresh=refresh,
        )  # fmt: skip

    def late_answers(self, partition: date) -> tuple[LateDay, ...]:
        """List what has been extracted for days that a night finds folded since they were."""
        folded = self._folded_through(partition)
        return late_answers.archived_late_answers(self.engine, folded) if folded else ()

    def _folded_through(self, partition: date) -> date | None:
        """The last day in the carried information that a night starts from."""
        parent = self.newest_accepted_state(partition)
        return parent.folded_through if parent else None

    def archived_days(self, days: Sequence[date]) -> dict[date, DayRevision]:
        """Give the newest revision of each of the days that has one."""
        return extraction.newest_revisions(self.engine, days)

    def day(self, day: date, revision: int | None = None) -> DayResponses:
        """Read an archived day; the newest revision unless one is named."""
        return self._cached_day(day, revision or self.archived_days([day])[day].revision)

    # Pool

    def bank(self, as_of: date) -> ItemBank:
        """Read the pool as decided up to a day."""
        return self._cached_bank(as_of)

    def anchors(self, as_of: date) -> AnchorSet:
        """Read the anchor set in force on a day."""
        return self._cached_anchors(as_of)

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

    def newest_accepted_state(self, before: date) -> CalibrationState | None:
        """Read the state that a night starts from: of the newest earlier partition with one."""
        key = history.newest_accepted_key(self.engine, before)
        return self.state(*key) if key else None

    def first_fitted_state(self, before: date, scale: str) -> CalibrationState | None:
        """Read the state that set a scale without anchors; None on its first night."""
        key = history.first_fitted_key(self.engine, before, scale)
        return self.state(*key) if key else None

    def staleness(self) -> staleness.Staleness:
        """Find the nights that rest on superseded states."""
        return staleness.read_staleness(self.engine)

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
