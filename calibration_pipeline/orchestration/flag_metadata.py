"""What the Dagster UI shows of how flags stand: new, open and resolved ones apart."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

import dagster as dg

from calibration_pipeline.orchestration.metadata import ROWS, Metadata, item_name, table
from calibration_pipeline.policy.flag_reviews import (
    ACKNOWLEDGED,
    DISMISSED,
    RETIRED,
    count_flags,
    is_new,
)
from calibration_pipeline.records import FlagReview


def of_reviews(reviews: Sequence[FlagReview], night: date) -> Metadata:
    """Counts that plot, and the new flags, the strongest evidence first.

    'open flags' are those that `calibrate flags list` shows: new and acknowledged ones too.
    """
    statuses, counts = Counter(r.status for r in reviews), count_flags(reviews, night)
    new = sorted(
        (review for review in reviews if is_new(review, night)),
        key=lambda review: -abs(review.episode.newest.z),
    )
    return {
        "open flags": counts.open,
        "new flags": counts.new,
        "acknowledged flags": statuses[ACKNOWLEDGED],
        "dismissed flags": statuses[DISMISSED],
        "flags of retired items": statuses[RETIRED],
        "resolved tonight": counts.resolved,
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
