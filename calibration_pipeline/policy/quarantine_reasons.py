"""Why rows are left out of a day: what each reason means, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class QuarantineReason:
    """A reason in words.

    Attributes
    ----------
    meaning
        What is the matter with the row.
    remedy
        What whoever looks after the source can do.
    is_harmless
        It doesn't count towards the share of a day that stops its night.
    """

    meaning: str
    remedy: str
    is_harmless: bool = False


QUARANTINE_REASONS: Mapping[str, QuarantineReason] = {
    "unknown_item": QuarantineReason(
        "The bank has no such item, or not in this content version.",
        "Import it (`calibrate import-bank`), or correct the source's item ids.",
    ),
    "null_score": QuarantineReason(
        "There is no score, and nothing says that the item was omitted, not reached or invalid.",
        "Have the source state an outcome or an answer code where it scores nothing.",
    ),
    "non_binary_score": QuarantineReason(
        "The score is neither 0 nor 1, or the answer code has no known meaning.",
        "Score items right or wrong; CALIBRATION_SOURCE__CODES says what a source's codes mean.",
    ),
    "future_timestamp": QuarantineReason(
        "The answer's time is more than 5 minutes later than the moment it was logged.",
        "Set the clock of the machine that states the times.",
    ),
    "session_inconsistent": QuarantineReason(
        "The session has two beginnings or two candidates.",
        "Give each session an id of its own, one candidate and one beginning.",
    ),
    "unknown_outcome": QuarantineReason(
        "The outcome is none of scored, omitted, not_reached and invalid.",
        "Correct the outcome in the source.",
    ),
    "missing_id": QuarantineReason(
        "The row lacks the id of its item, its session or its candidate.",
        "Find out why the source leaves it empty; check CALIBRATION_SOURCE__NAMES.",
    ),
    "missing_timestamp": QuarantineReason(
        "The row lacks the time of its answer.",
        "Have the source log when each answer was given.",
    ),
    "naive_timestamp": QuarantineReason(
        "The time has no offset from UTC, so it may be hours off.",
        "State times with an offset, or name the zone in CALIBRATION_SOURCE__NAIVE_TIMEZONE.",
    ),
    "unreadable_timestamp": QuarantineReason(
        "What stands for the time can't be read as one.",
        "State times in ISO 8601, such as 2026-03-29T08:00:00+01:00.",
    ),
    "malformed_answer": QuarantineReason(
        "An answer in a JSON document isn't an object with the fields that it needs.",
        "Mend the documents, or what writes them.",
    ),
    "session_too_long": QuarantineReason(
        "The session goes on for more than 18 hours without a pause.",
        "Look for an id that several people share, or for a script that answers without pause.",
    ),
    "duplicate": QuarantineReason(
        "The same answer is in the source more than once; the first one counts.",
        "Nothing is lost; stop the source from logging answers twice.",
        is_harmless=True,
    ),
    "conflicting_duplicate": QuarantineReason(
        "A session answers an item again, with another result or at another time.",
        "Keep the answer that was scored; give a later sitting a session id of its own.",
    ),
    "session_incomplete": QuarantineReason(
        "A good answer whose session lost another one: its items were chosen by all its answers.",
        "It counts again as soon as the session's other rows are mended.",
        is_harmless=True,
    ),
}
"""By the name that archive and database hold, in the order of the reports."""

HARMLESS = tuple(name for name, reason in QUARANTINE_REASONS.items() if reason.is_harmless)
"""Reasons that don't make a day bad: an answer that is there once more, and good answers that go
with their session."""


UNKNOWN = QuarantineReason(
    "A reason that this version of the program doesn't know.",
    "Ask the version of the program that extracted the day.",
)


def in_words(reason: str) -> QuarantineReason:
    """Give what is to be said of a reason; an archive may hold one of another version."""
    return QUARANTINE_REASONS.get(reason, UNKNOWN)


def bad_rows(counts: Mapping[str, int]) -> int:
    """Count the rows that make a day bad.

    Parameters
    ----------
    counts
        Rows that were left out, by reason.
    """
    return sum(rows for reason, rows in counts.items() if reason not in HARMLESS)


def worst_reason(counts: Mapping[str, int]) -> tuple[str, int]:
    """Give the reason of the most bad rows, with their number; the first by name of several.

    Parameters
    ----------
    counts
        Rows that were left out, by reason; at least one of them is bad.
    """
    bad = {reason: rows for reason, rows in counts.items() if reason not in HARMLESS}
    return min(bad.items(), key=lambda found: (-found[1], found[0]))
