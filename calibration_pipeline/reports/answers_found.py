"""What was found in the answers, in words and shares: by the screening, and too late to count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from calibration_pipeline.records import ScaleState, ScreeningCounts
from calibration_pipeline.reports.templating import UNKNOWN, counted


@dataclass(frozen=True)
class Finding:
    """How often something was found, None where it can't be known; and of what it is which share.

    `share` is written out, '–' where there is nothing to relate the count to.
    """

    label: str
    count: int | None
    share: str


def answers_found(scale: ScaleState) -> tuple[Finding, ...]:
    """List what was found in the window's answers on a scale; nothing where there are none."""
    counts = scale.screening
    all_sessions = counts.sessions + counts.short_sessions
    if not all_sessions:
        return ()
    return (
        _of("Sessions too short to inform", counts.short_sessions, all_sessions, "sessions"),
        _of("Sessions that do not follow the model", *_aberrant(counts), "judged sessions"),
        _of("Rapid guesses", _rapid_guesses(counts), counts.answers, "answers"),
        _of("Answers to an item seen before", counts.repeated_exposures, counts.answers, "answers"),
        Finding("Items omitted", counts.omitted, UNKNOWN),
        Finding("Items not reached", counts.not_reached, UNKNOWN),
        Finding("Answers declared invalid", counts.invalid, UNKNOWN),
    )


def late_answers_line(by_day: Mapping[date, int]) -> str:
    """Say in a line what came for days that had been folded in; an empty string if nothing did.

    Parameters
    ----------
    by_day
        How many answers came for each day; 0 where answers were only corrected.
    """
    late = [day for day, answers in by_day.items() if answers]
    parts = []
    if late:
        answers, days = counted(sum(by_day.values()), "answer"), _named_days(late)
        parts.append(f"{answers} to {days} that had been folded in came too late to count.")
    if corrected := [day for day, answers in by_day.items() if not answers]:
        parts.append(f"Answers to {_named_days(corrected)} were corrected too late to count.")
    return " ".join(parts)


def _named_days(days: list[date]) -> str:
    """A single day by name, more of them by number and span."""
    if len(days) == 1:
        return f"a day ({days[0]})"
    return f"{counted(len(days), 'day')} ({min(days)} to {max(days)})"


def _aberrant(counts: ScreeningCounts) -> tuple[int | None, int]:
    """None where no session could be judged, as before the first fit."""
    return counts.aberrant_sessions if counts.judged_sessions else None, counts.judged_sessions


def _rapid_guesses(counts: ScreeningCounts) -> int | None:
    """None where no item has response times enough for a threshold."""
    return counts.rapid_guesses if counts.timed_items else None


def _of(label: str, count: int | None, total: int, noun: str) -> Finding:
    if count is None or not total:
        return Finding(label, count, UNKNOWN)
    return Finding(label, count, f"{count / total:.1%} of {noun}")
