"""A store for dry runs: reads what there is, and keeps in memory what a run would write.

Nothing can be written by mistake: PostgreSQL refuses every change on its connections, and the lock
that writes go through is never taken. So a dry run also works while a calibration is under way.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    CandidateAbilities,
    ColdStartItem,
    ItemKey,
    ScaleExposure,
    SnapshotDraft,
    SnapshotItem,
    SnapshotManifest,
)
from calibration_pipeline.store import history, snapshots, staleness
from calibration_pipeline.store.drafts import StoredDraft
from calibration_pipeline.store.dry_run_nights import DryRunNights, StateKey
from calibration_pipeline.store.publication import Publication
from calibration_pipeline.store.publication_switch import read_switch
from calibration_pipeline.store.stale_nights import AcceptedState


@dataclass
class RehearsedVersion:
    """A draft of a dry run and what would become of it.

    Attributes
    ----------
    stored, items
        The draft as it would be written.
    publication
        None if it would not be published.
    """

    stored: StoredDraft
    items: tuple[SnapshotItem, ...]
    publication: Publication | None = None

    @property
    def state_key(self) -> StateKey:
        """The state that it is of."""
        return self.stored.draft.partition, self.stored.draft.attempt


@dataclass
class DryRunStore(DryRunNights):
    """What `CalibrationStore` does, without a write."""

    _drafts: dict[int, RehearsedVersion] = field(init=False, default_factory=dict)
    _moved_current: int | None = field(init=False, default=None)

    # Drafts and versions

    def write_draft(self, draft: SnapshotDraft, items: Sequence[SnapshotItem]) -> int:
        """Keep a draft; give its number."""
        number = len(self._drafts) + 1
        digest = snapshots.content_digest(items, draft.scaling_constant)
        stored = StoredDraft(number, draft, digest, datetime.now(UTC), ())
        ordered = tuple(sorted(items, key=lambda item: item.key))
        self._drafts[number] = RehearsedVersion(stored, ordered)
        return number

    def draft(self, draft_id: int) -> StoredDraft:
        """Read a draft's header back."""
        return self._drafts[draft_id].stored

    def draft_items(self, draft_id: int) -> tuple[SnapshotItem, ...]:
        """Read a draft's items back."""
        return self._drafts[draft_id].items

    def record_audit(self, draft_id: int, findings: Sequence[AuditFinding]) -> None:
        """Keep what a draft's audit found."""
        kept = self._drafts[draft_id]
        kept.stored = replace(kept.stored, findings=tuple(sorted(findings, key=lambda f: f.rule)))

    def publish(self, draft_id: int) -> Publication:
        """Say what publishing a draft would do."""
        kept = self._drafts[draft_id]
        standing = self._standing_version(kept.stored)
        version = standing or self._next_version()
        current, held_back = self.current_version(), ""
        night = kept.stored.draft.partition
        stands_later = current is not None and night < self.manifest_of(current).partition
        if current != version and not stands_later:
            switch = read_switch(self.engine)
            if switch is not None and switch.is_frozen:
                held_back = switch.describe()
            else:
                self._moved_current = current = version
        kept.publication = Publication(version, standing is None, current, held_back)
        if self._moved_current == version:
            self._followed = version
        return kept.publication

    def rehearsed_version(self, state: CalibrationState) -> RehearsedVersion | None:
        """Give what would become of a state's draft; None if it has none."""
        own = (state.partition, state.attempt)
        found = [kept for kept in self._drafts.values() if kept.state_key == own]
        return found[-1] if found else None

    def version_of(self, state: CalibrationState) -> int | None:
        """Give the version that a state would be published as."""
        if (state.partition, state.attempt) not in self._states:
            return super().version_of(state)
        kept = self.rehearsed_version(state)
        return kept.publication.version if kept and kept.publication else None

    def failed_audit(self, state: CalibrationState) -> tuple[AuditFinding, ...]:
        """Read what the failed audit of a state's draft found; nothing if none failed."""
        kept = self.rehearsed_version(state)
        if kept is None:
            return super().failed_audit(state)
        return kept.stored.findings if kept.stored.state == "failed" else ()

    def held_back(self, version: int) -> str:
        """Say what would keep `current` from a version."""
        kept = self._new_versions().get(version)
        return (
            kept.publication.held_back if kept and kept.publication else super().held_back(version)
        )

    def current_version(self) -> int | None:
        """Give the version that engines would read."""
        return self._moved_current or super().current_version()

    def items_of(self, version: int) -> tuple[SnapshotItem, ...]:
        """Read a version's items."""
        kept = self._new_versions().get(version)
        return kept.items if kept else super().items_of(version)

    def audit_of(self, version: int) -> tuple[AuditFinding, ...]:
        """Read what a version's audit found."""
        kept = self._new_versions().get(version)
        return kept.stored.findings if kept else super().audit_of(version)

    def manifest_of(self, version: int) -> SnapshotManifest:
        """Read a version's manifest."""
        kept = self._new_versions().get(version)
        if kept is None:
            return snapshots.read_manifest(self.engine, version)
        draft = {name: getattr(kept.stored.draft, name) for name in SnapshotDraft.__annotations__}
        return SnapshotManifest(
            **draft,
            version=version,
            content_digest=kept.stored.content_digest,
            published_at=kept.stored.recorded_at,
        )

    def manifest_before(self, partition: date) -> SnapshotManifest | None:
        """Read the manifest of the newest version of an earlier night; None before the first."""
        version = self._newest_version_before(partition)
        return None if version is None else self.manifest_of(version)

    def published_before(self, partition: date) -> dict[ItemKey, SnapshotItem]:
        """Read the items of the newest version of an earlier night; empty before the first."""
        version = self._newest_version_before(partition)
        return {} if version is None else {item.key: item for item in self.items_of(version)}

    def exposure_of(self, version: int) -> tuple[ScaleExposure, ...]:
        """Read the newest exposure control of each scale of a version."""
        return () if version in self._new_versions() else super().exposure_of(version)

    def write_exposure(self, partition: date, version: int, control: ScaleExposure) -> None:
        """Keep nothing: no step reads it."""

    def write_cold_start(self, state: CalibrationState, items: Sequence[ColdStartItem]) -> None:
        """Keep nothing: no step reads it."""

    def write_abilities(self, partition: date, version: int, found: CandidateAbilities) -> None:
        """Keep nothing: no step reads them."""

    def staleness(self) -> staleness.Staleness:
        """Find the nights that would rest on superseded states."""
        accepted = [_accepted(state) for state in self._states.values() if state.is_accepted]
        found = staleness.read_staleness(self.engine, after=accepted)
        if self._moved_current is None:
            return found
        night = self.manifest_of(self._moved_current).partition
        why = next((stale.reason for stale in found.nights if stale.night == night), "")
        current = staleness.CurrentVersion(self._moved_current, night, why)
        return replace(found, current=current)

    def _new_versions(self) -> dict[int, RehearsedVersion]:
        """Those that would be minted, by number."""
        return {
            kept.publication.version: kept
            for kept in self._drafts.values()
            if kept.publication and kept.publication.is_new
        }

    def _next_version(self) -> int:
        newest = snapshots.list_snapshots(self.engine, limit=1)
        return len(self._new_versions()) + (newest[0].version if newest else 0) + 1

    def _newest_version_before(self, partition: date) -> int | None:
        stored = history.newest_version_before(self.engine, partition)
        kept = [
            (found.stored.draft.partition, version)
            for version, found in self._new_versions().items()
            if found.stored.draft.partition < partition
        ]
        if stored is not None:
            kept.append((snapshots.read_manifest(self.engine, stored).partition, stored))
        return max(kept)[1] if kept else None

    def _standing_version(self, stored: StoredDraft) -> int | None:
        """The night's newest version, if the draft says the same for the same reasons."""
        draft = stored.draft
        newest = history.newest_version_before(self.engine, draft.partition + timedelta(days=1))
        if newest is None:
            return None
        manifest = snapshots.read_manifest(self.engine, newest)
        published = super().state(draft.partition, manifest.attempt)
        drafted = self.state(draft.partition, draft.attempt)
        says_the_same = (
            manifest.partition == draft.partition
            and manifest.content_digest == stored.content_digest
            and manifest.scaling_constant == draft.scaling_constant
            and manifest.configuration == json.loads(json.dumps(draft.configuration))
            and published is not None
            and drafted is not None
            and published.digest == drafted.digest
        )
        return newest if says_the_same else None


def _accepted(state: CalibrationState) -> AcceptedState:
    """What staleness needs to know of a state, as the database would give it."""
    fitted = [scale for scale in state.scales if scale.fitted]
    linked = [s for s in fitted if s.linking_slope != 1.0 or s.linking_intercept != 0.0]
    return AcceptedState(
        key=(state.partition, state.attempt),
        digest=state.digest,
        parent=state.parent,
        fitted=frozenset(scale.name for scale in fitted),
        linked=frozenset(scale.name for scale in linked),
    )
