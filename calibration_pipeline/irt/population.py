"""Who the sessions belong to: a normal ability population, by group and by what was known before.

The ability of a session is normal around ``mean[group] + slope[group] · covariate`` with standard
deviation ``sd[group]``. The covariate is the ability with which the test engine started the
session: fixed before the first answer, it makes selection that depends on it ignorable.

Source: latent regression, Mislevy (1985), Journal of the American Statistical Association 80,
993–997; several groups, Bock & Zimowski (1997), in *Handbook of Modern IRT*, ch. 25.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.model import FloatArray

REACH_IN_SDS = 5.0
"""Nodes reach this far around every cell's mean, or the tails would push the population in."""
LARGEST_STRETCH = 4.0
"""Nodes are stretched at most to this many times the configured bound."""


@dataclass(frozen=True)
class PopulationCells:
    """Sessions that the population doesn't tell apart share a cell.

    Attributes
    ----------
    cell
        ``(n_sessions,)`` int32 cell of each session.
    group
        ``(n_cells,)`` int64 population group of each cell.
    covariate
        ``(n_cells,)`` ability known before the session, binned; 0 where nothing was known.
    """

    cell: NDArray[np.int32]
    group: NDArray[np.int64]
    covariate: FloatArray

    @classmethod
    def single(cls, n_sessions: int) -> "PopulationCells":
        """Everybody in one group, and nothing known."""
        return cls(np.zeros(n_sessions, np.int32), np.zeros(1, np.int64), np.zeros(1))

    def without_sessions(self) -> "PopulationCells":
        """The cells alone, without saying who is in them."""
        return replace(self, cell=self.cell[:0])


def _per_group(value: ArrayLike) -> FloatArray:
    return np.atleast_1d(np.asarray(value, float))


@dataclass(frozen=True, init=False)
class Population:
    """A normal ability population, and what of it is estimated.

    Where neither mean nor sd is, the population holds the scale: that of all groups together
    stays as it is. Where both are, fixed items or item priors hold it. Differences between groups
    and slopes are estimated in any case.

    Attributes
    ----------
    mean, slope, sd
        ``(n_groups,)`` intercept, slope on the covariate, and standard deviation around them.
    mean_is_estimated, sd_is_estimated
        Whether the location and the spread of all groups together are free.
    has_covariate
        Whether the slopes are estimated.
    """

    mean: FloatArray
    slope: FloatArray
    sd: FloatArray
    mean_is_estimated: bool = False
    sd_is_estimated: bool = False
    has_covariate: bool = False

    def __init__(
        self,
        mean: ArrayLike = 0.0,
        sd: ArrayLike = 1.0,
        mean_is_estimated: bool = False,
        sd_is_estimated: bool = False,
        *,
        slope: ArrayLike | None = None,
        has_covariate: bool = False,
    ) -> None:
        """Scalars stand for a single group.

        Raises
        ------
        ValueError
            If the groups don't match or a standard deviation isn't positive.
        """
        means, sds = _per_group(mean), _per_group(sd)
        slopes = np.zeros_like(means) if slope is None else _per_group(slope)
        if not means.shape == sds.shape == slopes.shape:
            raise ValueError("mean, sd and slope must have one value per group each")
        if not (sds > 0.0).all():
            raise ValueError("a population needs a positive standard deviation")
        object.__setattr__(self, "mean", means)
        object.__setattr__(self, "slope", slopes)
        object.__setattr__(self, "sd", sds)
        object.__setattr__(self, "mean_is_estimated", mean_is_estimated)
        object.__setattr__(self, "sd_is_estimated", sd_is_estimated)
        object.__setattr__(self, "has_covariate", has_covariate)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.mean)

    @property
    def has_contrasts(self) -> bool:
        """Whether anything beyond one normal is estimated."""
        return self.n_groups > 1 or self.has_covariate

    def cell_means(self, cells: PopulationCells) -> FloatArray:
        """Mean ability of every cell, ``(n_cells,)``."""
        return np.asarray(self.mean[cells.group] + self.slope[cells.group] * cells.covariate)

    def log_weights(self, nodes: FloatArray, cells: PopulationCells) -> FloatArray:
        """Logarithm of each cell's density on the nodes, summing to one, ``(n_cells, n_nodes)``."""
        return normal_log_weights(nodes, self.cell_means(cells), self.sd[cells.group])

    def rescaled(self, slope: float, intercept: float) -> "Population":
        """State the population on the scale θ* = slope · θ + intercept; the covariate stays."""
        return replace(
            self,
            mean=slope * self.mean + intercept,
            slope=slope * self.slope,
            sd=slope * self.sd,
        )

    def pooled(self, cells: PopulationCells, sessions: FloatArray) -> tuple[float, float]:
        """Mean and standard deviation of all sessions together.

        Parameters
        ----------
        cells
            The cells.
        sessions
            ``(n_cells,)`` number of sessions in each.
        """
        share = sessions / sessions.sum()
        means = self.cell_means(cells)
        mean = float(share @ means)
        variance = float(share @ (np.square(self.sd[cells.group]) + np.square(means - mean)))
        return mean, float(np.sqrt(variance))

    def updated(
        self, nodes: FloatArray, cells: PopulationCells, mass: FloatArray, tilt: float = 0.0
    ) -> "Population":
        """Maximise over everything that is estimated, given the expected mass.

        Parameters
        ----------
        nodes
            ``(n_nodes,)`` abilities.
        cells
            The cells.
        mass
            ``(n_cells, n_nodes)`` expected number of sessions.
        tilt
            Adds ``tilt · Σ share_of_sessions · log sd`` to what is maximised.
        """
        sessions = mass.sum(axis=1)
        of_group = [np.flatnonzero(cells.group == number) for number in range(self.n_groups)]
        mean, slope, sd = self.mean.copy(), self.slope.copy(), self.sd.copy()
        narrowest = float(nodes[1] - nodes[0])  # see `node_spacing`
        for number, rows in enumerate(of_group):
            n = sessions[rows].sum()
            if n <= 0.0:
                continue
            x = cells.covariate[rows]
            theta = np.einsum("cq,q->c", mass[rows], nodes)  # BLAS may sum in another order
            if self.mean_is_estimated or self.has_contrasts:
                if self.has_covariate:
                    slope[number] = _slope(x, theta, sessions[rows])
                mean[number] = (theta.sum() - slope[number] * (x @ sessions[rows])) / n
            if self.sd_is_estimated or self.has_contrasts:
                centre = mean[number] + slope[number] * x
                squares = (mass[rows] * np.square(nodes - centre[:, None])).sum()
                variance = squares / (n * (1.0 - tilt / sessions.sum()))
                sd[number] = max(np.sqrt(variance), narrowest)
        return replace(self, mean=mean, slope=slope, sd=sd)


