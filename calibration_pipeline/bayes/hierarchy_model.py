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
        at = hyperparameters(sample_sites(data))
        pyro.factor("answers_and_authors", marginal_log_likelihood(data, at))


def sample_sites(data: HierarchyData) -> dict[str, torch.Tensor]:
    """Draw points from the priors, as Pyro's sites.

    What no item can tell is not asked: without a stated number of options, or two families of more
    than one item, their spread can't be told from that of the items themselves.
    """
    nothing = _vector((0.0, 0.0, 0.0))
    normal = {"mean": (_vector(TYPICAL_MEAN), _vector(MEAN_SD))}
    if data.knows_options:
        normal["option_slope"] = (nothing, _vector(OPTION_SLOPE_SD))
    normal["author"] = (nothing[:2], _vector((2.0, 2.0)))
    sites = {name: pyro.sample(name, dist.Normal(*at).to_event(1)) for name, at in normal.items()}
    sites["author_error"] = pyro.sample(
        "author_error", dist.HalfNormal(_vector((1.0,))).to_event(1)
    )
    spreads = {"residual": RESIDUAL_SD} | ({"family": FAMILY_SD} if data.knows_families else {})
    for name, sd in spreads.items():
        sites |= _sample_covariance(name, sd)
    return sites


def hyperparameters(sites: dict[str, torch.Tensor]) -> Hyperparameters:
    """Put values of the sites together; what the model didn't ask is 0."""
    nothing = torch.zeros_like(sites["mean"])
    return Hyperparameters(
        mean=sites["mean"],
        option_slope=sites.get("option_slope", nothing),
        residual=_covariance("residual", sites),
        between=_covariance("family", sites) if "family_sd" in sites else torch.diag_embed(nothing),
        author=torch.cat([sites["author"], sites["author_error"]], dim=-1),
    )


def _sample_covariance(name: str, sd: tuple[float, ...]) -> dict[str, torch.Tensor]:
    """Covariance matrices: half-normal standard deviations, LKJ correlations."""
    spread, factor = f"{name}_sd", f"{name}_correlation"
    concentration = torch.tensor(CORRELATION_CONCENTRATION, dtype=torch.float64)
    return {
        spread: pyro.sample(spread, dist.HalfNormal(_vector(sd)).to_event(1)),
        factor: pyro.sample(factor, dist.LKJCholesky(len(sd), concentration)),
    }


def _covariance(name: str, sites: dict[str, torch.Tensor]) -> torch.Tensor:
    root = sites[f"{name}_sd"][..., None] * sites[f"{name}_correlation"]
    return root @ root.mT


def _vector(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)
