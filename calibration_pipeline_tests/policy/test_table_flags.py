"""Flags of a single fit."""

import numpy as np

from calibration_pipeline.policy.table_flags import (
    flag_misfit,
    flags_of_answers,
    names_of_flags,
)
from calibration_pipeline_tests.policy.table_cases import SETTINGS


def test_flags_of_answers():
    flags = flags_of_answers(
        np.array([0, 10, 25, 25]), np.array([0, 10, 0, 12]), np.array([0, 0, 25, 1]), SETTINGS
    )
    assert names_of_flags(flags, 4) == (
        ("no_answers",), ("few_answers", "all_right", "unlinked"), ("all_wrong",), (),
    )  # fmt: skip


def test_misfit_is_large_credible_and_based_on_enough_answers():
    statistic = np.array([1.4, 1.4, 1.2, 0.5, 1.4, np.nan])
    error = np.array([0.1, 0.2, 0.01, 0.1, 0.1, np.nan])
    counts = np.array([100, 100, 100, 100, 20, 0])
    found = flag_misfit(statistic, error, counts, SETTINGS)
    assert found.tolist() == [True, False, False, True, False, False]
