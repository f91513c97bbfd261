"""Tables of answers that several test files fit."""

from dataclasses import replace

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.model import response_probabilities
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.policy.configuration import CalibrationConfiguration
from calibration_pipeline.policy.table_fit import TableFit, fit_table
from calibration_pipeline.policy.table_solution import TableFitOptions
from calibration_pipeline.records import FloatArray, ItemBank
from calibration_pipeline_tests.simulated import complete_data, draw_items, make_bank

SETTINGS = CalibrationConfiguration()
PRECISE = CalibrationConfiguration(em=EMConfiguration(tolerance=1e-6, maximum_cycles=2000))


def simulated(
    n_items: int,
    n_sessions: int,
    model: str = "2PL",
    *,
    seed: int = 0,
    mean: float = 0.0,
    sd: float = 1.0,
) -> tuple[FloatArray, ResponseData]:
    """Items and complete answers of a population."""
    generator = np.random.default_rng(seed)
    truth = draw_items(n_items, generator, model)
    probabilities = response_probabilities(generator.normal(mean, sd, n_sessions), truth)
    return truth, complete_data((generator.random(probabilities.shape) < probabilities).T)


def with_more_items(data: ResponseData, n_items: int) -> ResponseData:
    """The same answers, in a bank with items that nobody answered."""
    return replace(data, n_items=n_items)


def fitted(
    data: ResponseData,
    model: str,
    *,
    bank: ItemBank | None = None,
    anchors: tuple[int, ...] = (),
    settings: CalibrationConfiguration = SETTINGS,
    **options: object,
) -> TableFit:
    """Fit a table; `options` are those of `TableFitOptions`."""
    is_anchor = np.isin(np.arange(data.n_items), anchors)
    chosen = TableFitOptions(model, **options)  # type: ignore[arg-type]
    return fit_table(data, bank or make_bank(data.n_items), is_anchor, chosen, settings)
