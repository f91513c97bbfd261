"""Anchor sets: proposed, put in force from a night on, and never changed for nights before."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import AnchorSetError, BadInputError
from calibration_pipeline.records import AnchorCandidate, AnchorProposal
from calibration_pipeline.store.anchor_history import newest_version_of, read_anchor_history
from calibration_pipeline.store.anchor_sets import (
    activate_set,
    list_sets,
    next_night,
    propose_set,
    read_anchors,
    read_candidates,
    read_set,
)
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.runs import open_run
from calibration_pipeline_tests.store import examples
from calibration_pipeline_tests.store.anchor_programmes import store_night

NIGHT = examples.NIGHT
NEXT = NIGHT + timedelta(days=1)
DAY = timedelta(days=1)
KEYS = (("i1", 1), ("i2", 1))
DECISION = {"reason": "a review", "decided_by": "me"}


def proposal() -> AnchorProposal:
    """One item that was an anchor before, at its reference, and one at its estimate."""
    covariance = np.zeros((2, 3, 3))
    covariance[0] = np.diag([0.01, 0.04, 0.09]) + 0.001
    candidate = AnchorCandidate(
        ("i1", 1), "main", "f", False, True, "qualifies", 2, 0.1, 0.2, 700, np.nan, 0.1, 0.3
    )
    refused = replace(candidate, key=("i3", 1), is_chosen=False, reason="retired", stratum=None)
    values = np.array([[1.0 / 3.0, 0.1 + 0.2, 0.2], [1.25, -0.5, 0.2]])
    return AnchorProposal(NIGHT, KEYS, values, covariance, (candidate, refused), {"main": "said"})


def proposed(engine: sa.Engine) -> int:
    return propose_set(engine, proposal(), proposed_by="me", settings={"share": 0.12})


@pytest.fixture
def with_bank(engine: sa.Engine, bank_csv: Path) -> sa.Engine:
    import_bank(engine, bank_csv, "3PL")
    return engine


@pytest.fixture
def calibrated(with_bank: sa.Engine) -> sa.Engine:
    """One night has been calibrated under the imported anchors."""
    store_night(with_bank, examples.state())
    return with_bank


def test_a_proposal_comes_back_bit_by_bit_and_changes_nothing(calibrated: sa.Engine) -> None:
    before = read_anchor_set(calibrated, NEXT)
    number = proposed(calibrated)
    after = read_anchor_set(calibrated, NEXT)
    assert (after.anchor_set_id, after.digest) == (before.anchor_set_id, before.digest)
    found, made = read_anchors(calibrated, number), proposal()
    assert tuple(found) == KEYS
    assert [anchor.values for anchor in found.values()] == [*map(tuple, made.parameters.tolist())]
    assert found[KEYS[0]].covariance == tuple(made.covariance[0].ravel())
    assert found[KEYS[1]].covariance is None
    chosen, refused = read_candidates(calibrated, number)
    assert np.isnan(chosen.movement)
    assert replace(chosen, movement=0.0) == replace(made.candidates[0], movement=0.0)
    assert (refused.reason, refused.stratum) == ("retired", None)
    stored = read_set(calibrated, number)
    assert (stored.origin, stored.night, stored.proposed_by) == ("selected", NIGHT, "me")
    assert (stored.settings, stored.remarks) == ({"share": 0.12}, {"main": "said"})
    assert (stored.anchor_count, stored.activations) == (2, ())


def test_an_activated_set_is_in_force_from_the_next_night_on(calibrated: sa.Engine) -> None:
    before = read_anchor_set(calibrated, NIGHT)
    number = proposed(calibrated)
    assert next_night(calibrated) == NEXT
    assert activate_set(calibrated, number, **DECISION) == NEXT
    same = read_anchor_set(calibrated, NIGHT)
    assert (same.anchor_set_id, same.digest) == (before.anchor_set_id, before.digest)
    new = read_anchor_set(calibrated, NEXT)
    assert (new.anchor_set_id, new.keys) == (number, KEYS)
    np.testing.assert_array_equal(new.parameters, proposal().parameters)
    assert new.covariance is not None
    np.testing.assert_array_equal(new.covariance, proposal().covariance)
    (decision,) = read_set(calibrated, number).activations
    assert (decision.effective_from, decision.reason, decision.decided_by) == (
        NEXT,
        *DECISION.values(),
    )


def test_a_night_that_was_calibrated_keeps_its_set(calibrated: sa.Engine) -> None:
    number = proposed(calibrated)
    for night in (NIGHT, NIGHT - DAY):
        with pytest.raises(
            BadInputError, match=f"{night} has been calibrated.*later.*than {NIGHT}"
        ):
            activate_set(calibrated, number, effective_from=night, **DECISION)
    assert not read_set(calibrated, number).activations


def test_a_night_under_way_keeps_its_set(calibrated: sa.Engine) -> None:
    number = proposed(calibrated)
    open_run(
        calibrated, partition=NEXT, triggered_by="a test", configuration={}, package_versions={}
    )
    assert activate_set(calibrated, number, **DECISION) == NEXT + DAY


def test_the_latest_decision_counts_and_an_earlier_set_can_come_back(calibrated: sa.Engine) -> None:
    first = read_anchor_set(calibrated, NEXT).anchor_set_id
    assert first is not None
    second, third = proposed(calibrated), proposed(calibrated)
    later = NEXT + 5 * DAY
    activate_set(calibrated, second, effective_from=later, **DECISION)
    activate_set(calibrated, third, effective_from=later, **DECISION)
    activate_set(calibrated, second, **DECISION)
    activate_set(calibrated, first, effective_from=later + DAY, **DECISION)
    in_force = [read_anchor_set(calibrated, NIGHT + n * DAY).anchor_set_id for n in (0, 1, 5, 6, 7)]
    assert in_force == [first, second, second, third, first]
    listed = list_sets(calibrated)
    assert [stored.anchor_set_id for stored in listed] == [third, second, first]
    assert [a.effective_from for a in listed[-1].activations] == [None, later + DAY]


def test_what_can_not_be_activated_is_said(with_bank: sa.Engine) -> None:
    number = proposed(with_bank)
    with pytest.raises(BadInputError, match=r"no anchor set 99.*anchors list"):
        activate_set(with_bank, 99, **DECISION)
    with pytest.raises(BadInputError, match="needs a reason"):
        activate_set(with_bank, number, reason=" ", decided_by="me")
    with pytest.raises(AnchorSetError, match=r"no night has been calibrated yet.*--from"):
        activate_set(with_bank, number, **DECISION)
    activate_set(with_bank, number, effective_from=NIGHT, **DECISION)
    with pytest.raises(AnchorSetError, match=f"in force from {NIGHT} on already"):
        activate_set(with_bank, number, effective_from=NIGHT, **DECISION)


def test_a_new_scales_anchors_join_the_sets_in_force_later(
    calibrated: sa.Engine, tmp_path: Path
) -> None:
    activate_set(calibrated, proposed(calibrated), **DECISION)
    path = tmp_path / "more.csv"
    header = "item_id,discrimination,difficulty,guessing,is_anchor,scale"
    path.write_text(f"{header}\nr,1,1,0.2,true,reading\n")
    assert import_bank(calibrated, path, "3PL").anchors_added == 1
    assert read_anchor_set(calibrated, NIGHT).keys == (("i10", 1), ("i2", 1), ("r", 1))
    later = read_anchor_set(calibrated, NEXT)
    assert later.keys == (*KEYS, ("r", 1))
    assert later.covariance is not None
    np.testing.assert_array_equal(later.covariance[:2], proposal().covariance)
    path.write_text(f"{header}\nm,1,1,0.2,true,main\n")
    with pytest.raises(BadInputError, match=r"the scale 'main'.*anchors select"):
        import_bank(calibrated, path, "3PL")


def test_an_anchors_nights_are_kept_and_read(calibrated: sa.Engine) -> None:
    shared = examples.state(NEXT)
    variances = np.abs(shared.covariance)
    second = replace(shared, covariance=variances, is_anchor=np.ones(5, bool))
    store_night(calibrated, second)
    store_night(calibrated, replace(second, attempt=2, parameters=second.parameters + 1.0))
    store_night(calibrated, replace(second, partition=NEXT + DAY, is_accepted=False))
    key = second.keys[2]
    nights = read_anchor_history(calibrated, key)
    assert [(night.night, night.attempt) for night in nights] == [(NIGHT, 1), (NEXT, 2)]
    last = nights[-1]
    assert last.is_anchor
    assert last.difficulty == second.parameters[2, 1] + 1.0
    assert last.shift == second.shadow_parameters[2, 1] - last.difficulty
    assert last.shadow_se == pytest.approx(np.sqrt(variances[2, 1, 1]))
    assert len(read_anchor_history(calibrated, key, since=NEXT)) == 1
    assert read_anchor_history(calibrated, ("nobody", 1)) == ()
    assert newest_version_of(calibrated, key[0]) == key[1]
    assert newest_version_of(calibrated, "nobody") is None
