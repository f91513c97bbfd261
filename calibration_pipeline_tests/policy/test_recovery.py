"""How near published parameters are to the truth: by hand, and over simulated errors."""

from dataclasses import replace

import numpy as np
import pytest

from calibration_pipeline.policy.recovery import measure_recovery
from calibration_pipeline.records import FloatArray, SnapshotItem


def published(values: FloatArray, errors: FloatArray | None = None) -> list[SnapshotItem]:
    """Items with these parameters, ``(n_items, 3)``, and standard errors."""
    errors = np.zeros_like(values) if errors is None else errors
    return [
        SnapshotItem(
            (f"i{j}", 1), "main", *row.tolist(), *error.tolist(), (0.0,) * 9, "trusted",
            "fitted", 30, 30, "",
        )
        for j, (row, error) in enumerate(zip(values, errors, strict=True))
    ]  # fmt: skip


def test_small_figures_by_hand() -> None:
    truth = np.array([[1.0, 0.0, 0.2], [1.0, 1.0, 0.2], [1.0, 2.0, 0.2], [1.0, 9.0, 0.2]])
    values = truth + np.array([[0, 0.1, 0], [0, 0.2, 0], [0, -0.3, 0], [5, 5, 5]])
    errors = np.full((4, 3), 0.11)
    chosen = np.array([True, True, True, False])
    found = {r.parameter: r for r in measure_recovery(published(values, errors), truth, chosen)}
    difficulty = found["difficulty"]
    assert list(found) == ["discrimination", "difficulty", "guessing"]
    assert difficulty.items == 3
    assert difficulty.bias == pytest.approx(0.0)
    assert difficulty.rmse == pytest.approx(np.sqrt(0.14 / 3))
    assert difficulty.coverage == pytest.approx(2 / 3)  # 0.1 and 0.2 lie within 1.96 × 0.11
    assert difficulty.correlation == pytest.approx(np.corrcoef(values[:3, 1], truth[:3, 1])[0, 1])


def test_what_does_not_vary_has_no_correlation() -> None:
    truth = np.tile([1.0, 0.5, 0.0], (3, 1))
    found = measure_recovery(published(truth), truth, np.ones(3, bool))
    assert all(np.isnan(r.correlation) for r in found)
    assert all((r.rmse, r.bias, r.coverage) == (0.0, 0.0, 1.0) for r in found)


def test_true_standard_errors_cover_95_per_cent() -> None:
    generator = np.random.default_rng(5)
    truth = generator.normal(size=(4000, 3))
    errors = generator.uniform(0.05, 0.3, (4000, 3))
    items = published(truth + generator.normal(size=(4000, 3)) * errors, errors)
    for recovery in measure_recovery(items, truth, np.ones(4000, bool)):
        assert recovery.coverage == pytest.approx(0.95, abs=0.012)
        assert recovery.bias == pytest.approx(0.0, abs=0.01)
        assert recovery.correlation > 0.95


def test_only_the_chosen_items_count() -> None:
    truth = np.zeros((2, 3))
    items = published(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    items[0] = replace(items[0], difficulty=float("nan"))
    found = measure_recovery(items, truth, np.array([False, True]))
    assert [r.items for r in found] == [1, 1, 1]
    assert [r.rmse for r in found] == [0.0, 0.0, 0.0]
