"""Shifts in units of published standard errors."""

from dataclasses import replace

import pytest

from calibration_pipeline.policy.item_movement import difficulty_movement, in_standard_errors
from calibration_pipeline_tests.store.examples import snapshot_items


@pytest.mark.parametrize(
    ("shift", "errors", "expected"),
    [
        (0.3, (0.1, 0.15), 2.0),
        (-0.3, (0.15, 0.1), -2.0),
        (0.0, (0.0, 0.0), 0.0),
        (0.0, (0.1,), 0.0),
        (-0.1, (0.0, 0.0), float("-inf")),
    ],
)
def test_the_larger_error_is_the_unit(
    shift: float, errors: tuple[float, ...], expected: float
) -> None:
    assert in_standard_errors(shift, *errors) == pytest.approx(expected)


def test_an_item_moves_from_the_earlier_to_the_later_version() -> None:
    item = snapshot_items(1)[0]
    before = replace(item, difficulty=0.5, difficulty_se=0.2)
    after = replace(item, difficulty=0.4, difficulty_se=0.05)
    assert difficulty_movement(before, after) == pytest.approx((-0.1, -0.5))
