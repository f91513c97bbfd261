"""Which items become anchors, and why others don't."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from calibration_pipeline.errors import AnchorSetError
from calibration_pipeline.policy.anchor_configuration import AnchorConfiguration
from calibration_pipeline.policy.anchor_evidence import AnchorEvidence
from calibration_pipeline.policy.anchor_selection import (
    CHOSEN_BEFORE,
    CHOSEN_NEW,
    NOT_NEEDED,
    select_anchors,
)
from calibration_pipeline.policy.anchor_spread import Strata, choose_spread
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.records import CalibrationState, FloatArray, ItemBank
from calibration_pipeline_tests.policy.states import make_state
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    NO_ANCHORS,
    draw_items,
    make_anchors,
    make_bank,
)

NIGHT = FIRST_DAY + timedelta(days=100)
SETTINGS = CalibrationConfiguration(
    minimum_anchors=2, anchors=AnchorConfiguration(share=0.25, difficulty_strata=4)
)


def state_of(
    bank: ItemBank, parameters: FloatArray, nights_ago: int, **changes: Any
) -> CalibrationState:
    state = make_state(bank, parameters, difficulty_se=0.08)
    counts = np.full(bank.n_items, 1000, np.int64)
    night = NIGHT - timedelta(days=nights_ago)
    return replace(state, partition=night, total_counts=counts, **changes)


def evidence_of(
    bank: ItemBank, truth: FloatArray, moved: dict[int, float] | None = None, **changes: Any
) -> AnchorEvidence:
    """A pool whose items have been what they are for 100 nights, but for those that moved."""
    tonight = truth.copy()
    for item, shift in (moved or {}).items():
        tonight[item, 1] += shift
    found = AnchorEvidence(
        bank=bank,
        state=state_of(bank, tonight, 0),
        earlier=state_of(bank, truth, 42),
        oldest=state_of(bank, truth, 90),
        anchors=NO_ANCHORS,
        flags={},
    )
    return replace(found, **changes)


@pytest.fixture
def truth() -> FloatArray:
    truth = draw_items(40, np.random.default_rng(3))
    truth[:, 1] = np.linspace(-2.0, 2.0, 40)
    return truth


def reasons_of(evidence: AnchorEvidence, settings: CalibrationConfiguration = SETTINGS) -> list:
    return [item.reason for item in select_anchors(evidence, settings).candidates]


def test_a_stable_pool_gives_its_share_spread_over_difficulty(truth: FloatArray) -> None:
    proposal = select_anchors(evidence_of(make_bank(40), truth), SETTINGS)
    assert len(proposal.keys) == 10
    chosen = [item for item in proposal.candidates if item.is_chosen]
    assert sorted(Counter(item.stratum for item in chosen).values()) == [2, 2, 3, 3]
    assert {item.reason for item in chosen} == {CHOSEN_NEW}
    assert {item.reason for item in proposal.candidates if not item.is_chosen} == {NOT_NEEDED}
    at = [int(key[0][1:]) for key in proposal.keys]
    np.testing.assert_array_equal(proposal.parameters, truth[at])
    assert (proposal.covariance[:, 1, 1] == pytest.approx(0.08**2)) is True
    assert "10 of 10 places filled from 40 items" in proposal.remarks["main"]


def test_every_reason_is_named(truth: FloatArray) -> None:
    bank = make_bank(40, is_retired=[j == 0 for j in range(40)])
    evidence = evidence_of(bank, truth, moved={1: 0.8, 2: -0.8})
    state, oldest = evidence.state, evidence.oldest
    assert oldest is not None
    total, window = state.total_counts.copy(), oldest.total_counts.copy()
    total[3], window[4] = 500, 0
    covariance, parameters = state.covariance.copy(), state.parameters.copy()
    covariance[5] *= 9.0
    parameters[6, 0] = SETTINGS.em.discrimination_bounds[1]
    carried_from = state.carried_from.copy()
    carried_from[7] = np.datetime64(NIGHT) - 30
    carried_from[8] = np.datetime64(NIGHT) - 90
    night = state.partition
    flags = {
        bank.keys[9]: [(night, "misfit_infit")],
        bank.keys[10]: [(night - timedelta(days=1), "misfit_infit")],
        bank.keys[11]: [(night - timedelta(days=60), "suspected_leak")],
        bank.keys[12]: [(night - timedelta(days=90), "suspected_leak")],
        bank.keys[13]: [(night - timedelta(days=60), "guessing_rise")],
    }
    evidence = replace(
        evidence,
        state=replace(
            state,
            total_counts=total,
            covariance=covariance,
            parameters=parameters,
            carried_from=carried_from,
        ),
        oldest=replace(oldest, total_counts=window),
        flags=flags,
    )
    reasons = reasons_of(evidence)
    for item, said in {
        0: "retired",
        1: "moved by +0.8",
        2: "moved by -0.8",
        3: "500 answers in all; more than 500 are needed",
        4: "no answers that are 90 days old",
        5: "which could hide one of",
        6: "at a bound",
        7: "changed shortly before 2026-03-12",
        9: "flagged: misfit_infit on 2026-04-11",
        11: "flagged: suspected_leak on 2026-02-10",
        13: "flagged: guessing_rise on 2026-02-10",
    }.items():
        assert said in reasons[item], item
    for item in (8, 10, 12):
        assert reasons[item] in (CHOSEN_NEW, NOT_NEEDED)


def test_an_edited_item_and_one_that_came_since_are_refused(truth: FloatArray) -> None:
    bank = make_bank(40)
    keys = [*bank.keys[:-2], ("i00037", 2), ("new", 1)]
    evidence = evidence_of(bank, truth)
    reasons = reasons_of(replace(evidence, bank=replace(bank, keys=tuple(keys))))
    assert reasons[37] == "edited: there is a newer version of it"
    assert "too few answers to say whether it moved" in reasons[38]
    assert "0 answers in all" in reasons[39]


def test_present_anchors_stay_where_they_are_held_and_drifted_ones_go(truth: FloatArray) -> None:
    bank = make_bank(40)
    anchors = make_anchors(bank, range(8), truth + np.array([0.0, 0.02, 0.0]))
    evidence = evidence_of(bank, truth)
    is_anchor = np.arange(40) < 8
    shadow, parameters = truth.copy(), truth.copy()
    parameters[:8] = anchors.parameters
    shadow[0, 1] += 0.6
    state = replace(
        evidence.state, is_anchor=is_anchor, shadow_parameters=shadow, parameters=parameters
    )
    proposal = select_anchors(replace(evidence, state=state, anchors=anchors), SETTINGS)
    kept = [item for item in proposal.candidates if item.is_present and item.is_chosen]
    assert [item.key for item in kept] == list(bank.keys[1:8])
    assert {item.reason for item in kept} == {CHOSEN_BEFORE}
    assert "moved by +0.58" in proposal.candidates[0].reason
    np.testing.assert_array_equal(proposal.parameters[:7], anchors.parameters[1:])
    assert not proposal.covariance[:7].any()
    assert proposal.covariance[7:, 1, 1].all()
    assert len(proposal.keys) == 10
    # The easiest stratum has more than its share already: each of the others gets a new one.
    new = [item for item in proposal.candidates if item.is_chosen and not item.is_present]
    assert [item.stratum for item in new] == [2, 3, 4]


def test_without_history_present_anchors_serve_and_without_any_nothing_is_proposed(
    truth: FloatArray,
) -> None:
    bank = make_bank(40)
    anchors = make_anchors(bank, range(8), truth)
    young = evidence_of(bank, truth, oldest=None, earlier=None)
    with pytest.raises(AnchorSetError, match=r"main: 0 items qualify.*gets no anchors"):
        select_anchors(young, SETTINGS)
    proposal = select_anchors(replace(young, anchors=anchors), SETTINGS)
    assert proposal.keys == anchors.keys
    assert "its 8 present anchors stay" in proposal.remarks["main"]
    assert "stays, since too few items" in proposal.candidates[0].reason


def test_each_scale_has_a_share_of_its_own(truth: FloatArray) -> None:
    bank = make_bank(
        40, scales={"a": "3PL", "b": "3PL"}, scale_index=[int(j >= 24) for j in range(40)]
    )
    proposal = select_anchors(evidence_of(bank, truth), SETTINGS)
    chosen = Counter(item.scale for item in proposal.candidates if item.is_chosen)
    assert chosen == {"a": 6, "b": 4}


def test_a_scale_gets_the_anchors_that_a_night_links_by_and_says_so_where_it_cannot(
    truth: FloatArray,
) -> None:
    """A quarter of 40 items is 10; a set below the minimum would leave nights without a link."""
    evidence = evidence_of(make_bank(40), truth)
    linked = select_anchors(evidence, replace(SETTINGS, minimum_anchors=14))
    assert len(linked.keys) == 14
    assert "won't be linked" not in linked.remarks["main"]
    too_few = select_anchors(evidence, replace(SETTINGS, minimum_anchors=25))
    assert len(too_few.keys) == 20
    assert "nights link by 25 or more" in too_few.remarks["main"]


def test_places_go_where_the_pool_is_represented_least() -> None:
    n = 240
    generator = np.random.default_rng(5)
    families = [f"f{k}" for k in generator.integers(0, 12, n)]
    strata = Strata.by_rank(generator.normal(size=n), families, 10)
    error = generator.uniform(0.05, 0.15, n)
    everybody, nobody = np.ones(n, bool), np.zeros(n, bool)
    chosen = choose_spread(strata, everybody, nobody, error, 30)
    assert chosen.sum() == 30
    assert (np.bincount(strata.difficulty[chosen]) == 3).all()
    of_family = Counter(np.array(families)[chosen])
    pool = Counter(families)
    assert all(abs(of_family[name] - 30 * pool[name] / n) < 1.5 for name in pool)
    again = choose_spread(strata, everybody, nobody, error, 30)
    np.testing.assert_array_equal(chosen, again)


def test_within_a_cell_the_item_known_best_is_taken_and_of_equals_the_first() -> None:
    strata = Strata(np.zeros(4, np.int64), [""] * 4)
    everybody, nobody = np.ones(4, bool), np.zeros(4, bool)
    error = np.array([0.2, 0.1, 0.1, 0.3])
    assert choose_spread(strata, everybody, nobody, error, 1).tolist() == [
        False,
        True,
        False,
        False,
    ]
    present = np.array([False, False, False, True])
    both = choose_spread(strata, everybody, present, error, 2)
    assert both.tolist() == [False, True, False, True]
    few = choose_spread(strata, present, nobody, error, 3)
    assert few.tolist() == present.tolist()
