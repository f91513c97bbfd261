"""Fit the hierarchy of items: from likelihood summaries to draws of its hyperparameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyro
import torch

from calibration_pipeline.bayes.hierarchy_density import (
    HierarchyData,
    Hyperparameters,
    by_family,
    family_effects,
    hierarchy_data,
    integrate_items,
)
from calibration_pipeline.bayes.hierarchy_model import hierarchy_model, hyperparameters
from calibration_pipeline.bayes.importance import Draws, draw
from calibration_pipeline.bayes.unconstrained import UnconstrainedDensity
from calibration_pipeline.irt.item_hierarchy import (
    HierarchyDraws,
    ItemFeatures,
    LikelihoodSummaries,
    OwnEvidence,
)
from calibration_pipeline.irt.model import FloatArray


@dataclass(frozen=True)
class HierarchyFit:
    """Draws of the hyperparameters, and what says whether they can be trusted (`Draws`).

    `own` is what each of the items taught by itself: a prior of one of them leaves it out.
    """

    draws: HierarchyDraws
    own: OwnEvidence
    pareto_k: float
    effective_size: float
    gradient_norm: float


def fit_hierarchy(
    summaries: LikelihoodSummaries,
    features: ItemFeatures,
    n_families: int,
    *,
    seed: int,
    n_draws: int = 64,
) -> HierarchyFit:
    """Learn what items are like from calibrated ones.

    Parameters
    ----------
    summaries
        What the answers alone say of each item: a prior that is still in them would be counted
        again with every fit, and the pool would shrink week after week.
    features
        The same items' authors, families and options.
    n_families
        Families are numbered from 0; one without items is known as any unseen one is.
    seed
        Of a generator of its own; the same seed gives the same draws.
    n_draws
        Draws to keep. The prior of an item is the mixture over them.
    """
    data = hierarchy_data(summaries, features, n_families)
    with _one_thread():
        density = UnconstrainedDensity.of(hierarchy_model, data)
        found = draw(density, density.dimensions, seed=seed, n_draws=n_draws)
        draws, own = _hierarchy_draws(data, density, found)
    return HierarchyFit(draws, own, found.pareto_k, found.effective_size, found.gradient_norm)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Leave the other cores to others; matrices of three rows gain nothing by threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pyro.validation_enabled(False):  # a third of the time, in checks of every step
            yield
    finally:
        torch.set_num_threads(threads)


def _hierarchy_draws(
    data: HierarchyData, density: UnconstrainedDensity, found: Draws
) -> tuple[HierarchyDraws, OwnEvidence]:
    at = hyperparameters(density.constrained(found.points))
    items = [integrate_items(data, _row(at, draw))[1] for draw in range(len(at.mean))]
    effects = [
        family_effects(by_family(data, own), at.between[[draw]]) for draw, own in enumerate(items)
    ]
    bias, scale, error_sd = at.author.unbind(-1)
    center, sd = data.author_center, data.author_sd
    draws = HierarchyDraws(
        mean=at.mean.numpy(),
        option_slope=at.option_slope.numpy(),
        residual=at.residual.numpy(),
        between=at.between.numpy(),
        author=torch.stack([center + sd * bias, sd * scale, sd * error_sd], dim=-1).numpy(),
        family_mean=_together([mean for mean, _ in effects]),
        family_covariance=_together([covariance for _, covariance in effects]),
        chance_center=data.chance_center,
        chance_sd=data.chance_sd,
    )
    own = OwnEvidence(
        _together([item.gradient for item in items]), _together([item.curvature for item in items])
    )
    return draws, own


def _together(parts: list[torch.Tensor]) -> FloatArray:
    return np.concatenate([part.numpy() for part in parts])


def _row(at: Hyperparameters, draw: int) -> Hyperparameters:
    return Hyperparameters(
        **{name: getattr(at, name)[[draw]] for name in Hyperparameters.__annotations__}
    )
