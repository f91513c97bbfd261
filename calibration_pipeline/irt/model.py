"""The three-parameter logistic model and its internal parameters.

    P(θ) = c + (1 − c) / (1 + exp(−D·a·(θ − b)))

Item parameters are rows (a, b, c) = (discrimination, difficulty, guessing). Internally an item is
φ = (log a, b, logit c): unbounded, and close to normal in the posterior. A Rasch, 1PL or 2PL item
is a 3PL item with c = 0 exactly whose absent coordinates aren't free; its φ has 0 in their place.

Source: Birnbaum (1968), in Lord & Novick, *Statistical Theories of Mental Test Scores*, ch. 17.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

FREE_COORDINATES = {
    "Rasch": (False, True, False),
    "1PL": (False, True, False),
    "2PL": (True, True, False),
    "3PL": (True, True, True),
}
"""Which of (log a, b, logit c) a model estimates; a 1PL item's slope belongs to the population."""


def response_probabilities(
    theta: FloatArray, parameters: FloatArray, scaling_constant: float = 1.0
) -> FloatArray:
    """Probability of a right answer, ``(n_items, n_theta)``.

    Parameters
    ----------
    theta
        ``(n_theta,)`` abilities.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    scaling_constant
        D.
    """
    a, b, c = (column[:, None] for column in np.asarray(parameters, float).T)
    with np.errstate(over="ignore"):  # far below a steep item: the limit is c, as it should be
        return np.asarray(c + (1.0 - c) / (1.0 + np.exp(-scaling_constant * a * (theta - b))))


def probability_gradients(
    theta: FloatArray, parameters: FloatArray, scaling_constant: float = 1.0
) -> FloatArray:
    """Derivatives of the probability by φ = (log a, b, logit c), ``(n_items, 3, n_theta)``."""
    a, b, c = (column[:, None] for column in np.asarray(parameters, float).T)
    with np.errstate(over="ignore"):
        logistic = 1.0 / (1.0 + np.exp(-scaling_constant * a * (theta - b)))
    slope = (1.0 - c) * logistic * (1.0 - logistic) * scaling_constant * a
    return np.stack([slope * (theta - b), -slope, c * (1.0 - c) * (1.0 - logistic)], axis=1)


def fisher_information(
    theta: FloatArray, parameters: FloatArray, scaling_constant: float = 1.0
) -> FloatArray:
    """Information of each item about ability, ``(n_items, n_theta)`` (Lord 1980, eq. 5-9)."""
    a, _, c = (column[:, None] for column in np.asarray(parameters, float).T)
    p = response_probabilities(theta, parameters, scaling_constant)
    return np.asarray((scaling_constant * a) ** 2 * (1.0 - p) / p * ((p - c) / (1.0 - c)) ** 2)


def to_internal(parameters: FloatArray) -> FloatArray:
    """Turn (a, b, c) into φ = (log a, b, logit c), ``(n_items, 3)``; logit c is 0 where c is 0."""
    a, b, c = np.asarray(parameters, float).T
    has_guessing = c > 0.0
    safe = np.where(has_guessing, c, 0.5)
    return np.column_stack([np.log(a), b, np.log(safe / (1.0 - safe))])


def from_internal(internal: FloatArray, has_guessing: BoolArray) -> FloatArray:
    """Turn φ back into (a, b, c), ``(n_items, 3)``; c is 0 where an item has no guessing."""
    log_a, b, logit_c = np.asarray(internal, float).T
    return np.column_stack(
        [np.exp(log_a), b, np.where(has_guessing, 1.0 / (1.0 + np.exp(-logit_c)), 0.0)]
    )


def standard_errors(parameters: FloatArray, covariance: FloatArray) -> FloatArray:
    """Standard errors of (a, b, c) by the delta method, ``(n_items, 3)``.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    covariance
        ``(n_items, 3, 3)`` of φ.
    """
    a, b, c = np.asarray(parameters, float).T
    slopes = np.column_stack([a, np.ones_like(b), c * (1.0 - c)])
    variances = np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0)
    return np.asarray(slopes * np.sqrt(variances))
