"""Joint covariance of everything that a fit estimated, from the observed information.

The nightly standard errors (`expectation.marginal_derivatives`) hold all other items and the
population. Here nothing is held: the information is minus the derivative of the exact score of
the marginal likelihood, by central differences, over all free coordinates of all items and what
is estimated of the population. The score takes one E-step, since it equals the gradient of the
expected complete-data log-likelihood at the same point (Oakes 1999, Journal of the Royal
Statistical Society B 61, 479–482). So n parameters take 2n E-steps. This is the covariance that
R mirt calls Oakes, for comparison with it and for small tests.

A 1PL is fitted with slopes of 1 and a free population spread σ. `in_standard_population` states
it as other programs do: abilities N(0, 1) and a common slope σ.
"""

from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.em import EMResult
from calibration_pipeline.irt.expectation import Expectation, expect
from calibration_pipeline.irt.model import (
    BoolArray,
    FloatArray,
    from_internal,
    probability_gradients,
    response_probabilities,
    to_internal,
)
from calibration_pipeline.irt.population import (
    Population,
    PopulationCells,
    ability_nodes,
    normal_log_weights,
)
from calibration_pipeline.irt.problem import ItemProblem
from calibration_pipeline.irt.responses import ResponseData

MAXIMUM_PARAMETERS = 600
"""The cost grows with the square of the number of items."""
STEP = 1e-4
"""Of the differences: their error is about STEP², and rounding's about 1e-16 · n / STEP."""


@dataclass(frozen=True)
class JointUncertainty:
    """Information and covariance over all n parameters that a fit estimated.

    Parameters stand in this order: the free coordinates of φ, item by item; the population's
    mean if it is estimated; the logarithm of its standard deviation if that is.

    Attributes
    ----------
    free
        ``(n_items, 3)`` estimated coordinates of φ.
    population
        As fitted; its flags say what of it is among the parameters.
    information
        ``(n, n)`` observed information, with the priors' precision.
    covariance
        ``(n, n)`` its inverse.
    """

    free: BoolArray
    population: Population
    information: FloatArray
    covariance: FloatArray

    @property
    def item_covariance(self) -> FloatArray:
        """Covariance of each item's φ, ``(n_items, 3, 3)``; 0 for a coordinate that isn't free."""
        return _covariance_blocks(_item_jacobian(self), self.covariance)

    @property
    def population_covariance(self) -> FloatArray:
        """Covariance of (mean, log standard deviation), ``(2, 2)``; 0 for what is held."""
        jacobian = np.zeros((1, 2, len(self.covariance)))
        for row, column in enumerate(_population_columns(self)):
            if column is not None:
                jacobian[0, row, column] = 1.0
        return np.asarray(_covariance_blocks(jacobian, self.covariance)[0])


def observed_information(
    data: ResponseData, problem: ItemProblem, result: EMResult, configuration: EMConfiguration
) -> JointUncertainty:
    """Observed information at a fit, and its inverse.

    Mean and spread of a learned prior are taken as given, and an estimate that stands at a bound
    is treated like any other.

    Parameters
    ----------
    data, problem, configuration
        What the fit was given.
    result
        The fit. The information describes it only where it converged: pass a tight tolerance.

    Raises
    ------
    ValueError
        If there are more than `MAXIMUM_PARAMETERS` parameters, if the population isn't one
        normal distribution, or if the answers don't determine one of the parameters.
    """
    if result.population.has_contrasts or result.population.slope.any():
        raise ValueError(
            "a joint covariance needs one normal population: fit without groups and covariate"
        )
    point = _point_of(problem, result)
    n_parameters = len(point.vector)
    if n_parameters > MAXIMUM_PARAMETERS:
        raise ValueError(
            f"a joint covariance of {n_parameters} parameters would take too long: "
            f"at most {MAXIMUM_PARAMETERS}; use marginal_derivatives beyond"
        )
    configuration = _with_fixed_nodes(result.population, configuration)
    information = np.empty((n_parameters, n_parameters))
    for k, step in enumerate(STEP * np.eye(n_parameters)):
        above = _score(replace(point, vector=point.vector + step), data, configuration)
        below = _score(replace(point, vector=point.vector - step), data, configuration)
        information[k] = (below - above) / (2.0 * STEP)
    information = (information + information.T) / 2.0
    n_of_items = int(problem.free.sum())
    information[:n_of_items, :n_of_items] += _prior_precision(problem, result)
    covariance = _inverse(information, problem.free)
    return JointUncertainty(problem.free, result.population, information, covariance)


