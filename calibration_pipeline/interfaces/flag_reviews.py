"""Flags as they stand now and what reviewers decide on them, for the command line and HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_reviews import is_new, is_open, review_flags
from calibration_pipeline.records import FlagNight, FlagReview, ItemKey
from calibration_pipeline.store import flag_decisions, flags
from calibration_pipeline.store.bank import read_decisions, record_decision
from calibration_pipeline.store.connection import Database
from calibration_pipeline.store.history import newest_accepted_key

DECIDED_FROM = {
    "acknowledge": ("open",),
    "dismiss": ("open", "acknowledged"),
    "reopen": ("acknowledged", "dismissed"),
}
"""Decision on flags → how a flag must stand for it."""


class NothingToDecideError(BadInputError):
    """No flag of the item stands so that the decision could be made on it."""


@dataclass(frozen=True)
class FlagsNow:
    """Flags after the newest accepted night, with every decision that has been made.

    `night` is None before the first night.
    """

    night: date | None
    history: tuple[FlagNight, ...]
    reviews: tuple[FlagReview, ...]


def flags_now(
    database: Database, configuration: CalibrationConfiguration, key: ItemKey | None = None
) -> FlagsNow:
    """Read how flags stand; of one item alone, and all that nights found of it, if one is named."""
    night = flags.newest_flagged_night(database)
    if night is None:
        return FlagsNow(None, (), ())
    only_credible = configuration.flags.review_only_credible and key is None
    item_id = key[0] if key else None
    history = flags.read_flag_history(database, night, only_credible=only_credible, item_id=item_id)
    decisions = flag_decisions.read_flag_decisions(database, item_id=item_id)
    retired = flag_decisions.read_retirements(database, date.max)
    reviews = review_flags(history, decisions, retired, configuration)
    return FlagsNow(night, history, tuple(r for r in reviews if key in (None, r.episode.key)))


def chosen_reviews(now: FlagsNow, which: str) -> list[FlagReview]:
    """Choose flags that are 'open', 'new' (open since the newest night), or 'all' of them."""
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


def evidence_documents(key: ItemKey, now: FlagsNow) -> list[dict[str, Any]]:
    """Every night's flags of an item, oldest first, as flat rows."""
    return [
        {
            "night": night.partition,
            "reason": flag.reason,
            "value": flag.value,
            "reference": flag.reference,
            "compared_with": flag.compared_with,
            "compared_on": flag.compared_on,
            "threshold": flag.threshold,
            "z": flag.z,
            "is_credible": flag.is_credible,
            "explanation": flag.explanation,
        }
        for night in now.history
        for flag in night.flags
        if flag.key == key
    ]


def decision_documents(database: Database, key: ItemKey) -> list[dict[str, Any]]:
    """Decisions on the item's flags and on the item itself, in the order they were made."""
    on_flags = [
        {
            "decided_at": d.decided_at,
            "decision": d.decision,
            "about": d.flag_reason,
            "holds_from": d.night,
            "decided_by": d.decided_by,
            "reason": d.reason,
        }
        for d in flag_decisions.read_flag_decisions(database, item_id=key[0])
        if d.key == key
    ]
    on_item = [
        {
            "decided_at": d.decided_at,
            "decision": d.decision,
            "about": "the item",
            "holds_from": d.effective_from,
            "decided_by": d.decided_by,
            "reason": d.reason,
        }
        for d in read_decisions(database, key)
    ]
    return sorted([*on_flags, *on_item], key=lambda row: row["decided_at"])


def is_retired(database: Database, key: ItemKey) -> bool:
    """Say whether an item is retired, or will be from a later night on."""
    return key in flag_decisions.read_retirements(database, date.max)


def decide_on_flags(
    database: Database,
    configuration: CalibrationConfiguration,
    key: ItemKey,
    decision: str,
    *,
    flag: str | None,
    reason: str,
    decided_by: str,
) -> tuple[date, list[str]]:
    """Record a decision on those of an item's flags that it can be made on.

    Parameters
    ----------
    decision
        'acknowledge', 'dismiss' or 'reopen'.
    flag
        One of the item's flags; None: all that stand so.
    reason, decided_by
        Why, and who.

    Returns
    -------
    tuple[date, list[str]]
        The night as of which it was decided, and the flags.

    Raises
    ------
    NothingToDecideError
        No flag stands so that it could be decided on.
    BadInputError
        No reason was given.
    """
    now = flags_now(database, configuration, key)
    statuses: Sequence[str] = DECIDED_FROM[decision]
    chosen = [
        review
        for review in now.reviews
        if review.status in statuses and flag in (None, review.episode.reason)
    ]
    if now.night is None or not chosen:
        item = key[0] if key[1] == 1 else f"{key[0]}@{key[1]}"
        what = f"flag {flag}" if flag else "flag"
        raise NothingToDecideError(
            f"{item} has no {what} that is {' or '.join(statuses)}: "
            f"see `calibrate flags show {item}`"
        )
    flag_decisions.record_decisions(
        database,
        [review.episode for review in chosen],
        decision,
        night=now.night,
        reason=reason,
        decided_by=decided_by,
    )
    return now.night, [review.episode.reason for review in chosen]


def decide_on_item(
    database: Database,
    key: ItemKey,
    decision: str,
    *,
    reason: str,
    decided_by: str,
    first_night: date | None,
    first_day: date,
) -> date:
    """Retire an item ('retire') or take it back ('reopen'); give the first night it holds for.

    Parameters
    ----------
    first_night
        From when on; None: from the night after the newest.
    first_day
        Where there is no night yet.

    Raises
    ------
    BadInputError
        No reason was given.
    """
    if not reason.strip():
        raise BadInputError("a decision on an item needs a reason: say why with --reason")
    newest = newest_accepted_key(database, date.max)
    night = first_night or (newest[0] + timedelta(days=1) if newest else first_day)
    record_decision(
        database, key, decision, effective_from=night, reason=reason, decided_by=decided_by
    )
    return night
