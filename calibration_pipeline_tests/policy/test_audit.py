from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.audit import WrittenSnapshot, audit_snapshot
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
ITEMS = compose_snapshot(STATE, [LINK], BANK, ANCHORS, {}, SETTINGS)

ONCE = "every item of the pool stands once"
FINITE = "every value is finite"
BOUNDS = "every estimate lies within its bounds"
POSITIVE = "every covariance is positive semidefinite"
UNTOUCHED = "every anchor stands at its reference, to the bit"
LINKS = "linking constants lie within their bounds"
KEPT = "no trusted item is provisional again"
WRITTEN = "what was written is what was composed"
ERRORS = "every standard error is finite and not negative"
CONSTANT = "the scaling constant is that of the version before"
MOVED = "few trusted items have moved"
RULES = {
    ONCE, FINITE, BOUNDS, POSITIVE, UNTOUCHED, LINKS, KEPT, WRITTEN, ERRORS, CONSTANT, MOVED
}  # fmt: skip


def written(items=ITEMS, **changes) -> WrittenSnapshot:
    example = WrittenSnapshot(
        items=items,
        links=[LINK],
        scaling_constant=1.0,
        composed_digest="d" * 64,
        written_digest="d" * 64,
        bank=BANK,
        anchors=ANCHORS,
        previous={},
        previous_scaling_constant=None,
    )
    return replace(example, **changes)


def failed(items=ITEMS, **changes) -> dict[str, AuditFinding]:
    findings = audit_snapshot(written(items, **changes), SETTINGS)
    assert {finding.rule for finding in findings} == RULES
    return {finding.rule: finding for finding in findings if not finding.passed}


def with_item(position: int, **change):
    return (*ITEMS[:position], replace(ITEMS[position], **change), *ITEMS[position + 1 :])


def test_a_composed_snapshot_passes_every_rule():
    findings = audit_snapshot(written(), SETTINGS)
    assert {finding.rule for finding in findings} == RULES
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
    none = make_anchors(bank, [], state.parameters)
    items = compose_snapshot(state, [LINK], bank, none, {}, SETTINGS)
    bad = [replace(item, difficulty=9.0) for item in items]
    findings = audit_snapshot(written(bad, bank=bank, anchors=none), SETTINGS)
    (found,) = [finding for finding in findings if not finding.passed]
    assert found.detail.startswith("8 items: ")
    assert found.detail.count("i0000") == 5


def test_what_was_written_is_not_what_was_composed():
    found = failed(written_digest="e" * 64)
    assert set(found) == {WRITTEN}
    assert found[WRITTEN].detail == "digest eeeeeeeeeeee instead of dddddddddddd"


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01])
@pytest.mark.parametrize("field", ["discrimination_se", "difficulty_se", "guessing_se"])
def test_an_impossible_standard_error(field, value):
    assert set(failed(with_item(1, **{field: value}))) == {ERRORS}


def test_another_scaling_constant_than_before():
    assert not failed(previous_scaling_constant=1.0)
    found = failed(previous_scaling_constant=1.702)
    assert set(found) == {CONSTANT}
    assert found[CONSTANT].detail.startswith("D is 1, it was 1.702")


def moving_pool(n_items=10, *, moved, by=0.2, error=0.05, before=None, **after):
    """A pool of fitted, trusted items, the first `moved` of which move; gives both versions."""
    keys = make_bank(n_items).keys
    example = replace(ITEMS[1], track="trusted", source="fitted", difficulty=0.0)
    example = replace(example, difficulty_se=error)
    previous = {key: replace(example, key=key, **(before or {})) for key in keys}
    items = [
        replace(example, key=key, difficulty=by if j < moved else 0.0, **after)
        for j, key in enumerate(keys)
    ]
    bank = make_bank(n_items)
    return {
        "items": items,
        "previous": previous,
        "bank": bank,
        "anchors": make_anchors(bank, [], TRUTH),
    }


def test_too_many_trusted_items_moved():
    assert not failed(**moving_pool(moved=2))
    found = failed(**moving_pool(moved=3, by=-0.2))
    assert set(found) == {MOVED}
    assert found[MOVED].detail.startswith(
        "3 of 10 trusted items moved credibly (at most 20% may): ('i00000', 1) -0.20"
    )


@pytest.mark.parametrize(
    "pool",
    [
        {"by": 0.14, "error": 0.01},
        {"by": 0.2, "error": 0.07},
        {"n_items": 4, "moved": 4},
        {"before": {"source": "author"}},
        {"track": "provisional", "before": {"track": "provisional"}},
        {"source": "carried"},
    ],
    ids=["too little", "within the errors", "too few", "an author's guess", "provisional",
         "not estimated tonight"],
)  # fmt: skip
def test_items_that_do_not_count_as_moved(pool):
    assert not failed(**moving_pool(**{"moved": 10} | pool))
    assert MOVED in failed(**moving_pool(moved=10))


def test_items_that_are_new_have_moved_from_nowhere():
    pool = moving_pool(moved=10)
    assert not failed(**pool | {"previous": {}})
