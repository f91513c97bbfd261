"""What reviewers decide, and how long it holds."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.flag_configuration import FlagConfiguration
from calibration_pipeline.policy.flag_reasons import SUSPECTED_LEAK
from calibration_pipeline.policy.flag_reviews import is_new, review_flags, undismissed_flags
from calibration_pipeline.records import FlagDecision, FlagReview
from calibration_pipeline_tests.policy.flag_nights import KEY, LEVEL, Z, day, history

SETTINGS = CalibrationConfiguration(flags=FlagConfiguration(resolve_nights=3))


def decision(what: str, night: int, evidence: float = Z["C"]) -> FlagDecision:
    made = datetime(2026, 4, 1, tzinfo=UTC)
    return FlagDecision(KEY, LEVEL, what, day(night), evidence, "because", "r", made)


def review(nights: str, *decisions: FlagDecision, retired: dict | None = None) -> FlagReview:
    (found,) = review_flags(history(nights), decisions, retired or {}, SETTINGS)
    return found


def test_a_flag_is_new_on_its_first_night_alone():
    assert is_new(review("..C"), day(2))
    assert not is_new(review("..CC"), day(3))
    assert review("..CC").status == "open"


@pytest.mark.parametrize(
    ("nights", "decisions", "status", "since"),
    [
        ("CC", [], "open", 0),
        ("C...", [], "resolved", 3),
        ("CCC", [("acknowledge", 1)], "acknowledged", 1),
        ("CC...C", [("acknowledge", 1)], "open", 5),  # it was about the one before
        ("CCC", [("dismiss", 1)], "dismissed", 1),
        ("CC...C", [("dismiss", 1)], "dismissed", 1),  # a dismissal outlives the episode
        ("CCCG", [("dismiss", 1)], "open", 3),  # the evidence has grown
        ("CGCC", [("dismiss", 1)], "dismissed", 1),  # not since
        ("CCG...C", [("dismiss", 0)], "open", 6),  # had grown: what was decided then is void
        ("CCC", [("dismiss", 1), ("reopen", 2)], "open", 2),
        ("CCC", [("acknowledge", 0), ("dismiss", 1)], "dismissed", 1),
        ("CC...", [("acknowledge", 1)], "resolved", 4),
    ],
)
def test_what_a_decision_does(nights, decisions, status, since):
    made = [decision(*each) for each in decisions]
    found = review(nights, *made)
    assert (found.status, found.since) == (status, day(since))
    assert (found.decision is not None) == (
        status in ("acknowledged", "dismissed") or any(what == "reopen" for what, _ in decisions)
    )


def test_a_dismissed_flag_that_wakes_is_new():
    woken = review("CCG", decision("dismiss", 1))
    assert is_new(woken, day(2))


@pytest.mark.parametrize(("reason", "status"), [(SUSPECTED_LEAK, "open"), (LEVEL, "dismissed")])
def test_a_leak_that_is_found_anew_wakes_whatever_its_size(reason, status):
    """Its test began at zero after the dismissal: none of the evidence is that of the old one."""
    made = replace(decision("dismiss", 1), flag_reason=reason)
    (found,) = review_flags(history("CC...C", reason), [made], {}, SETTINGS)
    assert found.status == status


def test_a_decision_on_stronger_evidence_takes_more_to_wake():
    assert review("GGG", decision("dismiss", 1, Z["G"])).status == "dismissed"


def test_an_edited_item_is_another_item():
    """Its flags have another content version, and no decision on them."""
    nights = history("CC", key=(KEY[0], 2))
    (found,) = review_flags(nights, [decision("dismiss", 0)], {}, SETTINGS)
    assert found.status == "open"


def test_flags_of_retired_items_wait_for_nobody():
    assert review("CC", retired={KEY: day(1)}).status == "retired"
    assert review("C...", retired={KEY: day(1)}).status == "resolved"
    assert review("CC", retired={("i2", 1): date(2026, 1, 1)}).status == "open"


@pytest.mark.parametrize(
    ("nights", "decisions", "counting"),
    [
        ("Cwn.C", [], [0, 4]),  # what isn't credible never counts
        ("CC.C", [("dismiss", 1)], []),  # nor what was dismissed, then or later
        ("C....", [("dismiss", 0)], []),  # resolved in the meantime: dismissed all the same
        ("CC.GC", [("dismiss", 1)], [3]),  # the evidence has grown
        ("GC", [("dismiss", 1)], []),  # it was seen with the rest
        ("CC", [("dismiss", 1), ("reopen", 1)], [0, 1]),
        ("CC", [("acknowledge", 1)], [0, 1]),
    ],
)
def test_what_was_dismissed_speaks_against_no_item(nights, decisions, counting):
    made = [decision(*each) for each in decisions]
    found = undismissed_flags(history(nights), made, SETTINGS)
    assert found.get(KEY, []) == [(day(night), LEVEL) for night in counting]
