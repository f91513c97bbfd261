"""Known truth, simulated and recovered: whether an installation computes what it should."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.digests import digest_of
from calibration_pipeline.policy.table_fit import TableFit, fit_table
from calibration_pipeline.policy.table_solution import TableFitOptions
from calibration_pipeline.records import BoolArray, FloatArray, ItemBank

SMALLEST_CORRELATION = 0.95
LARGEST_ERROR = 0.15
"""Of difficulty: mean absolute difference from the truth, in units of theta."""
SEED = 20_260_101


@dataclass(frozen=True)
class SelfTestCase:
    """Answers whose truth is known.

    Attributes
    ----------
    name
        For the person who reads the result.
    model
        'Rasch', '1PL', '2PL' or '3PL'.
    truth
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    is_anchor
        ``(n_items,)`` items that are given at their truth.
    data
        The answers.
    """

    name: str
    model: str
    truth: FloatArray
    is_anchor: BoolArray
    data: ResponseData


@dataclass(frozen=True)
class SelfTestResult:
    """How near the difficulties came that were estimated, and a digest of the whole fit."""

    correlation: float
    mean_absolute_error: float
    converged: bool
    digest: str

    @property
    def passed(self) -> bool:
        """Whether the truth was recovered."""
        return (
            self.converged
            and self.correlation >= SMALLEST_CORRELATION
            and self.mean_absolute_error < LARGEST_ERROR
        )


def self_test_cases() -> tuple[Callable[[], SelfTestCase], ...]:
    """Give what makes each case; the same answers on every call."""
    return (
        lambda: _complete("Rasch, complete answers", "Rasch", 40, 1_500),
        lambda: _complete("2PL, complete answers", "2PL", 40, 2_500),
        lambda: _adaptive("3PL, adaptive sessions, anchors", 120, 40, 4_000),
    )


def run_self_test(case: SelfTestCase, configuration: CalibrationConfiguration) -> SelfTestResult:
    """Fit a case and compare the estimated difficulties with the truth."""
    n_items = len(case.truth)
    bank = ItemBank(
        keys=tuple((str(number), 1) for number in range(n_items)),
        scale_names=("main",),
        scale_models=(case.model,),
        scale_index=np.zeros(n_items, np.int64),
        parameters=np.where(case.is_anchor[:, None], case.truth, np.nan),
        author_difficulty=np.full(n_items, np.nan),
        content_families=(None,) * n_items,
        option_counts=np.zeros(n_items, np.int64),
        is_retired=np.zeros(n_items, bool),
        digest="",
    )
    fit = fit_table(case.data, bank, case.is_anchor, TableFitOptions(case.model), configuration)
    estimated, true = fit.parameters[~case.is_anchor, 1], case.truth[~case.is_anchor, 1]
    return SelfTestResult(
        correlation=float(np.corrcoef(estimated, true)[0, 1]),
        mean_absolute_error=float(np.abs(estimated - true).mean()),
        converged=fit.converged,
        digest=_digest(fit),
    )


def _digest(fit: TableFit) -> str:
    return digest_of(
        fit.parameters, fit.standard_errors, fit.infit, fit.outfit, fit.theta, fit.theta_se
    )


def _truth(n_items: int, model: str, generator: np.random.Generator) -> FloatArray:
    """Draw items as a pool has them."""
    slopes = generator.lognormal(0.2, 0.3, n_items).clip(0.5, 2.5)
    guessing = generator.uniform(0.1, 0.25, n_items)
    return np.column_stack(
        [
            np.ones(n_items) if model == "Rasch" else slopes,
            generator.normal(0.0, 1.0, n_items),
            guessing if model == "3PL" else np.zeros(n_items),
        ]
    )


def _complete(name: str, model: str, n_items: int, n_sessions: int) -> SelfTestCase:
    generator = np.random.default_rng(SEED)
    truth = _truth(n_items, model, generator)
    probabilities = response_probabilities(generator.normal(size=n_sessions), truth)
    right = generator.random(probabilities.shape) < probabilities
    data = ResponseData(
        session_offsets=np.arange(n_sessions + 1, dtype=np.int64) * n_items,
        item=np.tile(np.arange(n_items, dtype=np.int32), n_sessions),
        correct=right.T.ravel().astype(np.uint8),
        n_items=n_items,
    )
    return SelfTestCase(name, model, truth, np.zeros(n_items, bool), data)


def _adaptive(name: str, n_items: int, n_anchors: int, n_sessions: int) -> SelfTestCase:
    generator = np.random.default_rng(SEED)
    truth = _truth(n_items, "3PL", generator)
    rule = SelectionRule(pool_share=0.5, top=8)
    sessions = simulate_sessions(generator.normal(size=n_sessions), truth, truth, rule, generator)
    is_anchor = np.zeros(n_items, bool)
    is_anchor[generator.choice(n_items, n_anchors, replace=False)] = True
    data = ResponseData(
        session_offsets=np.arange(n_sessions + 1, dtype=np.int64) * rule.answers,
        item=sessions.item.ravel(),
        correct=sessions.correct.ravel(),
        n_items=n_items,
    )
    return SelfTestCase(name, "3PL", truth, is_anchor, data)
