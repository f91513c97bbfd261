"""The store as a night sees it: one object for the database, the archive and the lock."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    CandidateAbilities,
    ColdStartItem,
    ItemKey,
    ItemProposals,
    NightFigures,
    NightHistory,
    ScaleExposure,
    SnapshotDraft,
    SnapshotItem,
    SnapshotManifest,
)
from calibration_pipeline.store import (
    abilities,
    cold_start,
    drafts,
    exposure,
    history,
    night_history,
    publication,
    snapshots,
)
from calibration_pipeline.store.answer_store import AnswerStore
from calibration_pipeline.store.drafts import StoredDraft
from calibration_pipeline.store.publication import Publication
from calibration_pipeline.store.store_base import RunContext

__all__ = ["CalibrationStore", "RunContext"]

NIGHTS_LOOKED_BACK = 42
"""Six weeks: what a page shows over the nights, and less than the store keeps in memory."""


@dataclass
class CalibrationStore(AnswerStore):
    """Read and write what nights need; entering it takes the calibration lock.

    Its parts, each resting on the one before: `StoreBase` (lock and run log), `StateStore` (pool,
    states, flags, links), `AnswerStore` (days of answers), and here drafts and published versions.
    """

    _followed: int | None = field(init=False, default=None)

    def _take_over(self) -> None:
        """See which version engines read as the run begins.

        Whoever moves `current` from there while the run goes on is a person, and isn't overruled.
        """
        super()._take_over()
        self._followed = snapshots.current_version(self.engine)

    # Published versions

    def version_of(self, state: CalibrationState) -> int | None:
        """Give the version published from a state, or that stands for it; None if there is none.

        A night that is run again and gives the same state and the same values publishes nothing
        new: the version that it has stands for the new try as well.
        """
        key = state.partition, state.attempt
        version = history.version_of_night(self.engine, *key)
        if version is None and not drafts.failed_audit(self.engine, *key):
            version = snapshots.version_standing_for(self.engine, *key)
        return version

    def published_before(self, partition: date) -> dict[ItemKey, SnapshotItem]:
        """Read the items of the newest version of an earlier night; empty before the first."""
        version = history.newest_version_before(self.engine, partition)
        return {} if version is None else {item.key: item for item in self.items_of(version)}

    def manifest_of(self, version: int) -> SnapshotManifest:
        """Read a version's manifest."""
        return snapshots.read_manifest(self.engine, version)

    def manifest_before(self, partition: date) -> SnapshotManifest | None:
        """Read the manifest of the newest version of an earlier night; None before the first."""
        version = history.newest_version_before(self.engine, partition)
        return None if version is None else snapshots.read_manifest(self.engine, version)

    def items_of(self, version: int) -> tuple[SnapshotItem, ...]:
        """Read a version's items."""
        return self._cached_items(version)

    def audit_of(self, version: int) -> tuple[AuditFinding, ...]:
        """Read what a version's audit found."""
        return snapshots.read_audit(self.engine, version)

    def current_version(self) -> int | None:
        """Give the version that engines read."""
        return snapshots.current_version(self.engine)

    def held_back(self, version: int) -> str:
        """Say which decision keeps `current` from a version; an empty string if none does."""
        return publication.why_held_back(self.engine, version)

    # Drafts and publication

    @property
    def followed_version(self) -> int | None:
        """What `current` points at as far as this run knows: a new draft's parent."""
        return self._followed

    def write_draft(self, draft: SnapshotDraft, items: Sequence[SnapshotItem]) -> int:
        """Store a draft where no reader looks; give its number."""
        return drafts.write_draft(self._lock, draft, items)

    def draft(self, draft_id: int) -> StoredDraft:
        """Read a draft back from the database, without its items."""
        try:
            return drafts.read_draft(self.engine, draft_id)
        except BadInputError:
            with self._lock.begin():
                pass  # raises where a successor has removed it: this run has lost the lock
            raise

    def draft_items(self, draft_id: int) -> tuple[SnapshotItem, ...]:
        """Read a draft's items back from the database."""
        return drafts.read_draft_items(self.engine, draft_id)

    def record_audit(self, draft_id: int, findings: Sequence[AuditFinding]) -> None:
        """Store what a draft's audit found."""
        drafts.record_audit(self._lock, draft_id, findings)

    def failed_audit(self, state: CalibrationState) -> tuple[AuditFinding, ...]:
        """Read what the newest failed audit of a state's drafts found; nothing if none failed."""
        return drafts.failed_audit(self.engine, state.partition, state.attempt)

    def publish(self, draft_id: int) -> Publication:
        """Publish an audited draft; `current` follows unless it stands at a later night."""
        published = publication.publish(self._lock, draft_id, moved_by=self.context.triggered_by)
        if published.current == published.version:
            self._followed = published.version
        return published

    def night_history(self, through: date, items: Collection[ItemKey]) -> NightHistory:
        """Read what the nights up to one left behind, and what they estimated of some items."""
        states = night_history.accepted_keys(self.engine, through, NIGHTS_LOOKED_BACK)
        return NightHistory(
            since=states[0][0] if states else through,
            figures=self._night_figures(through),
            displacements=tuple(self._cached_displacement(*key) for key in states),
            estimates=night_history.read_estimates(self.engine, items, states),
            seconds=night_history.read_seconds(self.engine, through, NIGHTS_LOOKED_BACK),
            own_seconds=night_history.read_own_seconds(self.engine, through),
        )

    def _night_figures(self, through: date) -> tuple[NightFigures, ...]:
        published = night_history.newest_versions(self.engine, through, NIGHTS_LOOKED_BACK)
        if not published:
            return ()
        retired = self.retirements(through)
        errors = night_history.ability_errors(self.engine, published[0][0], through)
        return tuple(
            NightFigures(
                night,
                version,
                *self._cached_tracks(
                    version, frozenset(key for key, since in retired.items() if since <= night)
                ),
                *errors.get(night, (0, float("nan"))),
            )
            for night, version in published
        )

    def write_abilities(self, partition: date, version: int, found: CandidateAbilities) -> None:
        """Store a night's abilities in place of those that it had before."""
        abilities.write_abilities(self._lock, partition, version, found)

    # New items, and exposure

    def write_cold_start(self, state: CalibrationState, items: Sequence[ColdStartItem]) -> None:
        """Store where a state's new items should be shown."""
        key = state.partition, state.attempt
        cold_start.write_cold_start(self._lock, *key, self.run_of(state.partition), items)

    def exposure_of(self, version: int) -> tuple[ScaleExposure, ...]:
        """Read the newest exposure control of each scale of a version."""
        return exposure.read_exposure(self.engine, version)

    def exposure_attempts(
        self, version: int, attempts: Collection[int]
    ) -> tuple[ScaleExposure, ...]:
        """Read the exposure controls of a version that have these numbers."""
        return exposure.read_attempts(self.engine, version, attempts)

    def write_exposure(self, partition: date, version: int, control: ScaleExposure) -> None:
        """Store an exposure control for the version of a night."""
        exposure.write_exposure(
            self._lock,
            version,
            control,
            found_by=self.context.triggered_by,
            run_id=self.run_of(partition),
        )

    def item_proposals(self, first: date, last: date) -> tuple[ItemProposals, ...]:
        """Read what engines reported for some days, both ends included."""
        return exposure.read_proposals(self.engine, first, last)
