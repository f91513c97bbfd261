"""What is asked of the estimator, and what its cycles hand on."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.expectation import Expectation
from calibration_pipeline.irt.model import BoolArray, FloatArray
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.priors import ItemPriors, LearnedPrior


@dataclass(frozen=True)
class ItemProblem:
    """What is to be estimated.

    Attributes
    ----------
    start
        ``(n_items, 3)`` starting values of (a, b, c); the values of whatever is not free.
    free
        ``(n_items, 3)`` coordinates of φ to estimate; none for a fixed item.
    priors
        Each item's own prior, or one that is learned with the items.
    """

    start: FloatArray
    free: BoolArray
    priors: ItemPriors | LearnedPrior

    @property
    def has_guessing(self) -> BoolArray:
        """Items with a lower asymptote, ``(n_items,)``; a start of 0 doesn't take it from them."""
        return np.asarray((self.start[:, 2] > 0.0) | self.free[:, 2])


@dataclass(frozen=True)
class Tilt:
    """What the M-step maximises besides the likelihood and the priors; held during the cycles.

    Attributes
    ----------
    spread
        Coefficient of the population's log sd.
    linear
        ``(n_items, 3)`` a pull on φ.
    holds_sd
        Keep the population's standard deviations where they are.
    holds_scale
        Keep all of the population, and expand nothing.
    """

    spread: float = 0.0
    linear: FloatArray | None = None
    holds_sd: bool = False
    holds_scale: bool = False


@dataclass(frozen=True)
class CycleDiagnostics:
    """One row per cycle; `phase` names the objective that it belongs to.

    Objective and likelihood are of the values that the cycle started from, or, where those were
    worse than the ones before, of the ones before.
    """

    cycle: int
    phase: str
    objective: float
    log_likelihood: float
    largest_change: float
    is_undone: bool


@dataclass(frozen=True)
class Values:
    """What changes from cycle to cycle; `internal` is φ, ``(n_items, 3)``."""

    internal: FloatArray
    population: Population
    priors: ItemPriors | LearnedPrior


@dataclass(frozen=True)
class Evaluation:
    """Item parameters (a, b, c), E-step and objective at some values."""

    parameters: FloatArray
    expectation: Expectation
    objective: float


@dataclass(frozen=True)
class End:
    """Where the cycles ended."""

    values: Values
    evaluation: Evaluation
    converged: bool
    trace: tuple[CycleDiagnostics, ...]
