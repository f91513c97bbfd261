import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.gathering import gather
from calibration_pipeline.policy.rapid_guessing import rapid_guess_thresholds, rapid_guesses
from calibration_pipeline_tests.policy.days import Session, make_day
from calibration_pipeline_tests.simulated import make_bank

FEW = CalibrationConfiguration(rapid_guess_minimum_times=3)
BANK = make_bank(2)
ALL = np.ones(2, bool)


def _answers(*sessions):
    return gather([make_day(sessions)], BANK, ALL)


def test_the_threshold_is_a_share_of_the_items_own_median():
    answers = _answers(
        Session([0, 1] * 4, [1] * 8, times=[9000, 20, 10000, 40, 900000, 60, 2000, 80])
    )
    assert rapid_guess_thresholds(answers, 2, FEW) == pytest.approx([950.0, 5.0])


def test_a_slow_item_has_the_cap():
    answers = _answers(Session([0] * 3, [1] * 3, times=[200_000] * 3))
    assert rapid_guess_thresholds(answers, 2, FEW)[0] == 10_000.0


def test_an_item_with_too_few_timed_answers_has_none():
    answers = _answers(Session([0] * 4 + [1] * 3, [1] * 7, times=[10, -1, -1, 10, 10, 10, 10]))
    thresholds = rapid_guess_thresholds(answers, 2, FEW)
    assert np.isnan(thresholds[0])
    assert thresholds[1] == 1.0
    assert not rapid_guesses(answers, np.full(2, np.nan)).any()


def test_quick_scored_answers_are_guesses_and_unknown_times_are_not():
    outcomes = ["scored", "scored", "scored", "omitted"]
    answers = _answers(Session([0] * 4, [1, 0, 0, 0], times=[999, 1000, -1, 5], outcomes=outcomes))
    assert rapid_guesses(answers, np.array([1000.0, np.nan])).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_without_times_there_is_nothing_to_mark():
    answers = _answers(Session([0, 1], [1, 0]))
    assert np.isnan(rapid_guess_thresholds(answers, 2, FEW)).all()
    assert not rapid_guesses(answers, np.full(2, 1e9)).any()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**6)), min_size=1, max_size=40))
def test_the_medians_are_those_of_numpy(rows):
    item, times = zip(*rows, strict=True)
    answers = _answers(Session(item, [1] * len(item), times=times))
    found = rapid_guess_thresholds(answers, 2, FEW)
    for j in range(2):
        own = [t for i, t in rows if i == j]
        if len(own) < 3:
            assert np.isnan(found[j])
        else:
            assert found[j] == pytest.approx(min(0.1 * np.median(own), 10_000.0))
