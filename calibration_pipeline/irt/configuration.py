"""Settings of the numerics. Import-light: neither numba nor SciPy here."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

LinkingMethod = Literal["stocking-lord", "haebara", "mean-sigma", "mean-mean"]
LINKING_METHODS: tuple[LinkingMethod, ...] = get_args(LinkingMethod)
LinkingWeights = Literal["precision", "equal"]
LINKING_WEIGHTS: tuple[LinkingWeights, ...] = get_args(LinkingWeights)


@dataclass(frozen=True)
class EMConfiguration:
    """How the estimator integrates, stops and bounds.

    Attributes
    ----------
    scaling_constant
        D of the response function; 1.0, or 1.702 for the normal-ogive metric.
    quadrature_nodes, quadrature_bound
        Equally spaced ability nodes on [−bound, bound].
    tolerance
        Largest change of any item parameter (a, b, c), or of the population, in a cycle at
        convergence.
    maximum_cycles
        Cycles of a phase (see `em.EMResult`) after which it is given back as not converged.
    integrates_items
        Estimate the population's spread with the errors of the items integrated out, where they
        have priors; otherwise it is the joint mode, which is too narrow.
    discrimination_bounds, difficulty_bounds, guessing_bounds
        Closed ranges of the estimates. A lower guessing bound of exactly 0 can't be stated on
        the logit scale; 0.001 stands for "no guessing seen".
    """

    scaling_constant: float = 1.0
    quadrature_nodes: int = 61
    quadrature_bound: float = 6.0
    tolerance: float = 0.001
    maximum_cycles: int = 100
    integrates_items: bool = True
    discrimination_bounds: tuple[float, float] = (0.2, 3.0)
    difficulty_bounds: tuple[float, float] = (-6.0, 6.0)
    guessing_bounds: tuple[float, float] = (0.001, 0.35)

    def __post_init__(self) -> None:
        """Refuse values that no fit can use.

        Raises
        ------
        ValueError
            Names the setting and what it has to be.
        """
        bounds = (*self.discrimination_bounds, *self.difficulty_bounds, *self.guessing_bounds)
        numbers = (self.scaling_constant, self.quadrature_bound, self.tolerance, *bounds)
        require(all(map(isfinite, numbers)), "every number must be finite")
        require(self.scaling_constant > 0, "scaling_constant must be above 0")
        require(self.quadrature_nodes >= 3, "quadrature_nodes must be 3 or more")
        require(self.quadrature_bound > 0, "quadrature_bound must be above 0")
        require(self.tolerance > 0, "tolerance must be above 0")
        require(self.maximum_cycles >= 1, "maximum_cycles must be 1 or more")
        for name in ("discrimination_bounds", "difficulty_bounds", "guessing_bounds"):
            low, high = getattr(self, name)
            require(low < high, f"{name} must go from a lower to a higher value")
        require(self.discrimination_bounds[0] > 0, "discrimination_bounds must lie above 0")
        low, high = self.guessing_bounds
        require(low > 0 and high < 1, "guessing_bounds must lie between 0 and 1")


def require(holds: bool, message: str) -> None:
    """Refuse a setting with a `ValueError` unless the condition holds."""
    if not holds:
        raise ValueError(message)
