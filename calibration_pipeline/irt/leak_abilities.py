"""What the rest of a session says of the ability with which an item was answered."""

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.leak_kernels import other_answers_moments
from calibration_pipeline.irt.model import FloatArray, response_probabilities
from calibration_pipeline.irt.population import Population, ability_nodes
from calibration_pipeline.irt.responses import ResponseData


def abilities_from_other_answers(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Posterior mean and standard deviation of each answer's ability, its own answer left out.

    Parameters
    ----------
    data
        The answers. One of weight 0 tells nothing of the ability, and is still given one.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; NaN where unknown: such items are
        passed over.
    population
        What is known about an ability before the first answer.
    configuration
        Quadrature and scaling constant.

    Returns
    -------
    ``(n_responses,)`` twice, units of theta.
    """
    cells = data.population_cells
    nodes = ability_nodes(population, cells, configuration)
    right = np.full((data.n_items, len(nodes)), 0.5)
    known = np.isfinite(parameters).all(axis=1)
    right[known] = response_probabilities(
        nodes, parameters[known], configuration.scaling_constant
    ).clip(1e-12, 1 - 1e-12)
    log_probabilities = np.log(np.stack([1.0 - right, right], axis=1)).reshape(-1, len(nodes))
    means, sds = np.empty(data.n_responses), np.empty(data.n_responses)
    other_answers_moments(
        data.session_offsets, data.table_rows, data.weight_array, cells.cell, log_probabilities,
        population.log_weights(nodes, cells), nodes, means, sds,
    )  # fmt: skip
    return means, sds
