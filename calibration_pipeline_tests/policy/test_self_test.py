"""The self-test of `calibrate doctor`."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.self_test import run_self_test, self_test_cases
from calibration_pipeline_tests.policy.table_cases import SETTINGS


@pytest.mark.parametrize("number", range(len(self_test_cases())))
def test_the_truth_is_recovered_twice_with_the_same_bytes(number):
    one, two = (run_self_test(self_test_cases()[number](), SETTINGS) for _ in range(2))
    assert one.passed
    assert one == two


def test_a_wrong_truth_is_noticed():
    case = self_test_cases()[0]()
    wrong = np.random.default_rng(0).permutation(case.truth)
    assert not run_self_test(replace(case, truth=wrong), SETTINGS).passed
    shifted = case.truth + np.array([0.0, 0.2, 0.0])
    assert not run_self_test(replace(case, truth=shifted), SETTINGS).passed
