"""One table says what each reason means, and the code and the docs agree with it."""

import re
from datetime import timedelta

import pytest

from calibration_pipeline.policy.quarantine_reasons import (
    HARMLESS,
    QUARANTINE_REASONS,
    UNKNOWN,
    bad_rows,
    in_words,
    worst_reason,
)
from calibration_pipeline.store.quarantine import REASONS
from calibration_pipeline.store.sources.base import CLOCK_TOLERANCE
from calibration_pipeline.store.sources.normalising import LONGEST_SESSION
from calibration_pipeline_tests.processes import PROJECT
from calibration_pipeline_tests.test_docs import SETTING_ROW

PAGE = (PROJECT / "docs" / "readiness.md").read_text()


def test_every_reason_is_in_words_and_no_other() -> None:
    assert set(QUARANTINE_REASONS) == set(REASONS) - {""}


def test_the_page_says_the_same() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(name, r.meaning, r.remedy) for name, r in QUARANTINE_REASONS.items()]


def test_what_they_name_is_as_the_code_has_it() -> None:
    settings = (PROJECT / "docs" / "settings.md").read_text()
    known = {name for name, *_ in SETTING_ROW.findall(settings)}
    named = {
        name
        for reason in QUARANTINE_REASONS.values()
        for name in re.findall(r"CALIBRATION_\w+", reason.remedy)
    }
    assert named
    assert named <= known
    assert timedelta(minutes=5) == CLOCK_TOLERANCE
    assert "5 minutes" in QUARANTINE_REASONS["future_timestamp"].meaning
    assert timedelta(hours=18) == LONGEST_SESSION
    assert "18 hours" in QUARANTINE_REASONS["session_too_long"].meaning


def test_a_reason_of_another_version_has_words_too() -> None:
    assert in_words("out_of_fashion") is UNKNOWN


@pytest.mark.parametrize(
    ("counts", "bad", "worst"),
    [
        ({"unknown_item": 3, "session_incomplete": 90, "duplicate": 9}, 3, ("unknown_item", 3)),
        ({"null_score": 4, "unknown_item": 9}, 13, ("unknown_item", 9)),
        ({"unknown_item": 4, "null_score": 4}, 8, ("null_score", 4)),
    ],
)
def test_harmless_rows_are_neither_bad_nor_the_worst(
    counts: dict[str, int], bad: int, worst: tuple[str, int]
) -> None:
    assert bad_rows(counts) == bad
    assert worst_reason(counts) == worst


def test_good_answers_and_repeated_ones_are_harmless() -> None:
    assert HARMLESS == ("duplicate", "session_incomplete")
    assert bad_rows({}) == 0
