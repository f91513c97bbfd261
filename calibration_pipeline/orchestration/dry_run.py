"""A dry run: the same job as at night, on a store that writes nothing, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from calibration_pipeline.orchestration.launch import run_nights
from calibration_pipeline.records import (
    AuditFinding,
    CalibrationState,
    Flag,
    ItemKey,
    ScaleLink,
    SnapshotItem,
)
from calibration_pipeline.store.dry_run_store import DryRunStore, RehearsedVersion
from calibration_pipeline.store.history import NightOutcome

STEPS = (
    "responses",
    "item_fits",
    "item_flags",
    "anchor_link",
    "calibration_snapshot",
    "candidate_abilities",
    "item_exposure",
    "cold_start",
    "night_outcome",
)
"""The chain without `nightly_report`, whose page is a file."""


@dataclass(frozen=True)
class Mover:
    """An item whose published difficulty would change, in units of theta."""

    key: ItemKey
    before: float
    after: float

    @property
    def change(self) -> float:
        """How much harder it would be."""
        return self.after - self.before


@dataclass(frozen=True)
class RehearsedNight:
    """What a night would come to.

    Attributes
    ----------
    outcome
        As the run log would tell it.
    state
        The fit with its verdict; None if there would be none.
    flags, links, findings
        As they would be stored; empty where the night would skip them.
    version
        The draft and what would become of it; None without one.
    movers
        Items by the size of their change against the version that engines read today.
    """

    outcome: NightOutcome
    state: CalibrationState | None
    flags: tuple[Flag, ...]
    links: tuple[ScaleLink, ...]
    findings: tuple[AuditFinding, ...]
    version: RehearsedVersion | None
    movers: tuple[Mover, ...]

    def flag_counts(self) -> dict[str, tuple[int, int]]:
        """Credible flags and all flags, by reason."""
        counts = Counter(flag.reason for flag in self.flags)
        credible = Counter(flag.reason for flag in self.flags if flag.is_credible)
        return {reason: (credible[reason], counts[reason]) for reason in sorted(counts)}

    def item_counts(self) -> dict[tuple[str, str], int]:
        """Items of the version by source and track."""
        items = self.version.items if self.version else ()
        return dict(sorted(Counter((item.source, item.track) for item in items).items()))


def rehearse_nights(
    definitions: dg.Definitions,
    store: DryRunStore,
    first: date,
    last: date,
    *,
    refresh: bool = False,
) -> list[RehearsedNight]:
    """Run a range of nights through the job without a row, a file or an event left behind.

    Parameters
    ----------
    definitions
        The chain on `store`.

    Raises
    ------
    BadInputError
        A night lies outside the partitions.
    CalibrationError
        Whatever would stop the run that a person can mend.
    """
    today = store.current_version()
    published = store.items_of(today) if today is not None else ()
    with dg.DagsterInstance.ephemeral() as instance:
        run_nights(
            definitions,
            instance,
            first,
            last,
            triggered_by="dry run",
            refresh=refresh,
            assets=STEPS,
        )
    try:
        return [_rehearsed_night(store, outcome, published) for outcome in store.outcomes]
    finally:
        store.engine.dispose()


def _rehearsed_night(
    store: DryRunStore, outcome: NightOutcome, published: Sequence[SnapshotItem]
) -> RehearsedNight:
    state = store.state(outcome.partition)
    version = store.rehearsed_version(state) if state else None
    is_accepted = state is not None and state.is_accepted
    return RehearsedNight(
        outcome=outcome,
        state=state,
        flags=store.flags(state) if state and is_accepted else (),
        links=store.links(state) if state and is_accepted else (),
        findings=version.stored.findings if version else (),
        version=version,
        movers=_movers(published, version.items if version else ()),
    )


def _movers(published: Sequence[SnapshotItem], items: Sequence[SnapshotItem]) -> tuple[Mover, ...]:
    before = {item.key: item.difficulty for item in published}
    found = [
        Mover(item.key, before[item.key], item.difficulty)
        for item in items
        if item.key in before and item.difficulty != before[item.key]
    ]
    return tuple(sorted(found, key=lambda mover: (-abs(mover.change), mover.key)))
