"""``calibrate flags list``: flags by how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from calibration_pipeline.interfaces.cli.console import json_option, print_table
from calibration_pipeline.interfaces.cli.database import configured_database
from calibration_pipeline.interfaces.cli.flags.reading import FlagsNow, flags_now

if TYPE_CHECKING:
    from calibration_pipeline.records import FlagReview

_COLUMNS = {
    "item": "Item",
    "reason": "Flag",
    "z": "z",
    "status": "Status",
    "opened_on": "Opened",
    "last_seen": "Last seen",
    "nights_seen": "Nights",
    "explanation": "What",
}


@click.command("list")
@click.option("--open", "which", flag_value="open", default="open", help="What is open.  [default]")
@click.option("--new", "which", flag_value="new", help="What is open since the newest night.")
@click.option("--all", "which", flag_value="all", help="Dismissed and resolved ones too.")
@click.option("--reason", metavar="FLAG", help="One kind of flag, such as reference_drift.")
@json_option
def list_flags(which: str, reason: str | None, as_json: bool) -> None:
    """List flags, the strongest evidence first; open and acknowledged ones unless told otherwise.

    A flag is new on the night on which it opens, or wakes after having been dismissed.

    Example: calibrate flags list --new --reason reference_drift
    """
    with configured_database() as database:
        from calibration_pipeline.policy.flag_reasons import REASONS

        if reason is not None and reason not in REASONS:
            raise click.BadParameter(
                f"there is no flag {reason!r}: choose one of {', '.join(REASONS)}",
                param_hint="--reason",
            )
        now = flags_now(database)
    chosen = [r for r in _chosen(now, which) if reason in (None, r.episode.reason)]
    chosen.sort(key=lambda review: -abs(review.episode.newest.z))
    rows = [review_document(review) for review in chosen]
    empty = "No night has been calibrated yet: run `calibrate night`."
    if now.night is not None:
        empty = f"No flag to show as of the night of {now.night}."
    print_table(rows, _COLUMNS, as_json=as_json, empty=empty)


def _chosen(now: FlagsNow, which: str) -> list[FlagReview]:
    from calibration_pipeline.policy.flag_reviews import is_new, is_open

    if which == "all" or now.night is None:
        return list(now.reviews)
    if which == "new":
        return [review for review in now.reviews if is_new(review, now.night)]
    return [review for review in now.reviews if is_open(review)]


def review_document(review: FlagReview) -> dict[str, Any]:
    """One flag as a flat row."""
    episode, flag = review.episode, review.episode.newest
    item_id, version = episode.key
    return {
        "item": item_id if version == 1 else f"{item_id}@{version}",
        "item_id": item_id,
        "content_version": version,
        "reason": episode.reason,
        "status": review.status,
        "since": review.since,
        "opened_on": episode.opened_on,
        "last_seen": episode.last_seen,
        "nights_seen": len(episode.seen),
        "resolved_on": episode.resolved_on,
        "value": flag.value,
        "reference": flag.reference,
        "threshold": flag.threshold,
        "compared_with": flag.compared_with,
        "compared_on": flag.compared_on,
        "z": flag.z,
        "is_credible": flag.is_credible,
        "explanation": flag.explanation,
        "decision": review.decision.decision if review.decision else None,
        "decided_by": review.decision.decided_by if review.decision else None,
        "decision_reason": review.decision.reason if review.decision else None,
    }
