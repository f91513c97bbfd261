"""How near published parameters are to a known truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.records import BoolArray, FloatArray, SnapshotItem


@dataclass(frozen=True)
class Recovery:
    """Errors of one parameter over some items.

    Attributes
    ----------
    parameter
        'discrimination', 'difficulty' or 'guessing'.
    items
        How many were compared.
    rmse, bias
        Root mean square and mean of (published − true).
    correlation
        Pearson's, NaN where either side doesn't vary.
    coverage
        Share of the 95% intervals that hold the truth.
    """

    parameter: str
    items: int
    rmse: float
    bias: float
    correlation: float
    coverage: float


def measure_recovery(
    items: Sequence[SnapshotItem], truth: FloatArray, chosen: BoolArray
) -> tuple[Recovery, ...]:
    """Compare published items with the truth, parameter by parameter.

    Parameters
    ----------
    items
        Published items.
    truth
        ``(n_items, 3)`` true discrimination, difficulty, guessing, in the order of `items`.
    chosen
        ``(n_items,)`` items to compare; at least one.
    """
    found = []
    for column, name in enumerate(("discrimination", "difficulty", "guessing")):
        values = np.array([getattr(item, name) for item in items])[chosen]
        errors = np.array([getattr(item, f"{name}_se") for item in items])[chosen]
        true = truth[chosen, column]
        difference = values - true
        varies = values.std() > 0 and true.std() > 0
        found.append(
            Recovery(
                parameter=name,
                items=int(chosen.sum()),
                rmse=float(np.sqrt(np.mean(difference**2))),
                bias=float(difference.mean()),
                correlation=float(np.corrcoef(values, true)[0, 1]) if varies else float("nan"),
                coverage=float(np.mean(np.abs(difference) <= 1.96 * errors)),
            )
        )
    return tuple(found)
