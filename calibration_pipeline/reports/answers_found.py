"""What the screening found in a scale's answers, in words and shares."""

from dataclasses import dataclass

from calibration_pipeline.records import ScaleState, ScreeningCounts
from calibration_pipeline.reports.templating import UNKNOWN


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
