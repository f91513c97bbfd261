"""The E-step: abilities integrated out over a normal population on equally spaced nodes.

Each session's likelihood is gathered from a table of log probabilities, normalised over the
nodes, and scattered into expected counts (Bock & Aitkin 1981, Psychometrika 46, eq. 12–16).
"""

from dataclasses import dataclass, fields

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.local_engine import engine_of
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.passes import (
    AbilityPass,
    CountPass,
    FittedValues,
    InformationPass,
)
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData

LEAST_LEFT = 0.01
"""Of the variance of a mean square, whatever the estimates take up: rounding must leave some."""


@dataclass(frozen=True)
class Expectation:
    """What the E-step gives.

    Attributes
    ----------
    counts
        ``(2·n_items, n_nodes)`` expected wrong (even rows) and right (odd rows) answers.
    mass
        ``(n_cells, n_nodes)`` expected number of each cell's sessions at each node.
    log_likelihood
        Marginal log-likelihood of all answers.
    nodes
        ``(n_nodes,)`` the abilities.
    """

    counts: FloatArray
    mass: FloatArray
    log_likelihood: float
    nodes: FloatArray


@dataclass(frozen=True)
class MarginalDerivatives:
    """First and second order of the marginal likelihood by each item, and its residuals.

    Attributes
    ----------
    score
        ``(n_items, 3)`` gradient of the marginal log-likelihood by φ.
    information
        ``(n_items, 3, 3)`` expected information of each answer given its session's other
        answers, summed; positive semidefinite by construction.
    infit, outfit
        ``(n_items,)`` mean squares of the residuals from those predictions. Their expectation
        under the model is exactly 1, for adaptively chosen items too. NaN without answers.
    infit_se, outfit_se
        ``(n_items,)`` their standard deviations under the model, of items whose parameters are
        known (Wright & Masters 1982, *Rating Scale Analysis*, ch. 5).
    infit_slope, outfit_slope
        ``(n_items, 3)`` their covariance with the score, which is also how fast they are expected
        to fall as φ rises.
    """

    score: FloatArray
    information: FloatArray
    infit: FloatArray
    outfit: FloatArray
    infit_se: FloatArray
    outfit_se: FloatArray
    infit_slope: FloatArray
    outfit_slope: FloatArray

    def fit_errors(self, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Standard deviations of infit and outfit where φ was estimated from these very answers.

        An estimate takes up a part of the noise that the mean squares would show; in an adaptive
        test, whose answers are all about equally hard, most of it. With V the variance of the mean
        square when φ is known, h its covariance with the score and C the posterior covariance of φ,
        what is left is V − h'Ch.

        Parameters
        ----------
        covariance
            ``(n_items, 3, 3)`` of φ, zero in coordinates that were not estimated; NaN counts as
            zero.

        Returns
        -------
        ``(n_items,)`` each: of infit and of outfit.

        Notes
        -----
        Source: Snijders (2001), *Psychometrika* 66, 331–342, which does so for the fit of a person
        whose ability is estimated.
        """
        known = np.nan_to_num(covariance)
        return (
            _error_left(self.infit_se, self.infit_slope, known),
            _error_left(self.outfit_se, self.outfit_slope, known),
        )

    def of_items(self, n_items: int) -> "MarginalDerivatives":
        """Keep the first items."""
        return MarginalDerivatives(*(getattr(self, f.name)[:n_items] for f in fields(self)))


def expect(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> Expectation:
    """Run one E-step.

    Parameters
    ----------
    data
        The answers.
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    population
        The ability population.
    configuration
        Quadrature and scaling constant.
    """
    values = _values(data, parameters, population, configuration)
    counts, mass, log_likelihood = engine_of(data).total(data, CountPass(values))
    return Expectation(counts, mass, float(log_likelihood[0, 0]), values.nodes)


def with_estimated_mean(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
    *,
    weight: float = 1.0,
) -> Population:
    """Shift the population to the mean that the answers say, all else held (by EM).

    Parameters
    ----------
    data, parameters, population, configuration
        As in `expect`.
    weight
        Share of the way to go, from 0 to 1.
    """
    cells, moved = data.population_cells, population
    for _ in range(configuration.maximum_cycles):
        found = expect(data, parameters, moved, configuration)
        shift = (
            float((found.mass @ found.nodes).sum() / found.mass.sum())
            - (moved.pooled(cells, found.mass.sum(axis=1))[0])
        )
        moved = moved.rescaled(1.0, shift)
        if abs(shift) < configuration.tolerance:
            break
    total = float((moved.mean - population.mean)[0])
    return population.rescaled(1.0, weight * total)


def marginal_derivatives(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> MarginalDerivatives:
    """Score, information and fit of every item at the given values, all others held.

    For an answer x with p its probability predicted from the session's other answers, the score
    is (x − p)/(p(1 − p)) · ∂p/∂φ, which is exact, and the information ∂p ∂pᵀ/(p(1 − p)).

    Parameters are those of `expect`.
    """
    values = _values(data, parameters, population, configuration)
    (sums,) = engine_of(data).total(data, InformationPass(values))
    return _derivatives_of(sums, data.item_weights)


def _error_left(error: FloatArray, slope: FloatArray, covariance: FloatArray) -> FloatArray:
    taken_up = np.einsum("jk,jkm,jm->j", slope, covariance, slope)
    left = np.maximum(error**2 - taken_up, LEAST_LEFT * error**2)
    return np.asarray(np.sqrt(left), np.float64)


def _derivatives_of(sums: FloatArray, counts: FloatArray) -> MarginalDerivatives:
    information = np.empty((len(sums), 3, 3))
    upper = np.triu_indices(3)
    information[:, upper[0], upper[1]] = sums[:, 3:9]
    information[:, upper[1], upper[0]] = sums[:, 3:9]
    answered = counts > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        infit = np.where(answered, sums[:, 9] / sums[:, 10], np.nan)
        outfit = np.where(answered, sums[:, 11] / counts, np.nan)
        infit_se = np.where(answered, np.sqrt(np.maximum(sums[:, 12], 0)) / sums[:, 10], np.nan)
        outfit_se = np.where(answered, np.sqrt(np.maximum(sums[:, 13], 0)) / counts, np.nan)
        infit_slope = np.where(answered[:, None], sums[:, 14:17] / sums[:, 10:11], np.nan)
        outfit_slope = np.where(answered[:, None], sums[:, 17:20] / counts[:, None], np.nan)
    return MarginalDerivatives(
        sums[:, :3].copy(), information, infit, outfit, infit_se, outfit_se,
        infit_slope, outfit_slope,
    )  # fmt: skip


def estimate_abilities(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> tuple[FloatArray, FloatArray]:
    """Posterior mean (EAP) and standard deviation of each session's ability, ``(n_sessions,)``.

    Source: Bock & Mislevy (1982), Applied Psychological Measurement 6, 431–444.
    """
    values = _values(data, parameters, population, configuration)
    means, sds = engine_of(data).each(data, AbilityPass(values))
    return means, sds


def _values(
    data: ResponseData,
    parameters: FloatArray,
    population: Population,
    configuration: EMConfiguration,
) -> FittedValues:
    cells = data.population_cells.without_sessions()
    return FittedValues(parameters, population, cells, configuration)
