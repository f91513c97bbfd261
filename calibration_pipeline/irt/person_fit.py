"""Person fit: whether a session's answers are what its own ability makes likely.

The statistic l_z (Drasgow, Levine & Williams 1985, British Journal of Mathematical and Statistical
Psychology 38, 67–86) compares the log-likelihood of the answers with its expectation. With an
ability estimated from the same answers it is far from standard normal in adaptive tests, because
the items depend on the answers (van Krimpen-Stoop & Meijer 1999, Applied Psychological Measurement
23, 327–345). Here every answer is predicted from the session's *earlier* answers (Dawid 1984,
Journal of the Royal Statistical Society A 147, 278–292):

    l = Σₜ (xₜ − pₜ) · log(pₜ / (1 − pₜ)),    pₜ = P(xₜ = 1 | x₁ … xₜ₋₁)

The item is chosen before its answer is known. So under the model l is a martingale, however the
items were chosen: its mean is 0 and Σₜ pₜ(1 − pₜ) log²(pₜ/(1 − pₜ)) estimates its variance. What is
left is skewness, removed to second order (Cornish & Fisher 1938).
"""

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.model import FloatArray, response_probabilities
from calibration_pipeline.irt.population import Population, ability_nodes
from calibration_pipeline.irt.responses import ResponseData

BLOCK_SESSIONS = 1024
"""Sessions worked on at a time: their posteriors fit into the processor's cache."""


def person_fit(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> FloatArray:
    """Standardised fit of every session, ``(n_sessions,)``.

    Standard normal for sessions that follow the model; strongly negative for those that don't. NaN
    where nothing can be said: no answer to a known item, or none whose chances are unequal.

    Parameters
    ----------
    data
        The answers, each session in order of presentation. Weights are not used.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing; NaN where unknown: such items are
        passed over.
    population
        What is known about an ability before the first answer.
    configuration
        Quadrature and scaling constant.
    """
    cells = data.population_cells
    nodes = ability_nodes(population, cells, configuration)
    # An item with even chances at every ability says nothing: that is how unknown ones drop out.
    right = np.full((data.n_items, len(nodes)), 0.5)
    known = np.isfinite(parameters).all(axis=1)
    right[known] = response_probabilities(
        nodes, parameters[known], configuration.scaling_constant
    ).clip(1e-12, 1 - 1e-12)
    starts = np.exp(population.log_weights(nodes, cells))
    moments = np.zeros((3, data.n_sessions))
    by_length = np.argsort(-np.diff(data.session_offsets), kind="stable")
    for first in range(0, data.n_sessions, BLOCK_SESSIONS):
        sessions = by_length[first : first + BLOCK_SESSIONS]
        moments[:, sessions] = _moments(data, sessions, right, starts[cells.cell[sessions]])
    deviation, variance, third = moments
    with np.errstate(invalid="ignore", divide="ignore"):
        return _without_skewness(deviation / np.sqrt(variance), third / variance**1.5)


def _moments(
    data: ResponseData, sessions: NDArray[np.int64], right: FloatArray, posterior: FloatArray
) -> FloatArray:
    """Sum deviation, variance and third moment over each session's answers, ``(3, n)``.

    Parameters
    ----------
    data
        The answers.
    sessions
        ``(n,)`` longest first.
    right
        ``(n_items, n_nodes)`` probabilities of a right answer.
    posterior
        ``(n, n_nodes)`` of each session before its first answer; overwritten.
    """
    sums = np.zeros((3, len(sessions)))
    begin = data.session_offsets[sessions]
    length = data.session_offsets[sessions + 1] - begin
    for step in range(int(length[0])):
        n = int(np.searchsorted(-length, -step))  # those with more than `step` answers
        answer = begin[:n] + step
        correct = data.correct[answer]
        p_node = right[data.item[answer]]
        p = np.einsum("sq,sq->s", posterior[:n], p_node)
        log_odds = np.log(p / (1.0 - p))
        variance = p * (1.0 - p) * log_odds**2
        sums[0, :n] += (correct - p) * log_odds
        sums[1, :n] += variance
        sums[2, :n] += variance * log_odds * (1.0 - 2.0 * p)
        posterior[:n] *= np.where(correct[:, None] == 1, p_node, 1.0 - p_node)
        posterior[:n] /= posterior[:n].sum(axis=1, keepdims=True)
    return sums


def _without_skewness(z: FloatArray, skewness: FloatArray) -> FloatArray:
    """Solve z = y + skewness/6 · (y² − 1) for y, the normal deviate of equal probability."""
    k = skewness / 6.0
    root = np.sqrt(np.maximum(1.0 + 4.0 * k * (k + z), 0.0))
    return np.asarray(2.0 * (k + z) / (1.0 + root))
