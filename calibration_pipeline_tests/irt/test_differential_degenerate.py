"""Differential functioning of what can't be compared: a result that says so, and never NaN."""

from dataclasses import fields, replace

import numpy as np
import pytest

from calibration_pipeline.irt.differential import differential_functioning
from calibration_pipeline.irt.differential_contrast import GroupContrast, adjusted_p_values
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline_tests.irt.group_problems import two_groups
from calibration_pipeline_tests.irt.problems import SETTINGS


def is_sound(contrast: GroupContrast) -> bool:
    tests = [contrast.difficulty, contrast.discrimination]
    arrays = [getattr(test, field.name) for test in tests for field in fields(test)]
    return not any(np.isnan(a).any() for a in (*arrays, contrast.mh_delta, contrast.mh_delta_se))


def test_one_group_has_nothing_to_be_compared_with():
    problem = two_groups(0, n_sessions=100)
    found = replace(problem, group=np.zeros(100, int)).test()
    assert found.contrasts == ()
    assert found.answers.shape == (1, 60)
    nobody = replace(problem, group=np.full(100, -1)).test()
    assert nobody.contrasts == ()
    assert not nobody.answers.any()


def test_an_empty_group_is_said_to_be_empty():
    contrast = two_groups(0, n_sessions=400).test(n_groups=3, reference=0).contrasts[1]
    assert contrast.remark == "the focal group has no answers"
    assert not contrast.is_tested.any()
    assert is_sound(contrast)
    assert np.isinf(contrast.difficulty.standard_error).all()
    assert (contrast.difficulty.p_value == 1.0).all()
    assert set(contrast.ets_class) == {""}


def test_an_item_that_a_group_never_saw_is_not_tested():
    problem = two_groups(0, n_sessions=2000)
    data, item = problem.data, int(problem.data.item_counts.argmax())
    kept = (data.item != item) | (np.repeat(problem.group, 12) == 0)
    lengths = np.add.reduceat(kept, data.session_offsets[:-1])
    data = replace(
        data,
        session_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        item=data.item[kept],
        correct=data.correct[kept],
    )
    contrast = replace(problem, data=data).contrast()
    assert not contrast.is_tested[item]
    assert (contrast.difficulty.shift[item], contrast.difficulty.p_value[item]) == (0.0, 1.0)
    assert contrast.is_tested.sum() > 30
    assert is_sound(contrast)


def test_items_with_too_few_answers_are_left_out():
    problem = two_groups(0, n_sessions=2000)
    found = problem.test(reference=0, minimum_answers=150)
    expected = found.answers.min(axis=0) >= 150
    assert 0 < expected.sum() < 60
    assert np.array_equal(found.contrasts[0].is_tested, expected)
    nothing = problem.contrast(minimum_answers=10**6)
    assert "1e+06 answers in both groups" in nothing.remark
    assert is_sound(nothing)


def test_items_that_are_not_to_be_compared_sway_no_average_and_no_p_value():
    shifted = np.arange(60) < 25
    problem = two_groups(0, difficulty_shift=-0.8 * shifted)
    everything, rest = problem.contrast(), problem.contrast(compared=~shifted)
    assert np.array_equal(rest.is_tested, everything.is_tested & ~shifted)
    test = rest.difficulty
    expected = adjusted_p_values(test.p_value[rest.is_tested])
    assert np.array_equal(test.adjusted_p_value[rest.is_tested], expected)
    assert rest.common_shift > everything.common_shift + 0.1
    assert is_sound(rest)


@pytest.mark.parametrize("right", [0, 1])
def test_answers_that_are_all_alike_give_numbers(right):
    problem = two_groups(0, n_sessions=200)
    data = replace(problem.data, correct=np.full(problem.data.n_responses, right, np.uint8))
    assert is_sound(replace(problem, data=data).contrast())


def test_no_sessions_at_all():
    empty = ResponseData(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.uint8), 3)
    found = differential_functioning(
        empty, np.tile([1.0, 0.0, 0.0], (3, 1)), Population(), np.zeros(0, int), SETTINGS,
        n_groups=2,
    )  # fmt: skip
    assert found.contrasts[0].remark == "the focal group has no answers"
    assert is_sound(found.contrasts[0])


@pytest.mark.parametrize(
    ("group", "options", "message"),
    [
        (np.zeros(7), {}, "one number per session"),
        (np.ones(100), {"n_groups": 1}, "below the number of groups"),
        (np.zeros(100), {"reference": 1}, "no group 1"),
    ],
)
def test_groups_that_do_not_match_are_refused(group, options, message):
    problem = replace(two_groups(0, n_sessions=100), group=group.astype(int))
    with pytest.raises(ValueError, match=message):
        problem.test(**options)
