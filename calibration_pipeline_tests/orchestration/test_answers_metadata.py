"""What the Dagster UI is told of the answers: what was left out, and whether there are enough."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from calibration_pipeline.orchestration.answers_metadata import of_quarantine, of_readiness
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.readiness import assess_readiness
from calibration_pipeline.records import AnswerCounts, DayRevision
from calibration_pipeline.store.quarantine_reading import QuarantinedRow
from calibration_pipeline_tests.orchestration.test_metadata import shown
from calibration_pipeline_tests.simulated import make_bank

DAY = date(2026, 3, 1)
ROW = QuarantinedRow(
    DAY, "unknown_item", "0a1b2c3d", "4e5f6a7b", "who", 1,
    datetime(2026, 3, 1, 8, 0, 30, tzinfo=UTC), 1, None,
)  # fmt: skip


def test_what_was_left_out_is_counted_and_put_in_words_the_most_frequent_first() -> None:
    counts = {"non_binary_score": 1, "session_incomplete": 7, "unknown_item": 2}
    found = shown(of_quarantine(DayRevision(DAY, 2, "ab", 90, 6, counts), [ROW]))
    assert (found["quarantined"], found["share of bad rows"]) == (10, 0.03)
    rows = str(found["quarantined by reason"]).splitlines()[2:]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| session_incomplete", "7", "7.00%"],
        ["| unknown_item", "2", "2.00%"],
        ["| non_binary_score", "1", "1.00%"],
    ]
    assert "The bank has no such item" in rows[1]
    (example,) = str(found["examples of quarantined rows"]).splitlines()[2:]
    assert example == (
        "| unknown_item | 0a1b2c3d | 4e5f6a7b | `who` | 2026-03-01 08:00:30 UTC | `1` | `–` |"
    )


def test_a_sources_own_text_cannot_break_out_of_its_cell() -> None:
    hostile = replace(ROW, item_id="a|`<b>\n| x", candidate=None, answered_at=None, outcome="`")
    found = shown(of_quarantine(DayRevision(DAY, 1, "", 9, 1, {"unknown_item": 1}), [hostile]))
    (example,) = str(found["examples of quarantined rows"]).splitlines()[2:]
    assert example == "| unknown_item | 0a1b2c3d | – | `a\\|'<b>�\\| x` | – | `1, '` | `–` |"


def test_an_empty_day_has_nothing_to_show() -> None:
    found = shown(of_quarantine(DayRevision(DAY, 1, "", 0, 0, {}), []))
    assert (found["quarantined"], found["share of bad rows"]) == (0, 0.0)


def test_readiness_lists_scales_families_and_what_is_next() -> None:
    bank = replace(make_bank(3), content_families=("x", "x", None))
    counts = AnswerCounts(np.array([10, 700, 0]), np.array([10, 700, 0]), days=5)
    policy = CalibrationConfiguration()
    readiness = assess_readiness(bank, np.array([0, 1, 0]) > 0, np.zeros(3), counts, policy)
    found = shown(of_readiness(readiness, DAY, policy))
    assert found["scales that can be fitted"] == "none"
    assert (found["items"], found["items with answers"], found["items eligible"]) == (3, 2, 1)
    assert found["items that will never be eligible at this rate"] == 1
    rows = str(found["readiness"]).splitlines()[2:]
    assert rows == [
        "| main | all | 3 | 2 | 1 | 1 | i00001 (700) | 1 of 1 | 1 of 1 |",
        "| main | x | 2 | 2 | 1 | 1 | i00001 (700) | 1 of 1 | 1 of 1 |",
    ]
    (near,) = str(found["next to cross a threshold"]).splitlines()[2:]
    assert near == "| i00000 | 10 | 10 | 2.0 | 2026-03-09 | 2026-07-24 |"
