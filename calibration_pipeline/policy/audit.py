"""The audit between writing and publishing: every rule is checked, and each says what it found."""

from collections.abc import Mapping, Sequence

import numpy as np

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.publication import ANCHOR, TRUSTED
from calibration_pipeline.records import (
    AnchorSet,
    AuditFinding,
    ItemBank,
    ItemKey,
    ScaleLink,
    SnapshotItem,
)


def audit_snapshot(
    items: Sequence[SnapshotItem],
    links: Sequence[ScaleLink],
    bank: ItemBank,
    anchors: AnchorSet,
    previous: Mapping[ItemKey, SnapshotItem],
    configuration: CalibrationConfiguration,
) -> tuple[AuditFinding, ...]:
    """Check a composed snapshot. It may be published only if every finding passed."""
    return (
        _every_item_once(items, bank),
        _values_are_finite(items),
        _values_within_bounds(items, configuration),
        _covariances_are_positive(items),
        _anchors_untouched(items, anchors),
        _links_within_bounds(links),
        _trust_is_kept(items, previous),
    )


def _finding(rule: str, offenders: Sequence[object], what: str) -> AuditFinding:
    if not offenders:
        return AuditFinding(rule, passed=True, detail="")
    shown = ", ".join(str(offender) for offender in offenders[:5])
    return AuditFinding(rule, passed=False, detail=f"{len(offenders)} {what}: {shown}")


def _every_item_once(items: Sequence[SnapshotItem], bank: ItemBank) -> AuditFinding:
    keys = [item.key for item in items]
    wrong = (
        [*(set(bank.keys) ^ set(keys)), *{key for key in keys if keys.count(key) > 1}]
        if (len(keys) != len(bank.keys) or tuple(keys) != bank.keys)
        else []
    )
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


def _values_within_bounds(
    items: Sequence[SnapshotItem], configuration: CalibrationConfiguration
) -> AuditFinding:
    em = configuration.em
    low, high = em.discrimination_bounds
    lowest, highest = em.difficulty_bounds
    wrong = [
        item.key
        for item in items
        if item.source not in (ANCHOR, "author")
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


def _links_within_bounds(links: Sequence[ScaleLink]) -> AuditFinding:
    wrong = [
        f"{link.scale} (slope {link.slope:.3f}, intercept {link.intercept:+.3f})"
        for link in links
        if not link.is_within_bounds
    ]
    return _finding("linking constants lie within their bounds", wrong, "scales")


def _trust_is_kept(
    items: Sequence[SnapshotItem], previous: Mapping[ItemKey, SnapshotItem]
) -> AuditFinding:
    wrong = [
        item.key
        for item in items
        if item.track != TRUSTED and item.key in previous and previous[item.key].track == TRUSTED
    ]
    return _finding("no trusted item is provisional again", wrong, "items")
