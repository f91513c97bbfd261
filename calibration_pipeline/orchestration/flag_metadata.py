"""What the Dagster UI shows of how flags stand: new, open and resolved ones apart."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

import dagster as dg

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.flag_reviews import (
    ACKNOWLEDGED,
    DISMISSED,
    OPEN,
    RESOLVED,
    RETIRED,
    is_new,
)
from calibration_pipeline.records import FlagReview


def of_reviews(reviews: Sequence[FlagReview], night: date) -> Metadata:
    """Counts that plot, and the new flags, the strongest evidence first."""
    statuses = Counter(review.status for review in reviews)
    new = sorted(
        (review for review in reviews if is_new(review, night)),
        key=lambda review: -abs(review.episode.newest.z),
    )
    resolved = sum(r.status == RESOLVED and r.since == night for r in reviews)
    return {
        "new flags": len(new),
        "open flags": statuses[OPEN],
        "acknowledged flags": statuses[ACKNOWLEDGED],
        "dismissed flags": statuses[DISMISSED],
        "flags of retired items": statuses[RETIRED],
        "resolved tonight": resolved,
        "new tonight": dg.MetadataValue.md(
            table(
                ("item", "reason", "z", "what", "compared with"),
                [_row(review) for review in new[:ROWS]],
            )
        ),
    }


def _row(review: FlagReview) -> tuple[str, ...]:
    flag = review.episode.newest
    compared = flag.compared_with + (f" ({flag.compared_on})" if flag.compared_on else "")
    return item_name(flag.key), flag.reason, f"{flag.z:.1f}", flag.explanation, compared
