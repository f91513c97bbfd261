"""Item fit for comparison with other programs: S-X² and residuals at point estimates of ability.

The nightly pipeline judges fit by `expectation.marginal_derivatives` instead. It predicts every
answer from the session's *other* answers, so its mean squares have expectation 1 whatever the
test's length and however the items were chosen. Residuals at an estimated ability reuse the
answer that they judge: on short tests their mean squares lie well below 1, which other programs
accept. S-X² needs everybody to have answered everything, which no adaptive test provides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.expectation import estimate_abilities
from calibration_pipeline.irt.model import BoolArray, FloatArray, response_probabilities
from calibration_pipeline.irt.model_fit import count_population_parameters
from calibration_pipeline.irt.population import (
    Population,
    PopulationCells,
    ability_nodes,
    normal_log_weights,
)
from calibration_pipeline.irt.responses import ResponseData

MINIMUM_EXPECTED_COUNT = 1.0


@dataclass(frozen=True)
class SummedScoreFit:
    """S-X² of every item.

    Attributes
    ----------
    statistic
        ``(n_items,)`` NaN where no degree of freedom is left.
    degrees_of_freedom
        ``(n_items,)`` int64, 0 where the cells don't exceed the parameters.
    p_value
        ``(n_items,)`` NaN where the statistic is.
    """

    statistic: FloatArray
    degrees_of_freedom: NDArray[np.int64]
    p_value: FloatArray


def summed_score_fit(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
    free: BoolArray,
) -> SummedScoreFit:
    """S-X²: observed against expected right answers among persons with the same summed score.

    Cells with few persons are merged as R mirt does (`collapse_cells`). Degrees of freedom are
    the cells left, less the item's free coordinates, less those of the population: that counts
    a 1PL's common slope, which is our population's spread, in full for every item, as R mirt
    counts it.

    Parameters
    ----------
    data, parameters, population, configuration
        As for `expectation.expect`.
    free
        ``(n_items, 3)`` coordinates that were estimated.

    Raises
    ------
    ValueError
        If a person hasn't answered every item exactly once, if answers carry weights, or if the
        population isn't one normal distribution.

    Notes
    -----
    Source: Orlando & Thissen (2000), Applied Psychological Measurement 24, 50–64.
    """
    if population.has_contrasts or population.slope.any():
        raise ValueError("S-X2 needs one normal population: fit without groups and covariate")
    answers = complete_answers(data)
    nodes = ability_nodes(population, PopulationCells.single(1), configuration)
    weights = np.exp(normal_log_weights(nodes, population.mean[0], population.sd[0]))
    p = response_probabilities(nodes, parameters, configuration.scaling_constant)
    expected_share = expected_right_by_score(p, weights)
    observed = _observed_by_score(answers)
    n_parameters = free.sum(axis=1) + count_population_parameters(population)
    fits = [
        _item_statistic(*cells)
        for cells in zip(observed, expected_share, n_parameters, strict=True)
    ]
    statistic, degrees = (np.array(column) for column in zip(*fits, strict=True))
    return SummedScoreFit(statistic, degrees, chdtrc(np.maximum(degrees, 1), statistic))


def complete_answers(data: ResponseData) -> NDArray[np.uint8]:
    """Scores as a table ``(n_sessions, n_items)`` of a test that everybody took whole.

    Raises
    ------
    ValueError
        If a person hasn't answered every item exactly once, or if answers carry weights.
    """
    if data.weights is not None:
        raise ValueError("S-X2 counts persons: it can't use answers that carry weights")
    person = np.repeat(np.arange(data.n_sessions), np.diff(data.session_offsets))
    is_complete = data.n_responses == data.n_sessions * data.n_items
    if is_complete:
        cell = person * data.n_items + data.item
        is_complete = bool((np.bincount(cell, minlength=data.n_responses) == 1).all())
    if not is_complete:
        raise ValueError(
            "S-X2 needs every person to have answered every item exactly once: "
            "use infit and outfit for incomplete data"
        )
    answers = np.empty((data.n_sessions, data.n_items), np.uint8)
    answers[person, data.item] = data.correct
    return answers


def summed_score_likelihoods(probabilities: FloatArray) -> FloatArray:
    """Probability of every number of right answers at each node, ``(n_items + 1, n_nodes)``.

    Parameters
    ----------
    probabilities
        ``(n_items, n_nodes)`` of a right answer.

    Notes
    -----
    The recursion of Lord & Wingersky (1984), Applied Psychological Measurement 8, 453–461.
    """
    likelihoods = np.zeros((len(probabilities) + 1, probabilities.shape[1]))
    likelihoods[0] = 1.0
    for answered, p in enumerate(probabilities):
        right = likelihoods[: answered + 1] * p
        likelihoods[: answered + 1] *= 1.0 - p
        likelihoods[1 : answered + 2] += right
    return likelihoods


def expected_right_by_score(probabilities: FloatArray, weights: FloatArray) -> FloatArray:
    """Share of right answers to each item among persons with each score, ``(n_items, n_items−1)``.

    Column k is for score k + 1; scores 0 and n_items say nothing about an item. A score whose
    probability is 0 in floating point gets 0. Time grows with the cube of the number of items.

    Parameters
    ----------
    probabilities
        ``(n_items, n_nodes)`` of a right answer.
    weights
        ``(n_nodes,)`` of the population.
    """
    of_score = summed_score_likelihoods(probabilities)[1:-1] @ weights
    shares = np.zeros((len(probabilities), len(of_score)))
    possible = of_score > 0.0
    for j, p in enumerate(probabilities):
        of_others = summed_score_likelihoods(np.delete(probabilities, j, axis=0))
        right = of_others[:-1] @ (weights * p)
        shares[j, possible] = right[possible] / of_score[possible]
    return shares


def _observed_by_score(answers: NDArray[np.uint8]) -> FloatArray:
    """Wrong and right answers by score 1 … n_items − 1, ``(n_items, n_items − 1, 2)``."""
    n_items = answers.shape[1]
    score = answers.sum(axis=1, dtype=np.int64)
    persons = np.bincount(score, minlength=n_items + 1)[1:n_items]
    right = np.zeros((n_items + 1, n_items))
    np.add.at(right, score, answers)
    right = right[1:n_items].T
    return np.stack([persons - right, right], axis=-1)


def _item_statistic(
    observed: FloatArray, expected_share: FloatArray, n_parameters: int
) -> tuple[float, int]:
    """S-X² of one item and its degrees of freedom; NaN and 0 where none is left."""
    share = np.column_stack([1.0 - expected_share, expected_share])
    observed, expected = collapse_cells(observed, share * observed.sum(axis=1, keepdims=True))
    degrees = len(observed) - n_parameters
    if len(observed) < 2 or degrees < 1:
        return float("nan"), 0
    return float((np.square(observed - expected) / expected).sum()), degrees


def collapse_cells(
    observed: FloatArray, expected: FloatArray, minimum: float = MINIMUM_EXPECTED_COUNT
) -> tuple[FloatArray, FloatArray]:
    """Merge neighbouring scores until no expected count is below the minimum.

    In the order of R mirt, on which its degrees of freedom depend: scores that nobody has go;
    a score with a single person joins the next one (the last joins the one before); then the
    first score with too small an expected count joins its less populated neighbour, the lower
    one on a tie, until none is left.

    Parameters
    ----------
    observed, expected
        ``(n_scores, 2)`` wrong and right answers.
    minimum
        Smallest expected count.

    Returns
    -------
    tuple
        Both tables with at most as many rows, in the same order.
    """
    seen = observed.sum(axis=1) > 0
    cells = np.stack([observed[seen], expected[seen]])
    cells = _merge_single_persons(cells)
    while cells.shape[1] > 1:
        small = np.flatnonzero((cells[1] < minimum).any(axis=1))
        if not len(small):
            break
        row = int(small[0])
        cells = _merged(cells, row, _less_populated_neighbour(cells[0].sum(axis=1), row))
    return cells[0], cells[1]


def _merge_single_persons(cells: FloatArray) -> FloatArray:
    row = 0
    while row < cells.shape[1] and cells.shape[1] > 1:
        if cells[0, row].sum() == 1:
            is_last = row == cells.shape[1] - 1
            cells = _merged(cells, row, row - 1 if is_last else row + 1)
        else:
            row += 1
    return cells


def _less_populated_neighbour(persons: FloatArray, row: int) -> int:
    if row == 0:
        return 1
    if row == len(persons) - 1 or persons[row - 1] <= persons[row + 1]:
        return row - 1
    return row + 1


def _merged(cells: FloatArray, row: int, into: int) -> FloatArray:
    cells[:, into] += cells[:, row]
    return np.delete(cells, row, axis=1)


def infit_outfit_at_abilities(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Infit and outfit mean squares at EAP abilities, ``(n_items,)`` each; NaN without answers.

    Parameters are those of `expectation.expect`.

    Notes
    -----
    Source: Wright & Masters (1982), *Rating Scale Analysis*, ch. 5; the abilities as in R mirt.
    """
    theta, _ = estimate_abilities(data, parameters, population, configuration)
    person = np.repeat(np.arange(data.n_sessions), np.diff(data.session_offsets))
    p = _probability_of_each(theta[person], parameters[data.item], configuration.scaling_constant)
    variance = p * (1.0 - p)
    square = np.square(data.correct - p)
    counted = 1.0 if data.weights is None else data.weights

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(data.item, counted * values, data.n_items).astype(np.float64)

    with np.errstate(invalid="ignore", divide="ignore"):
        infit = total(square) / total(variance)
        outfit = total(square / variance) / data.item_weights
    return infit, outfit


def _probability_of_each(theta: FloatArray, items: FloatArray, scaling: float) -> FloatArray:
    """Probability of a right answer, answer by answer, ``(n_responses,)``; never 0 or 1."""
    a, b, c = items.T
    p = c + (1.0 - c) / (1.0 + np.exp(-scaling * a * (theta - b)))
    return np.asarray(np.clip(p, 1e-15, 1.0 - 1e-15))
