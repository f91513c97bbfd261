"""Two population groups that take adaptive sessions."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.differential import (
    DifferentialFunctioning,
    differential_functioning,
)
from calibration_pipeline.irt.differential_contrast import GroupContrast
from calibration_pipeline.irt.population import Population, PopulationCells
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.simulation import SelectionRule, simulate_sessions
from calibration_pipeline_tests.irt.problems import SETTINGS
from calibration_pipeline_tests.simulated import draw_items

IMPACT = 0.7


@dataclass(frozen=True)
class TwoGroups:
    """Sessions alternate between the reference group 0 and the focal group 1."""

    truth: np.ndarray
    group: np.ndarray
    data: ResponseData
    population: Population

    def test(self, parameters: np.ndarray | None = None, **options) -> DifferentialFunctioning:
        parameters = self.truth if parameters is None else parameters
        return differential_functioning(
            self.data, parameters, self.population, self.group, SETTINGS, **options
        )

    def contrast(self, parameters: np.ndarray | None = None, **options) -> GroupContrast:
        return self.test(parameters, reference=0, **options).contrasts[0]


def two_groups(
    seed: int,
    model: str = "3PL",
    *,
    n_items: int = 60,
    n_sessions: int = 4000,
    answers: int = 12,
    pool_share: float = 0.5,
    difficulty_shift: np.ndarray | float = 0.0,
    slope_factor: np.ndarray | float = 1.0,
) -> TwoGroups:
    """Focal candidates are less able by 0.7; items may be shifted for them.

    The engine selects by the parameters of the reference group.
    """
    generator = np.random.default_rng(seed)
    truth = draw_items(n_items, generator, model)
    group = np.arange(n_sessions) % 2
    abilities = generator.normal(size=n_sessions) - IMPACT * group
    focal = truth.copy()
    focal[:, 0] *= slope_factor
    focal[:, 1] += difficulty_shift
    rule = SelectionRule(answers=answers, pool_share=pool_share)
    item = np.empty((n_sessions, answers), np.int32)
    correct = np.empty((n_sessions, answers), np.uint8)
    for number, parameters in enumerate((truth, focal)):
        own = group == number
        sessions = simulate_sessions(abilities[own], parameters, truth, rule, generator)
        item[own], correct[own] = sessions.item, sessions.correct
    data = ResponseData(
        np.arange(n_sessions + 1, dtype=np.int64) * answers,
        item.ravel(),
        correct.ravel(),
        n_items,
        cells=PopulationCells(group.astype(np.int32), np.arange(2), np.zeros(2)),
    )
    return TwoGroups(truth, group, data, Population([0.0, -IMPACT], [1.0, 1.0]))
