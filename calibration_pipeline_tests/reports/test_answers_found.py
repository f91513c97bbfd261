"""What was found in the answers: counts, shares, and what can't be known."""

from dataclasses import replace
from datetime import date

from calibration_pipeline.records import ScreeningCounts
from calibration_pipeline.reports.answers_found import answers_found, late_answers_line
from calibration_pipeline_tests.policy.states import make_scale
from calibration_pipeline_tests.store.examples import SCREENING


def found(counts: ScreeningCounts) -> dict[str, tuple[int | None, str]]:
    scale = replace(make_scale(), screening=counts)
    return {finding.label: (finding.count, finding.share) for finding in answers_found(scale)}


def test_every_kind_is_counted_and_shares_say_of_what() -> None:
    assert found(SCREENING) == {
        "Sessions too short to inform": (12, "0.8% of sessions"),
        "Sessions that do not follow the model": (4, "0.4% of judged sessions"),
        "Rapid guesses": (150, "0.5% of answers"),
        "Answers to an item seen before": (600, "2.0% of answers"),
        "Items omitted": (40, "–"),
        "Items not reached": (50, "–"),
        "Answers declared invalid": (3, "–"),
    }


def test_without_times_or_an_earlier_fit_nobody_can_tell() -> None:
    shown = found(replace(SCREENING, timed_items=0, judged_sessions=0))
    assert shown["Rapid guesses"] == (None, "–")
    assert shown["Sessions that do not follow the model"] == (None, "–")


def test_short_sessions_alone_are_shown_and_no_sessions_are_not() -> None:
    assert found(ScreeningCounts(short_sessions=7))["Sessions too short to inform"] == (
        7,
        "100.0% of sessions",
    )
    assert found(ScreeningCounts(short_sessions=7))["Rapid guesses"] == (None, "–")
    assert found(ScreeningCounts()) == {}


def test_late_answers_are_told_in_a_line() -> None:
    first, second = date(2026, 3, 1), date(2026, 3, 9)
    assert late_answers_line({}) == ""
    assert late_answers_line({first: 1}) == (
        "1 answer to a day (2026-03-01) that had been folded in came too late to count."
    )
    assert late_answers_line({first: 2, second: 1000}) == (
        "1,002 answers to 2 days (2026-03-01 to 2026-03-09) that had been folded in came too late "
        "to count."
    )


def test_late_corrections_are_told_apart_from_late_answers() -> None:
    first, second = date(2026, 3, 1), date(2026, 3, 9)
    assert late_answers_line({second: 0}) == (
        "Answers to a day (2026-03-09) were corrected too late to count."
    )
    assert late_answers_line({first: 3, second: 0}).endswith(
        "came too late to count. Answers to a day (2026-03-09) were corrected too late to count."
    )
