"""Differential functioning: found in a night's answers, kept in its state, flagged from there."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.differential import (
    DIFFERENTIAL_FUNCTIONING,
    differential_flags,
)
from calibration_pipeline.policy.flags import raise_flags
from calibration_pipeline.policy.night import calibrate_night
from calibration_pipeline.policy.simulated_programme import SimulationPlan, simulate_programme
from calibration_pipeline.records import CalibrationState, DayResponses, Flag, ItemDifference
from calibration_pipeline_tests.irt.group_problems import two_groups
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import (
    FIRST_DAY,
    NO_ANCHORS,
    day_from_data,
    make_anchors,
    make_bank,
    night_inputs,
)

SETTINGS = CalibrationConfiguration()
KEYS = make_bank(3).keys
SOUTH = ItemDifference(KEYS[0], "south", "north", 0.5, 0.1, -1.175, 0.235, 0.001)
WEST = ItemDifference(KEYS[0], "west", "north", -0.7, 0.1, 1.645, 0.235, 0.0001)


def flags_of(*differences: ItemDifference) -> list[Flag]:
    return list(differential_flags(differences, SETTINGS))


def test_an_item_beyond_the_threshold_is_flagged_with_its_size_and_evidence():
    (flag,) = flags_of(SOUTH, replace(SOUTH, key=KEYS[1], mh_delta=-0.9))
    assert (flag.key, flag.reason) == (KEYS[0], DIFFERENTIAL_FUNCTIONING)
    assert (flag.value, flag.reference, flag.threshold) == (-1.175, 0.0, 1.0)
    assert flag.z == pytest.approx(-5.0)
    assert flag.is_credible
    assert flag.explanation.startswith(
        "harder by 0.50 ± 0.10 for group south than for group north at equal ability (ETS class B)"
    )


def test_size_without_evidence_is_flagged_but_not_credible():
    (flag,) = flags_of(replace(WEST, adjusted_p_value=0.2))
    assert not flag.is_credible
    assert flag.explanation.startswith("easier by 0.70")


def test_evidence_without_size_is_not_flagged():
    assert flags_of(replace(SOUTH, mh_delta=-0.47, adjusted_p_value=1e-9)) == []


def test_an_item_that_differs_in_two_groups_has_one_flag():
    (flag,) = flags_of(SOUTH, WEST)
    assert flag.explanation.startswith("easier by 0.70 ± 0.10 for group west")
    assert "beyond the threshold for south too" in flag.explanation


SHIFTED = (0, 1, 2, 3, 4)
DRIFTED_ANCHOR = 20
ANCHORS = range(10, 30)


def answers_of_two_groups(returning: bool = False) -> tuple[np.ndarray, DayResponses]:
    """The truth of sixty items, five of them harder for the south, and a day of answers.

    The south is less able by 0.7. The second half of the sessions may be taken by the candidates
    of the first half again, many of whose items they have seen.
    """
    n_sessions = 6000
    shift = 1.0 * np.isin(np.arange(60), SHIFTED)
    problem = two_groups(0, n_sessions=n_sessions, answers=20, difficulty_shift=shift)
    day = day_from_data(FIRST_DAY, make_bank(60), replace(problem.data, cells=None))
    people = np.arange(n_sessions) % (n_sessions // 2 if returning else n_sessions)
    names = [f"candidate {number}".encode().ljust(16, b"\0") for number in people]
    return problem.truth, replace(
        day,
        candidate_pseudonyms=np.frombuffer(b"".join(names), "V16"),
        population_group=problem.group.astype(np.int32),
        group_names=("north", "south"),
    )


def night(
    day: DayResponses,
    truth: np.ndarray | None = None,
    settings: CalibrationConfiguration = SETTINGS,
) -> CalibrationState:
    """Calibrate the day; with the truth given, twenty items are anchors, one of which is off."""
    bank = make_bank(60)
    anchors = NO_ANCHORS
    if truth is not None:
        reference = truth.copy()
        reference[DRIFTED_ANCHOR, 1] -= 0.6
        anchors = make_anchors(bank, ANCHORS, reference)
    return calibrate_night(night_inputs(FIRST_DAY, [day], bank, anchors, settings), settings)


def flagged(state: CalibrationState) -> list[int]:
    """Numbers of the items that differ credibly."""
    flags = [f for f in raise_flags(state, None, SETTINGS) if f.reason == DIFFERENTIAL_FUNCTIONING]
    assert len({flag.key for flag in flags}) == len(flags)
    return [int(flag.key[0][1:]) for flag in flags if flag.is_credible]


@pytest.fixture(scope="module")
def once() -> tuple[np.ndarray, DayResponses]:
    return answers_of_two_groups()


@pytest.fixture(scope="module")
def anchored(once) -> CalibrationState:
    truth, day = once
    return night(day, truth)


def compared(state: CalibrationState) -> set[int]:
    return {int(found.key[0][1:]) for found in state.differences}


def test_a_night_finds_the_items_that_differ_and_no_anchor_that_is_off_for_everybody(anchored):
    expected = sorted(compared(anchored).intersection(SHIFTED))
    assert len(expected) >= 3
    assert DRIFTED_ANCHOR in compared(anchored)
    assert flagged(anchored) == expected
    assert {(d.group, d.reference) for d in anchored.differences} == {("south", "north")}
    shifts = [d.shift for d in anchored.differences if int(d.key[0][1:]) in SHIFTED]
    assert np.mean(shifts) == pytest.approx(1.0, abs=0.2)
    assert [d.key for d in anchored.differences] == sorted(d.key for d in anchored.differences)


def test_a_night_without_anchors_finds_them_too(once, anchored):
    assert flagged(night(once[1])) == flagged(anchored)


def test_answers_given_again_are_not_compared_and_mislead_nobody(once):
    truth, day = answers_of_two_groups(returning=True)
    state = night(day, truth)
    assert state.scales[0].screening.repeated_exposures > 10_000
    assert compared(state) <= set(range(60))
    assert len(state.differences) == len(compared(state))
    expected = compared(state).intersection(SHIFTED)
    assert len(expected) >= 2
    assert set(flagged(state)) == expected


def test_equal_answers_give_equal_differences_and_they_are_in_the_digest(once, anchored):
    truth, day = once
    again = night(day, truth)
    assert again.differences == anchored.differences
    assert again.digest == anchored.digest
    stricter = night(day, truth, replace(SETTINGS, differential_minimum_answers=100_000))
    assert stricter.differences == ()
    assert stricter.parameters.tobytes() == anchored.parameters.tobytes()


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, use_population_groups=False)])
def test_nothing_is_compared_without_two_groups_in_use(once, settings):
    truth, day = once
    if settings.use_population_groups:
        nobody = np.full(len(day.population_group), -1, np.int32)
        day = replace(day, population_group=np.where(day.population_group == 0, 0, nobody))
    assert night(day, truth, settings).differences == ()


def test_a_small_group_is_not_compared():
    sessions = [Session([0, 1, 2], [1, 0, 1], group="north") for _ in range(50)]
    sessions += [Session([0, 1, 2], [0, 0, 1], group="south") for _ in range(20)]
    bank = make_bank(3)
    day = make_day(sessions)
    inputs = night_inputs(day.revision.day, [day], bank, NO_ANCHORS, SETTINGS)
    assert calibrate_night(inputs, SETTINGS).differences == ()


def test_a_programme_whose_groups_differ_in_ability_alone_has_next_to_no_flag():
    plan = SimulationPlan(
        last_day=FIRST_DAY + timedelta(days=4),
        items=60,
        anchors=12,
        days=5,
        sessions_per_day=1200,
        answers=20,
        pool_share=0.5,
        group_shifts={"north": 0.4, "south": -0.4, "west": 0.0},
    )
    programme = simulate_programme(plan)
    bank = make_bank(60)
    days = [
        make_day(
            [
                Session(items, scores, person=person, group=group)
                for items, scores, person, group in zip(
                    simulated.sessions.item.tolist(),
                    simulated.sessions.correct.tolist(),
                    simulated.candidate_ids,
                    simulated.groups,
                    strict=True,
                )
            ],
            simulated.day,
        )
        for simulated in programme.days()
    ]
    state = calibrate_night(night_inputs(plan.last_day, days, bank, NO_ANCHORS, SETTINGS), SETTINGS)
    assert len({found.key for found in state.differences}) > 30
    assert len({(found.group, found.reference) for found in state.differences}) == 2
    assert len(flagged(state)) <= 1
    names = {group.name for group in state.scales[0].groups}
    assert {"north, new", "south, new", "west, new"} <= names