def in_standard_population(
    parameters: FloatArray, joint: JointUncertainty
) -> tuple[FloatArray, FloatArray]:
    """State items on the scale on which the population is N(0, 1), by the delta method.

    With θ ~ N(μ, σ²): a* = σ·a, b* = (b − μ)/σ, c* = c. What is known of μ and σ only with
    error enters every item, fixed ones included.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing, as fitted.
    joint
        Of the same fit.

    Returns
    -------
    tuple
        ``(n_items, 3)`` parameters and ``(n_items, 3, 3)`` covariance of φ on that scale.
    """
    mean, sd = joint.population.mean[0], joint.population.sd[0]
    a, b, c = parameters.T
    standard = np.column_stack([a * sd, (b - mean) / sd, c])
    jacobian = _item_jacobian(joint)
    jacobian[:, 1] /= sd
    mean_column, sd_column = _population_columns(joint)
    if mean_column is not None:
        jacobian[:, 1, mean_column] = -1.0 / sd
    if sd_column is not None:
        jacobian[:, 0, sd_column] = 1.0
        jacobian[:, 1, sd_column] = -standard[:, 1]
    return standard, _covariance_blocks(jacobian, joint.covariance)


def slope_intercept_standard_errors(parameters: FloatArray, covariance: FloatArray) -> FloatArray:
    """Standard errors of slope a and intercept d = −a·b, ``(n_items, 2)``, by the delta method.

    Other programs state an item as a·θ + d.

    Parameters
    ----------
    parameters
        ``(n_items, 3)`` discrimination, difficulty, guessing.
    covariance
        ``(n_items, 3, 3)`` of φ.
    """
    a, b, _ = parameters.T
    jacobian = np.zeros((len(parameters), 2, 3))
    jacobian[:, 0, 0] = a
    jacobian[:, 1, 0] = -a * b
    jacobian[:, 1, 1] = -a
    of_both = jacobian @ covariance @ jacobian.transpose(0, 2, 1)
    return np.asarray(np.sqrt(np.maximum(np.diagonal(of_both, axis1=1, axis2=2), 0.0)))


@dataclass(frozen=True)
class _Point:
    """A point in the space of the parameters, and what it takes to make items of it."""

    vector: FloatArray
    problem: ItemProblem
    population: Population

    def items(self) -> FloatArray:
        """Give (a, b, c) of every item, ``(n_items, 3)``."""
        free = self.problem.free
        internal = to_internal(self.problem.start)
        internal[free] = self.vector[: free.sum()]
        parameters = from_internal(internal, self.problem.has_guessing)
        return np.where(free, parameters, self.problem.start)

    def population_here(self) -> Population:
        """Give the population with the values that the vector holds for it."""
        rest = list(self.vector[self.problem.free.sum() :])
        mean, sd = self.population.mean, self.population.sd
        if self.population.mean_is_estimated:
            mean = np.array([rest.pop(0)])
        if self.population.sd_is_estimated:
            sd = np.exp([rest.pop(0)])
        return replace(self.population, mean=mean, sd=sd)


def _point_of(problem: ItemProblem, result: EMResult) -> _Point:
    population = result.population
    values = [to_internal(result.parameters)[problem.free]]
    if population.mean_is_estimated:
        values.append(population.mean)
    if population.sd_is_estimated:
        values.append(np.log(population.sd))
    return _Point(np.concatenate(values), problem, population)