def _slope(x: FloatArray, theta: FloatArray, sessions: FloatArray) -> float:
    """Least-squares slope of summed abilities on the covariate; 0 where it doesn't vary."""
    n = sessions.sum()
    centred = x - (x @ sessions) / n
    spread = float(sessions @ np.square(centred))
    return float(centred @ theta / spread) if spread > 1e-9 * n else 0.0


def quadrature_nodes(configuration: EMConfiguration) -> FloatArray:
    """Equally spaced ability nodes as configured, ``(n_nodes,)``."""
    bound = configuration.quadrature_bound
    return np.linspace(-bound, bound, configuration.quadrature_nodes)


def node_spacing(configuration: EMConfiguration) -> float:
    """Distance of neighbouring nodes, and the smallest standard deviation that they resolve.

    A normal's sums over nodes at distance h differ from its integrals by a share of
    2·exp(−2π²·(sd/h)²): 5e-9 where the standard deviation is h, but 1.4% where it is half of it.
    """
    return 2.0 * configuration.quadrature_bound / (configuration.quadrature_nodes - 1)


def normal_log_weights(nodes: FloatArray, mean: ArrayLike, sd: ArrayLike) -> FloatArray:
    """Logarithm of normal densities on the nodes, each scaled to sum to one.

    Parameters
    ----------
    nodes
        ``(n_nodes,)``.
    mean, sd
        Scalars, or ``(n,)`` for a result of ``(n, n_nodes)``.
    """
    means, sds = np.asarray(mean, float)[..., None], np.asarray(sd, float)[..., None]
    log_density = -0.5 * np.square((nodes - means) / sds)
    log_density = log_density - log_density.max(axis=-1, keepdims=True)
    total = np.exp(log_density).sum(axis=-1, keepdims=True)
    return np.asarray(log_density - np.log(total))


def ability_nodes(
    population: Population, cells: PopulationCells, configuration: EMConfiguration
) -> FloatArray:
    """Equally spaced nodes, the configured ones, or more of them where the population is wider.

    Spacing never changes, so that a wider grid holds the narrower one.
    """
    bound = configuration.quadrature_bound
    step = node_spacing(configuration)
    reach = np.abs(population.cell_means(cells)) + REACH_IN_SDS * population.sd[cells.group]
    wanted = min(float(reach.max()), LARGEST_STRETCH * bound)
    extra = max(0, int(np.ceil((wanted - bound) / step - 1e-9)))
    n_nodes = configuration.quadrature_nodes + 2 * extra
    return np.linspace(-bound - extra * step, bound + extra * step, n_nodes)
