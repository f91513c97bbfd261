from datetime import date

import numpy as np
import pytest

from calibration_pipeline.policy.gathering import gather
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import make_bank

BANK = make_bank(4)
ALL = np.ones(4, bool)


def test_what_was_not_tried_is_left_out_and_what_was_omitted_counts_as_wrong():
    outcomes = ["scored", "omitted", "invalid", "not_reached"]
    day = make_day([Session([0, 1, 2, 3], [1, 0, 0, 0], outcomes=outcomes)])
    found = gather([day], BANK, ALL)
    assert found.item.tolist() == [0, 1]
    assert found.correct.tolist() == [1, 0]
    assert found.is_scored.tolist() == [True, False]
    assert found.lengths.tolist() == [2]
    assert found.outcome_counts.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("code", [1, 2, 3])
def test_every_outcome_follows_its_own_policy(code):
    day = make_day(
        [
            Session(
                [0, 1, 2, 3], [1, 0, 0, 0], outcomes=["scored", "omitted", "not_reached", "invalid"]
            )
        ]
    )
    absent = tuple(place == code for place in range(4))
    assert gather([day], BANK, ALL, absent).item.tolist() == [j for j in range(4) if j != code]


def test_only_items_of_the_scale_are_counted_by_outcome():
    day = make_day([Session([0, 1], [0, 0], outcomes=["omitted", "omitted"])])
    in_scale = np.array([True, False, True, True])
    assert gather([day], BANK, in_scale).outcome_counts.tolist() == [0, 1, 0, 0]


def test_days_with_and_without_a_column_go_together():
    known = make_day([Session([0], [1], start=0.5, group="north", times=[900])])
    unknown = make_day([Session([1, 2], [1, 0])], date(2026, 3, 11))
    other = make_day([Session([3], [1], group="east")], date(2026, 3, 12))
    found = gather([known, unknown, other], BANK, ALL)
    assert found.time_ms.tolist() == [900, -1, -1, -1]
    assert found.starting_ability.tolist()[0] == 0.5
    assert np.isnan(found.starting_ability[1:]).all()
    assert found.group_names == ("east", "north")
    assert found.population_group.tolist() == [1, -1, 0]


def test_one_person_has_one_number_and_nobody_shares_that_of_the_unnamed():
    days = [
        make_day([Session([0], [1], "ann"), Session([0], [1]), Session([0], [1])]),
        make_day([Session([0], [1], "bob"), Session([0], [1], "ann"), Session([0], [1])]),
    ]
    people = gather(days, BANK, ALL).candidate
    assert people[0] == people[4]
    assert len(set(people.tolist())) == 5


def test_a_session_without_items_of_the_scale_keeps_its_place():
    day = make_day([Session([0], [1]), Session([1, 1], [0, 1]), Session([0], [1])])
    found = gather([day], BANK, np.array([False, True, False, False]))
    assert found.lengths.tolist() == [0, 2, 0]
    assert found.had_items.tolist() == [False, True, False]
    assert found.session.tolist() == [1, 1]


def test_leaving_sessions_out_takes_their_answers_alone():
    day = make_day([Session([0, 1], [1, 0], times=[5, 6]), Session([2], [1], times=[7])])
    rest = gather([day], BANK, ALL).of_sessions(np.array([False, True]))
    assert (rest.item.tolist(), rest.correct.tolist(), rest.time_ms.tolist()) == ([2], [1], [7])
    assert rest.lengths.tolist() == [0, 1]
