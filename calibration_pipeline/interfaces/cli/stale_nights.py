"""Stale nights as JSON, the same wherever a command names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

    from calibration_pipeline.store.staleness import Staleness


def stale_summary(staleness: Staleness, since: date) -> dict[str, Any] | None:
    """Give number, first, last, reason and remedy of the stale nights from a day on, or None."""
    nights = staleness.since(since)
    if not nights:
        return None
    return {
        "nights": len(nights),
        "first": nights[0].night,
        "last": nights[-1].night,
        "reason": f"{staleness.nights[0].night} {staleness.nights[0].reason}",
        "rejected_because": staleness.rejected_because or None,
        "command": staleness.command,
    }
