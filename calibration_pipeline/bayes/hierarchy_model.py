"""The hierarchy of items as a Pyro model over its hyperparameters."""

import pyro
import pyro.distributions as dist
import torch

from calibration_pipeline.bayes.hierarchy_density import (
    HierarchyData,
    Hyperparameters,
    marginal_log_likelihood,
)

# In units of φ = (log a, b, logit c). Wide: they keep a scale with a handful of items proper.
TYPICAL_MEAN = (0.0, 0.0, -1.5)
MEAN_SD = (1.0, 2.0, 1.0)
RESIDUAL_SD = (0.5, 1.5, 0.75)
FAMILY_SD = (0.3, 1.0, 0.5)
OPTION_SLOPE_SD = (0.3, 0.5, 0.5)
CORRELATION_CONCENTRATION = 2.0
"""Of the LKJ prior; 1 is flat over correlation matrices, more favours weak correlations."""


def hierarchy_model(data: HierarchyData, n_draws: int = 1) -> None:
    """Priors of the hyperparameters, and the likelihood without items and families.

    Authors' statements are standardised, so that their priors know no unit. Several points are
    drawn, or judged, at once: every site is ``(n_draws, …)``.
    """
    with pyro.plate("draws", n_draws):
        at = sample_hyperparameters()
        pyro.factor("answers_and_authors", marginal_log_likelihood(data, at))


def sample_hyperparameters() -> Hyperparameters:
    """Draw points from the priors, as Pyro's sites."""
    nothing = _vector((0.0, 0.0, 0.0))
    mean = pyro.sample("mean", dist.Normal(_vector(TYPICAL_MEAN), _vector(MEAN_SD)).to_event(1))
    slope = pyro.sample("option_slope", dist.Normal(nothing, _vector(OPTION_SLOPE_SD)).to_event(1))
    regression = pyro.sample("author", dist.Normal(nothing[:2], _vector((2.0, 2.0))).to_event(1))
    error_sd = pyro.sample("author_error", dist.HalfNormal(_vector((1.0,))).to_event(1))
    return Hyperparameters(
        mean=mean,
        option_slope=slope,
        residual=_covariance("residual", RESIDUAL_SD),
        between=_covariance("family", FAMILY_SD),
        author=torch.cat([regression, error_sd], dim=-1),
    )


def _covariance(name: str, sd: tuple[float, ...]) -> torch.Tensor:
    """Covariance matrices: half-normal standard deviations, LKJ correlations."""
    spread = pyro.sample(f"{name}_sd", dist.HalfNormal(_vector(sd)).to_event(1))
    concentration = torch.tensor(CORRELATION_CONCENTRATION, dtype=torch.float64)
    factor = pyro.sample(f"{name}_correlation", dist.LKJCholesky(len(sd), concentration))
    root = spread[..., None] * factor
    return root @ root.mT


def _vector(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
