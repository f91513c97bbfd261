"""What the Dagster UI is told: values that it can plot, and tables that hold together."""

from dataclasses import replace
from datetime import date

import dagster as dg
import numpy as np
import pytest

from calibration_pipeline.orchestration import metadata
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import AuditFinding, DayRevision, Flag, ScaleLink
from calibration_pipeline.store.late_answers import LateDay
from calibration_pipeline_tests.store.examples import SCREENING, snapshot_items, state

FLAG = Flag(("i1", 1), "misfit_infit", 1.5, 1.0, 1.3, 4.0, True, "less predictable")
LINK = ScaleLink(
    "main", "stocking-lord", 1.01234567, -0.02, 30,
    {"i3@1": "drifted", "i4@1": "12 answers in the window", "i5@1": "3 answers in the window"},
    True,
)  # fmt: skip


def shown(found: metadata.Metadata) -> dict[str, object]:
    """Pass metadata through Dagster, which refuses what it can't show."""
    plain = dg.AssetMaterialization("asset", metadata=found).metadata
    return {name: value.value for name, value in plain.items()}


def test_a_cell_cannot_break_out_of_its_table() -> None:
    text = metadata.table(("a", "b"), [("x | y", "first\nsecond"), (1, None)])
    assert text.splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x \\| y | first second |",
        "| 1 | None |",
    ]


@pytest.mark.parametrize(
    ("key", "name"), [(("i1", 1), "i1"), (("i1", 2), "i1 (version 2)"), (("a b", 1), "a b")]
)
def test_an_item_is_named_with_its_version_where_there_are_more(
    key: tuple[str, int], name: str
) -> None:
    assert metadata.item_name(key) == name


def test_a_revision_says_how_much_there_is() -> None:
    found = shown(metadata.of_revision(DayRevision(date(2026, 3, 1), 2, "ab", 90, 6, {})))
    assert (found["dagster/row_count"], found["sessions"], found["revision"]) == (90, 6, 2)


def test_the_most_credible_flags_come_first_and_ten_are_shown() -> None:
    flags = [
        replace(FLAG, key=(f"i{n:02d}", 1), z=float((-1) ** n * n), is_credible=n >= 3)
        for n in range(15)
    ]
    found = shown(metadata.of_flags(flags))
    assert (found["flags"], found["credible flags"]) == (15, 12)
    rows = str(found["items to look at"]).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| i{n:02d}" for n in range(14, 4, -1)]
    assert "| misfit_infit | 12 | 15 |" in str(found["by reason"])


def test_no_flag_and_no_link_are_shown_too() -> None:
    assert shown(metadata.of_flags([]))["flags"] == 0
    links = shown(metadata.of_links([]))
    assert (links["slope"], links["intercept"], links["anchors used"]) == (1.0, 0.0, 0)


def test_anchors_left_out_are_counted_by_reason() -> None:
    found = shown(metadata.of_links([LINK]))
    assert (found["slope"], found["anchors used"], found["anchors left out"]) == (1.0123, 30, 3)
    assert "| drifted | 1 |" in str(found["why left out"])
    assert "| too few answers | 2 |" in str(found["why left out"])


def test_a_version_that_was_not_published_says_which_rule_failed() -> None:
    findings = [AuditFinding("bounds", False, "2 items: i1, i2"), AuditFinding("finite", True, "")]
    found = shown(metadata.of_snapshot(None, snapshot_items(), findings))
    assert found["version"] == "none published"
    assert "| bounds | NO | 2 items: i1, i2 |" in str(found["audit"])
    assert shown(metadata.of_snapshot(7, snapshot_items(), []))["version"] == 7


def test_a_rejected_state_says_why_even_before_anything_was_fitted() -> None:
    rejected = state(is_accepted=False, reasons=("not converged", "too wide"))
    found = shown(metadata.of_state(rejected, CalibrationConfiguration()))
    assert found["accepted"] is False
    assert found["reasons"] == "not converged; too wide"
    assert found["starts from"] == "the first night"


