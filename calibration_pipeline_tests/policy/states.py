"""States built by hand, for decisions that need no fit."""

from collections.abc import Sequence

import numpy as np

from calibration_pipeline.records import CalibrationState, FloatArray, ItemBank, ScaleState
from calibration_pipeline_tests.simulated import FIRST_DAY


def make_state(
    bank: ItemBank,
    parameters: FloatArray,
    *,
    is_anchor: Sequence[bool] | None = None,
    window_count: int = 500,
    difficulty_se: float = 0.1,
) -> CalibrationState:
    """Build an accepted state by hand: every item updated, every scale fitted, nothing carried."""
    n = bank.n_items
    anchors = np.zeros(n, bool) if is_anchor is None else np.asarray(is_anchor, bool)
    counts = np.full(n, window_count, np.int64)
    variance = np.where(parameters[:, 2:] > 0, [0.01, difficulty_se**2, 0.04], 0.0)
    return CalibrationState(
        partition=FIRST_DAY,
        attempt=1,
        is_accepted=True,
        reasons=(),
        keys=bank.keys,
        parameters=parameters.copy(),
        covariance=variance[:, :, None] * np.eye(3),
        prior_mean=np.tile([0.0, 0.0, -1.6], (n, 1)),
        prior_precision=np.tile([4.0, 0.5, 4.0], (n, 1)),
        carried_information=np.zeros((n, 3, 3)),
        carried_linear=np.zeros((n, 3)),
        carried_shift=np.full(n, np.nan),
        carried_shift_se=np.full(n, np.nan),
        is_contradicted=np.zeros(n, bool),
        carried_from=np.full(n, "NaT", "datetime64[D]"),
        shadow_parameters=parameters.copy(),
        window_counts=counts,
        total_counts=counts.copy(),
        infit=np.ones(n),
        outfit=np.ones(n),
        infit_se=np.full(n, 0.02),
        outfit_se=np.full(n, 0.04),
        is_anchor=anchors,
        is_updated=~anchors,
        scales=tuple(make_scale(name) for name in bank.scale_names),
        folded_through=None,
        window=(),
        folded=(),
        parent=None,
        anchor_set_id=None,
        bank_digest=bank.digest,
        anchor_digest="",
        configuration_digest="",
        digest="",
    )


def make_scale(name: str = "main") -> ScaleState:
    """Build the state of a scale whose fit gives nothing to complain about."""
    return ScaleState(
        name=name,
        fitted=True,
        reason="",
        population_mean=0.1,
        population_sd=1.0,
        linking_slope=1.0,
        linking_intercept=0.0,
        log_likelihood=-1000.0,
        cycles=9,
        converged=True,
        session_count=100,
        response_count=2000,
    )
