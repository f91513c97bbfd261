"""The store as a night sees it: one object for the database, the archive and the lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    CandidateAbilities,
    ItemKey,
    SnapshotDraft,
    SnapshotItem,
)
from calibration_pipeline.store import abilities, history, snapshots
from calibration_pipeline.store.answer_store import AnswerStore
from calibration_pipeline.store.store_base import RunContext

__all__ = ["CalibrationStore", "RunContext"]


@dataclass
class CalibrationStore(AnswerStore):
    """Read and write what nights need; entering it takes the calibration lock.

    Its parts, each resting on the one before: `StoreBase` (lock and run log), `StateStore` (pool,
    states, flags, links), `AnswerStore` (days of answers), and here the published versions.
    """

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
