"""Settings of the estimator. Import-light: no numba here."""

from dataclasses import dataclass


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
        Largest change of any item parameter (a, b, c) in a cycle at convergence.
    maximum_cycles
        Cycles after which the fit is given back as not converged.
    discrimination_bounds, difficulty_bounds, guessing_bounds
        Closed ranges of the estimates. A lower guessing bound of exactly 0 can't be stated on
        the logit scale; 0.001 stands for "no guessing seen".
    """

    scaling_constant: float = 1.0
    quadrature_nodes: int = 61
    quadrature_bound: float = 6.0
    tolerance: float = 0.001
    maximum_cycles: int = 100
    discrimination_bounds: tuple[float, float] = (0.2, 3.0)
    difficulty_bounds: tuple[float, float] = (-6.0, 6.0)
    guessing_bounds: tuple[float, float] = (0.001, 0.35)
