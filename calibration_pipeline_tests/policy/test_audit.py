from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.audit import audit_snapshot
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.publication import compose_snapshot
from calibration_pipeline.records import AuditFinding, ScaleLink
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import draw_items, make_anchors, make_bank

SETTINGS = CalibrationConfiguration()
BANK = make_bank(5)
TRUTH = draw_items(5, np.random.default_rng(0))
ANCHORS = make_anchors(BANK, [0, 3], TRUTH)
LINK = ScaleLink("main", "stocking-lord", 1.01, -0.02, 9, {}, is_within_bounds=True)
STATE = make_state(BANK, TRUTH, is_anchor=[True, False, False, True, False])
ITEMS = compose_snapshot(STATE, [LINK], BANK, {}, SETTINGS)

ONCE = "every item of the pool stands once"
FINITE = "every value is finite"
BOUNDS = "every estimate lies within its bounds"
POSITIVE = "every covariance is positive semidefinite"
UNTOUCHED = "every anchor stands at its reference, to the bit"
LINKS = "linking constants lie within their bounds"
KEPT = "no trusted item is provisional again"


def failed(items=ITEMS, links=(LINK,), previous=None) -> dict[str, AuditFinding]:
    findings = audit_snapshot(items, links, BANK, ANCHORS, previous or {}, SETTINGS)
    return {finding.rule: finding for finding in findings if not finding.passed}


def with_item(position: int, **change):
    return (*ITEMS[:position], replace(ITEMS[position], **change), *ITEMS[position + 1 :])


def test_a_composed_snapshot_passes_every_rule():
    findings = audit_snapshot(ITEMS, [LINK], BANK, ANCHORS, {}, SETTINGS)
    assert {finding.rule for finding in findings} == {
        ONCE, FINITE, BOUNDS, POSITIVE, UNTOUCHED, LINKS, KEPT
    }  # fmt: skip
    assert all(finding.passed and finding.detail == "" for finding in findings)


@pytest.mark.parametrize(
    "items",
    [ITEMS[:-1], (*ITEMS, ITEMS[1]), (*ITEMS[:-1], ITEMS[1]), ()],
    ids=["missing", "twice", "twice for another", "empty"],
)
def test_an_item_missing_or_twice(items):
    assert ONCE in failed(items)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["discrimination", "difficulty", "guessing"])
def test_a_value_that_is_not_finite(field, value):
    assert FINITE in failed(with_item(1, **{field: value}))


def test_a_covariance_that_is_not_finite_is_a_finding_not_a_crash():
    found = failed(with_item(1, covariance=(np.nan,) * 9))
    assert {FINITE, POSITIVE} <= set(found)


@pytest.mark.parametrize(
    "change",
    [{"discrimination": 0.19}, {"discrimination": 3.1}, {"difficulty": -6.1},
     {"difficulty": 6.1}, {"guessing": 0.36}, {"guessing": -0.01}],
    ids=str,
)  # fmt: skip
def test_an_estimate_out_of_bounds(change):
    found = failed(with_item(1, **change))
    assert set(found) == {BOUNDS}
    assert "i00001" in found[BOUNDS].detail
    assert BOUNDS in failed(with_item(1, source="carried", **change))


def test_authors_may_say_what_they_like():
    assert not failed(with_item(1, source="author", discrimination=5.0))


def test_a_covariance_that_is_not_positive():
    indefinite = (1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    assert set(failed(with_item(1, covariance=indefinite))) == {POSITIVE}


def test_an_anchor_moved_by_one_bit():
    moved = float(np.nextafter(ITEMS[3].difficulty, 9.0))
    found = failed(with_item(3, difficulty=moved))
    assert set(found) == {UNTOUCHED}
    assert "i00003" in found[UNTOUCHED].detail


def test_a_link_out_of_bounds():
    found = failed(links=[replace(LINK, slope=1.4, is_within_bounds=False)])
    assert set(found) == {LINKS}
    assert "main (slope 1.400, intercept -0.020)" in found[LINKS].detail


def test_trust_that_is_lost():
    previous = {item.key: replace(item, track="trusted") for item in ITEMS}
    assert not failed(previous=previous)
    found = failed(with_item(1, track="provisional"), previous=previous)
    assert set(found) == {KEPT}


def test_a_long_list_of_offenders_is_cut():
    bank = make_bank(8)
    state = make_state(bank, draw_items(8, np.random.default_rng(1)))
    items = compose_snapshot(state, [LINK], bank, {}, SETTINGS)
    bad = [replace(item, difficulty=9.0) for item in items]
    none = make_anchors(bank, [], state.parameters)
    findings = audit_snapshot(bad, [LINK], bank, none, {}, SETTINGS)
    (found,) = [finding for finding in findings if not finding.passed]
    assert found.detail.startswith("8 items: ")
    assert found.detail.count("i0000") == 5
