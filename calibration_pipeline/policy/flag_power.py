"""How many answers it takes to see that an item's difficulty has moved.

Let the answers since the move say I about b each, and those before it leave a standard error s. A
move of δ is flagged with the wanted power when δ ≥ (z + z_power) · √(1/(n·I) + s²): z from which a
drift is credible, z_power the normal quantile of the power. (The threshold on the size of the move
has to be passed as well, which matters where the move is not much larger.)

Source of the formula: sample size of a one-sided z test, e.g. Fleiss, Levin & Paik (2003),
*Statistical Methods for Rates and Proportions*, ch. 4.
"""

import math
from statistics import NormalDist

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from calibration_pipeline.irt.model import probability_gradients, response_probabilities
from calibration_pipeline.policy.flag_reference import shift_from_reference
from calibration_pipeline.records import CalibrationState, FloatArray

USUAL_POWER = 0.8
SMALLEST_FACTOR, LARGEST_FACTOR = 1e-3, 1e3
"""Fewest and most answers to think of, in multiples of those in the window."""
BISECTIONS = 24
_NODES, _WEIGHTS = hermegauss(21)
_NORMAL = NormalDist()


def information_per_answer(
    parameters: FloatArray,
    distance: float = 0.0,
    ability_error: float = 0.0,
    scaling_constant: float = 1.0,
) -> FloatArray:
    """Information of one answer about difficulty, with a and c known, ``(n_items,)``.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    distance
        Mean of θ − b of those who answer, in units of θ.
    ability_error
        Standard error with which the session's other answers tell θ: 0 takes it for known.
    scaling_constant
        D.
    """
    found = np.empty(len(parameters))
    weights = _WEIGHTS / _WEIGHTS.sum()
    for row, item in enumerate(np.asarray(parameters, float)):
        theta = item[1] + distance + ability_error * _NODES
        expected = response_probabilities(theta, item[None], scaling_constant)[0] @ weights
        slope = probability_gradients(theta, item[None], scaling_constant)[0, 1] @ weights
        found[row] = slope**2 / (expected * (1.0 - expected))
    return found


def answers_needed(
    move: float,
    information: float,
    credible_z: float,
    *,
    reference_se: float = 0.0,
    power: float = USUAL_POWER,
) -> float:
    """Answers since a move from which it is flagged with the power asked for; inf if never.

    Parameters
    ----------
    move
        Size of the move in b, in units of θ.
    information
        Of one answer about b; see `information_per_answer`.
    credible_z
        z from which a drift is credible.
    reference_se
        Standard error of the difficulty before the move. What isn't known of the reference no
        number of new answers makes up for.
    power
        Probability of being flagged, between 0 and 1.
    """
    left = (abs(move) / (credible_z + _NORMAL.inv_cdf(power))) ** 2 - reference_se**2
    if left <= 0.0 or information <= 0.0:
        return math.inf
    return math.ceil(1.0 / (information * left))


def smallest_move(standard_error: float, credible_z: float, *, power: float = USUAL_POWER) -> float:
    """Move in b that is flagged with the power asked for, given the error of the comparison."""
    return (credible_z + _NORMAL.inv_cdf(power)) * standard_error


def answers_needed_per_item(
    state: CalibrationState,
    reference: CalibrationState,
    move: float,
    credible_z: float,
    *,
    power: float = USUAL_POWER,
) -> FloatArray:
    """Answers that each item's window would have to hold for a move to be seen, ``(n_items,)``.

    From what the item's own answers say, in the window and before it: a and c are estimates, too,
    and so is the reference. NaN where an item isn't compared; inf where the reference is known too
    badly for any number of answers.

    Parameters
    ----------
    state, reference
        As for `flag_reference.shift_from_reference`.
    move
        Size of the move in b.
    credible_z, power
        As for `answers_needed`.
    """
    wanted = abs(move) / (credible_z + _NORMAL.inv_cdf(power))
    n = len(state.keys)
    low, high = np.full(n, math.log(SMALLEST_FACTOR)), np.full(n, math.log(LARGEST_FACTOR))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        found = shift_from_reference(state, reference, times_answers=np.exp(middle))
        is_enough = found.shift_se <= wanted
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    best = shift_from_reference(state, reference, times_answers=LARGEST_FACTOR)
    needed = np.ceil(state.window_counts * np.exp(high))
    needed = np.where(best.shift_se <= wanted, needed, np.inf)
    return np.where(best.is_compared, needed, np.nan)


def false_flags_a_night(n_items: int, credible_z: float, window_days: int) -> float:
    """New credible drift flags a night to expect in a pool in which nothing drifts.

    The z of an item against its reference changes by a day's answers a night: its correlation with
    itself τ nights later is 1 − τ / window. Such a process begins new stretches beyond ±z at twice
    the rate z · φ(z) / window, times a correction for being looked at once a night.

    Sources: Aldous (1989), *Probability Approximations via the Poisson Clumping Heuristic*, ch. D,
    for the rate; Siegmund (1985), *Sequential Analysis*, ch. X, for the correction (its 0.583).

    Parameters
    ----------
    n_items
        Items that are compared.
    credible_z
        z from which a drift is credible.
    window_days
        Days in the window.
    """
    step = credible_z * math.sqrt(2.0 / window_days)
    once_a_night = math.exp(-0.583 * step)
    return n_items * 2.0 * credible_z * _NORMAL.pdf(credible_z) / window_days * once_a_night