def _with_fixed_nodes(population: Population, configuration: EMConfiguration) -> EMConfiguration:
    """Make the grid wide enough that no step of the differences changes its number of nodes."""
    wider = replace(population, sd=1.01 * population.sd)
    nodes = ability_nodes(wider, PopulationCells.single(1), configuration)
    return replace(configuration, quadrature_nodes=len(nodes), quadrature_bound=float(nodes[-1]))


def _score(point: _Point, data: ResponseData, configuration: EMConfiguration) -> FloatArray:
    """Gradient of the marginal log-likelihood by the parameters, ``(n,)``."""
    parameters, population = point.items(), point.population_here()
    expectation = expect(data, parameters, population, configuration)
    nodes, scaling = expectation.nodes, configuration.scaling_constant
    p = np.clip(response_probabilities(nodes, parameters, scaling), 1e-15, 1.0 - 1e-15)
    residual = expectation.counts[1::2] / p - expectation.counts[0::2] / (1.0 - p)
    gradients = probability_gradients(nodes, parameters, scaling)
    of_items = np.einsum("jq,jkq->jk", residual, gradients)[point.problem.free]
    return np.concatenate([of_items, _population_score(expectation, population)])


def _population_score(expectation: Expectation, population: Population) -> list[float]:
    """Gradient by the mean and log standard deviation, as far as they are estimated.

    The density is normalised over the nodes, so its own moments there are taken off.
    """
    mean, sd = float(population.mean[0]), float(population.sd[0])
    mass = expectation.mass.sum(axis=0)
    surplus = mass - mass.sum() * np.exp(normal_log_weights(expectation.nodes, mean, sd))
    z = (expectation.nodes - mean) / sd
    score = [float(surplus @ z) / sd] if population.mean_is_estimated else []
    if population.sd_is_estimated:
        score.append(float(surplus @ np.square(z)))
    return score


def _prior_precision(problem: ItemProblem, result: EMResult) -> FloatArray:
    """Precision of the priors over the items' free coordinates, as one matrix."""
    priors = result.priors.for_items(problem.free)
    items, coordinates = np.nonzero(problem.free)
    same_item = items[:, None] == items
    between = priors.precision[items[:, None], coordinates[:, None], coordinates]
    return np.where(same_item, between, 0.0)


def _inverse(information: FloatArray, free: BoolArray) -> FloatArray:
    """Invert, or say which parameter the answers leave open."""
    values, vectors = np.linalg.eigh(information)
    if len(values) and values[0] <= 1e-10 * values[-1]:
        weakest = int(np.abs(vectors[:, 0]).argmax())
        items, _ = np.nonzero(free)
        what = f"item {items[weakest]}" if weakest < len(items) else "the population"
        raise ValueError(
            f"the answers don't determine {what}: fix it, give it a prior, or tighten the tolerance"
        )
    return np.asarray(np.linalg.inv(information))


def _item_jacobian(joint: JointUncertainty) -> FloatArray:
    """Derivative of every φ by the parameters, ``(n_items, 3, n)``: ones and zeros."""
    jacobian = np.zeros((*joint.free.shape, len(joint.covariance)))
    items, coordinates = np.nonzero(joint.free)
    jacobian[items, coordinates, np.arange(len(items))] = 1.0
    return jacobian


def _population_columns(joint: JointUncertainty) -> tuple[int | None, int | None]:
    """Positions of mean and log standard deviation among the parameters."""
    first = int(joint.free.sum())
    mean = first if joint.population.mean_is_estimated else None
    sd = first + (mean is not None) if joint.population.sd_is_estimated else None
    return mean, sd


def _covariance_blocks(jacobian: FloatArray, covariance: FloatArray) -> FloatArray:
    """J·covariance·Jᵀ of every item, from ``(n_items, k, n)`` to ``(n_items, k, k)``."""
    return np.asarray(jacobian @ covariance @ jacobian.transpose(0, 2, 1))