def test_items_whose_carried_information_was_dropped_are_counted_the_clearest_first() -> None:
    plain = state(n_items=20)
    shift = np.array([-0.1, 0.2] * 10) * np.arange(20)
    dropped = replace(
        plain,
        covariance=np.abs(plain.covariance),
        is_contradicted=np.arange(20) >= 5,
        carried_shift=shift,
        carried_shift_se=np.full(20, 0.05),
    )
    figures = shown(metadata.of_state(dropped, CalibrationConfiguration()))
    assert figures["items whose carried information was dropped"] == 15
    assert figures["days folded"] == 2
    rows = str(figures["carried information dropped"]).splitlines()[2:]
    assert len(rows) == 10
    assert rows[:2] == [
        "| i00019 (version 2) | +3.800 | 0.050 |",
        "| i00017 (version 2) | +3.400 | 0.050 |",
    ]
    assert "| i00018 | -1.800 | 0.050 |" in rows
    none = replace(dropped, is_contradicted=np.zeros(20, bool))
    figures = shown(metadata.of_state(none, CalibrationConfiguration()))
    assert figures["items whose carried information was dropped"] == 0


def test_late_answers_to_folded_days_are_summed_and_the_newest_days_listed() -> None:
    late = [LateDay(date(2026, 3, n), n - 1) for n in range(1, 13)]
    figures = shown(metadata.of_late_answers(late))
    assert figures["late answers to folded days"] == sum(range(12))
    assert figures["folded days that changed"] == 12
    rows = str(figures["late answers by day"]).splitlines()[2:]
    assert len(rows) == 10
    assert rows[0] == "| 2026-03-12 | 11 |"
    assert "| 2026-03-01 | corrected |" in str(
        shown(metadata.of_late_answers(late[:1]))["late answers by day"]
    )
    assert shown(metadata.of_late_answers([]))["late answers to folded days"] == 0


def test_what_was_found_in_the_answers_plots_over_all_scales() -> None:
    fitted = state()
    doubled = replace(fitted, scales=tuple(replace(s, screening=SCREENING) for s in fitted.scales))
    for found in (fitted, doubled):
        figures = shown(metadata.of_state(found, CalibrationConfiguration()))
        assert figures["share of rapid guesses"] == 0.005
        assert figures["share of repeated exposures"] == 0.02
        assert figures["share of aberrant sessions"] == 0.004
        assert figures["share of short sessions"] == pytest.approx(12 / 1512, abs=1e-4)
        omitted = sum(scale.screening.omitted for scale in found.scales)
        assert figures["items omitted"] == omitted
        assert (figures["items not reached"], figures["invalid answers"]) == (
            omitted * 50 / 40,
            omitted * 3 / 40,
        )


def test_what_cannot_be_known_is_left_out_instead_of_being_none() -> None:
    untimed = replace(SCREENING, timed_items=0, judged_sessions=0)
    fitted = state()
    first = replace(fitted, scales=(replace(fitted.scales[0], screening=untimed),))
    figures = shown(metadata.of_state(first, CalibrationConfiguration()))
    assert "share of rapid guesses" not in figures
    assert "share of aberrant sessions" not in figures
    nothing = replace(fitted, scales=fitted.scales[1:])
    assert "share of short sessions" not in shown(
        metadata.of_state(nothing, CalibrationConfiguration())
    )


def test_groups_are_listed_with_their_abilities_and_the_items_compared_between_them() -> None:
    figures = shown(metadata.of_state(state(), CalibrationConfiguration()))
    rows = str(figures["groups"]).splitlines()[2:]
    assert rows == [
        "| zeta | north, new | 0.300 | 0.000 | 0.333 | 1200 |",
        "| zeta | süd, known start | -0.500 | 0.700 | 0.900 | 300 |",
    ]
    assert figures["items compared between groups"] == 5
