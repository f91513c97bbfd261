"""The audit between writing and publishing: every rule is checked, and each says what it found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.item_movement import difficulty_movement
from calibration_pipeline.policy.publication import ANCHOR, AUTHOR, FITTED, TRUSTED
from calibration_pipeline.records import (
    AnchorSet,
    AuditFinding,
    ItemBank,
    ItemKey,
    ScaleLink,
    SnapshotItem,
)

FEWEST_COMPARABLE = 5
"""Shares of fewer items say nothing: one that has really changed would stop a small pool."""


@dataclass(frozen=True)
class WrittenSnapshot:
    """A draft as it stands in the database, and what it is to be measured by.

    Attributes
    ----------
    items
        Read back from where they were written.
    links
        One per scale.
    scaling_constant
        The D that the discriminations are stated in.
    composed_digest, written_digest
        Of the items before they were written, and as they were read back.
    bank, anchors
        The pool, and the anchors in force.
    previous
        The items of the newest version of an earlier night; empty before the first.
    previous_scaling_constant
        That version's D; None before the first.
    """

    items: Sequence[SnapshotItem]
    links: Sequence[ScaleLink]
    scaling_constant: float
    composed_digest: str
    written_digest: str
    bank: ItemBank
    anchors: AnchorSet
    previous: Mapping[ItemKey, SnapshotItem]
    previous_scaling_constant: float | None


def audit_snapshot(
    written: WrittenSnapshot, configuration: CalibrationConfiguration
) -> tuple[AuditFinding, ...]:
    """Check a draft. It may be published only if every finding passed."""
    items = written.items
    return (
        _read_back_as_composed(written),
        _every_item_once(items, written.bank),
        _values_are_finite(items),
        _errors_are_possible(items),
        _values_within_bounds(items, configuration),
        _covariances_are_positive(items),
        _anchors_untouched(items, written.anchors),
        _scaling_constant_is_kept(written),
        _links_within_bounds(written.links),
        _few_items_moved(items, written.previous, configuration),
        _trust_is_kept(items, written.previous),
    )


def _finding(rule: str, offenders: Sequence[object], what: str) -> AuditFinding:
    if not offenders:
        return AuditFinding(rule, passed=True, detail="")
    shown = ", ".join(str(offender) for offender in offenders[:5])
    return AuditFinding(rule, passed=False, detail=f"{len(offenders)} {what}: {shown}")


def _read_back_as_composed(written: WrittenSnapshot) -> AuditFinding:
    composed, found = written.composed_digest, written.written_digest
    return AuditFinding(
        "what was written is what was composed",
        passed=composed == found,
        detail="" if composed == found else f"digest {found[:12]} instead of {composed[:12]}",
    )


def _every_item_once(items: Sequence[SnapshotItem], bank: ItemBank) -> AuditFinding:
    found = Counter(item.key for item in items)
    twice = [key for key, count in found.items() if count > 1]
    wrong = sorted({*(set(bank.keys) ^ set(found)), *twice})
    return _finding("every item of the pool stands once", wrong, "items missing, unknown or twice")


def _values_are_finite(items: Sequence[SnapshotItem]) -> AuditFinding:
    wrong = [
        item.key
        for item in items
        if not np.isfinite(
            [item.discrimination, item.difficulty, item.guessing, *item.covariance]
        ).all()
    ]
    return _finding("every value is finite", wrong, "items")


def _errors_are_possible(items: Sequence[SnapshotItem]) -> AuditFinding:
    wrong = [
        item.key
        for item in items
        if not all(
            0.0 <= error < np.inf  # neither is true of NaN
            for error in (item.discrimination_se, item.difficulty_se, item.guessing_se)
        )
    ]
    return _finding("every standard error is finite and not negative", wrong, "items")


def _values_within_bounds(
    items: Sequence[SnapshotItem], configuration: CalibrationConfiguration
) -> AuditFinding:
    em = configuration.em
    low, high = em.discrimination_bounds
    lowest, highest = em.difficulty_bounds
    wrong = [
        item.key
        for item in items
        if item.source not in (ANCHOR, AUTHOR)
        and not (
            low <= item.discrimination <= high
            and lowest <= item.difficulty <= highest
            and 0.0 <= item.guessing <= em.guessing_bounds[1]
        )
    ]
    return _finding("every estimate lies within its bounds", wrong, "items")


def _covariances_are_positive(items: Sequence[SnapshotItem]) -> AuditFinding:
    matrices = np.array([item.covariance for item in items]).reshape(-1, 3, 3)
    is_finite = np.isfinite(matrices).all(axis=(1, 2))
    smallest = np.full(len(items), -np.inf)
    smallest[is_finite] = np.linalg.eigvalsh(matrices[is_finite]).min(axis=1)
    wrong = [item.key for item, value in zip(items, smallest, strict=True) if value < -1e-9]
    return _finding("every covariance is positive semidefinite", wrong, "items")


def _anchors_untouched(items: Sequence[SnapshotItem], anchors: AnchorSet) -> AuditFinding:
    reference = {key: tuple(row) for key, row in zip(anchors.keys, anchors.parameters, strict=True)}
    published = {item.key: (item.discrimination, item.difficulty, item.guessing) for item in items}
    wrong = [key for key, values in reference.items() if published.get(key) != values]
    return _finding("every anchor stands at its reference, to the bit", wrong, "anchors")


def _scaling_constant_is_kept(written: WrittenSnapshot) -> AuditFinding:
    before, now = written.previous_scaling_constant, written.scaling_constant
    kept = before is None or before == now
    return AuditFinding(
        "the scaling constant is that of the version before",
        passed=kept,
        detail="" if kept else f"D is {now:g}, it was {before:g}: set it back in the settings",
    )


def _links_within_bounds(links: Sequence[ScaleLink]) -> AuditFinding:
    wrong = [
        f"{link.scale} (slope {link.slope:.3f}, intercept {link.intercept:+.3f})"
        for link in links
        if not link.is_within_bounds
    ]
    return _finding("linking constants lie within their bounds", wrong, "scales")


def _few_items_moved(
    items: Sequence[SnapshotItem],
    previous: Mapping[ItemKey, SnapshotItem],
    configuration: CalibrationConfiguration,
) -> AuditFinding:
    """Re-estimated items that engines trust; those that stand can't move, and would dilute it.

    An author's guess is no estimate to have moved from.
    """
    pairs = [
        (previous[item.key], item)
        for item in items
        if item.source == FITTED
        and item.track == TRUSTED
        and item.key in previous
        and previous[item.key].source != AUTHOR
    ]
    moved = []
    for before, after in pairs:
        shift, z = difficulty_movement(before, after)
        if abs(shift) > configuration.difficulty_drift and abs(z) > configuration.credible_z:
            moved.append(f"{after.key} {shift:+.2f}")
    limit = configuration.maximum_moved_share
    too_many = len(pairs) >= FEWEST_COMPARABLE and len(moved) > limit * len(pairs)
    what = f"of {len(pairs)} trusted items moved credibly (at most {limit:.0%} may)"
    return _finding("few trusted items have moved", moved if too_many else [], what)


def _trust_is_kept(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]
) -> AuditFinding:
    wrong = [
        item.key
        for item in items
        if item.track != TRUSTED and item.key in previous and previous[item.key].track == TRUSTED
    ]
    return _finding("no trusted item is provisional again", wrong, "items")
