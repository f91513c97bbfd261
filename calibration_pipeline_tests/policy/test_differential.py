"""Flags of differential functioning: size, evidence, and one per item."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.irt.differential import DifferentialFunctioning
from calibration_pipeline.irt.differential_contrast import GroupContrast, ShiftTest
from calibration_pipeline.policy.differential import (
    DIFFERENTIAL_FUNCTIONING,
    DifferentialRule,
    check_differential_functioning,
    differential_flags,
)
from calibration_pipeline_tests.irt.group_problems import two_groups
from calibration_pipeline_tests.irt.problems import SETTINGS
from calibration_pipeline_tests.simulated import make_bank

KEYS = make_bank(3).keys
NAMES = ("north", "south", "west")
RULE = DifferentialRule()


def shift_test(shift: list[float], error: float, adjusted: list[float]) -> ShiftTest:
    p_values = np.array(adjusted)
    return ShiftTest(np.array(shift), np.full(3, error), p_values, p_values)


def contrast(focal: int, shift: list[float], adjusted: list[float]) -> GroupContrast:
    """A focal group whose items all have a slope of 1."""
    return GroupContrast(
        focal=focal,
        is_tested=np.ones(3, bool),
        difficulty=shift_test(shift, 0.1, adjusted),
        discrimination=shift_test([0.0] * 3, 0.1, [1.0] * 3),
        mh_delta=-2.35 * np.array(shift),
        mh_delta_se=np.full(3, 0.235),
        ets_class=np.array(["B"] * 3),
        common_shift=0.0,
        remark="",
    )


def found(*contrasts: GroupContrast) -> DifferentialFunctioning:
    return DifferentialFunctioning(0, np.full((3, 3), 500.0), contrasts)


def flags_of(*contrasts: GroupContrast, rule: DifferentialRule = RULE):
    return differential_flags(found(*contrasts), rule, keys=KEYS, group_names=NAMES)


def test_an_item_beyond_the_threshold_is_flagged_with_its_size_and_evidence():
    (flag,) = flags_of(contrast(1, [0.5, 0.1, 0.0], [0.001, 0.9, 0.9]))
    assert (flag.key, flag.reason) == (KEYS[0], DIFFERENTIAL_FUNCTIONING)
    assert flag.value == pytest.approx(-1.175)
    assert (flag.reference, flag.threshold) == (0.0, -1.0)
    assert flag.z == pytest.approx(5.0)
    assert flag.is_credible
    assert "harder by 0.50 ± 0.10 for group south than for group north" in flag.explanation


def test_size_without_evidence_is_flagged_but_not_credible():
    (flag,) = flags_of(contrast(1, [-0.6, 0.1, 0.0], [0.2, 0.9, 0.9]))
    assert not flag.is_credible
    assert flag.threshold == 1.0
    assert flag.explanation.startswith("easier by 0.60")


def test_evidence_without_size_is_not_flagged():
    assert flags_of(contrast(1, [0.2, 0.1, 0.0], [1e-9, 1e-9, 1e-9])) == ()


def test_an_item_that_differs_in_two_groups_has_one_flag():
    (flag,) = flags_of(
        contrast(1, [0.5, 0.0, 0.0], [0.01, 1.0, 1.0]),
        contrast(2, [-0.7, 0.0, 0.0], [0.001, 1.0, 1.0]),
    )
    assert flag.explanation.startswith("easier by 0.70")
    assert "also beyond the threshold for south" in flag.explanation


def test_what_was_not_tested_is_not_flagged():
    untested = replace(contrast(1, [0.9] * 3, [0.001] * 3), is_tested=np.zeros(3, bool))
    assert flags_of(untested) == ()
    assert flags_of() == ()


def test_flags_stand_in_item_order():
    shuffled = differential_flags(
        found(contrast(1, [0.9] * 3, [0.001] * 3)), RULE, keys=KEYS[::-1], group_names=NAMES
    )
    assert [flag.key for flag in shuffled] == sorted(KEYS)


def test_simulated_groups_from_answers_to_flags():
    """Impact of 0.7 and five items of sixty that are much harder for the focal group."""
    shifted = np.arange(60) < 5
    problem = two_groups(0, n_sessions=8000, answers=20, difficulty_shift=1.0 * shifted)
    result, flags = check_differential_functioning(
        problem.data,
        problem.truth,
        problem.population,
        problem.group,
        SETTINGS,
        RULE,
        keys=make_bank(60).keys,
        group_names=("north", "south"),
    )
    tested = result.contrasts[0].is_tested
    assert np.array_equal(tested, result.answers.min(axis=0) >= 200)
    credible = {flag.key[0] for flag in flags if flag.is_credible}
    expected = {f"i{j:05d}" for j in np.flatnonzero(shifted & tested)}
    assert len(expected) >= 3
    assert credible == expected


@pytest.mark.parametrize(
    "change", [{"minimum_answers": 0}, {"mh_delta": 0.0}, {"false_discovery_rate": 1.0}]
)
def test_a_rule_that_makes_no_sense_is_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(RULE, **change)
