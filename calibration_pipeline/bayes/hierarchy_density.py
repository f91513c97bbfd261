"""Log likelihood of a hierarchy of items, the items and their families integrated out.

What answers say of an item is a Gaussian on φ, and so is everything above it: given the
hyperparameters, items and family effects leave by linear algebra, and only the hyperparameters are
left to sample. Nothing is inverted that may be singular: an item of whose guessing its answers say
nothing has a likelihood that is flat in that direction, and counts in the others.

Reference: Lindley & Smith (1972), Journal of the Royal Statistical Society B 34, 1–41.
"""

from dataclasses import dataclass

import numpy as np
import torch

from calibration_pipeline.irt.item_hierarchy import ItemFeatures, LikelihoodSummaries


@dataclass(frozen=True)
class HierarchyData:
    """The items as tensors of float64; see `ItemFeatures` and `LikelihoodSummaries`.

    Attributes
    ----------
    precision, linear
        ``(n_items, 3, 3)`` and ``(n_items, 3)``.
    author, has_author
        ``(n_items,)`` standardised statements, 0 where there is none; and 1.0 where there is one.
    chance, lacks_options
        ``(n_items,)`` standardised x, 0 where unknown; and 1.0 where it is.
    family, lacks_family
        ``(n_items,)`` number, `n_families` where unknown; and 1.0 where it is.
    n_families
        Number of families.
    author_center, author_sd, chance_center, chance_sd
        By which statements and x were standardised.
    """

    precision: torch.Tensor
    linear: torch.Tensor
    author: torch.Tensor
    has_author: torch.Tensor
    chance: torch.Tensor
    lacks_options: torch.Tensor
    family: torch.Tensor
    lacks_family: torch.Tensor
    n_families: int
    author_center: float
    author_sd: float
    chance_center: float
    chance_sd: float

    @property
    def knows_options(self) -> bool:
        """Whether the number of options of any item is known."""
        return not bool(self.lacks_options.all())

    @property
    def knows_families(self) -> bool:
        """Whether items of one family can be told from those of another: two have two or more."""
        return (
            int((self.family.bincount(minlength=self.n_families)[: self.n_families] > 1).sum()) > 1
        )


@dataclass(frozen=True)
class Hyperparameters:
    """Points of the space that is sampled, ``(n_draws, …)``; see `HierarchyDraws`.

    The author's are those of standardised statements.
    """

    mean: torch.Tensor
    option_slope: torch.Tensor
    residual: torch.Tensor
    between: torch.Tensor
    author: torch.Tensor


@dataclass(frozen=True)
class FamilyEvidence:
    """What is said of family effects u: log likelihood gradient·u − ½ uᵀ curvature u.

    By items, ``(n_draws, n_items, …)``, or by all items of each family, ``(n_draws,
    n_families, …)``.
    """

    gradient: torch.Tensor
    curvature: torch.Tensor


def hierarchy_data(
    summaries: LikelihoodSummaries, features: ItemFeatures, n_families: int
) -> HierarchyData:
    """Bring items into tensors; authors' statements and x are standardised."""
    author_center, author_sd = _location_and_spread(features.author_difficulty)
    chance_center, chance_sd = _location_and_spread(features.chance)
    author = (features.author_difficulty - author_center) / author_sd
    chance = (features.chance - chance_center) / chance_sd
    is_unknown = features.family < 0
    return HierarchyData(
        precision=torch.as_tensor(summaries.precision, dtype=torch.float64),
        linear=torch.as_tensor(summaries.linear, dtype=torch.float64),
        author=torch.as_tensor(np.nan_to_num(author)),
        has_author=torch.as_tensor(np.isfinite(author).astype(float)),
        chance=torch.as_tensor(np.nan_to_num(chance)),
        lacks_options=torch.as_tensor((~np.isfinite(chance)).astype(float)),
        family=torch.as_tensor(np.where(is_unknown, n_families, features.family)),
        lacks_family=torch.as_tensor(is_unknown.astype(float)),
        n_families=n_families,
        author_center=author_center,
        author_sd=author_sd,
        chance_center=chance_center,
        chance_sd=chance_sd,
    )


def _location_and_spread(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0, 1.0
    return float(known.mean()), float(known.std()) or 1.0


def marginal_log_likelihood(data: HierarchyData, at: Hyperparameters) -> torch.Tensor:
    """Log likelihood of the answers and of the authors' statements, ``(n_draws,)``; no constant."""
    items, by_item = integrate_items(data, at)
    evidence = by_family(data, by_item)
    spread, log_volume = _spread_of(at.between[:, None], evidence.curvature)
    explained = _quadratic(spread, evidence.gradient)
    return items + 0.5 * (explained - log_volume).sum(-1)


def integrate_items(
    data: HierarchyData, at: Hyperparameters
) -> tuple[torch.Tensor, FamilyEvidence]:
    """Integrate the items out, given family effects of 0; and what each says of its own."""
    precision, linear, statements = _with_authors(data, at.author)
    mean = at.mean[:, None] + data.chance[:, None] * at.option_slope[:, None]
    slope = at.option_slope[:, :, None] * at.option_slope[:, None, :]
    covariance = (
        at.residual[:, None]
        + data.lacks_family[:, None, None] * at.between[:, None]
        + data.lacks_options[:, None, None] * slope[:, None]
    )
    surprise = linear - _product(precision, mean)
    shrink, log_volume = _inverse_of_sum(precision, covariance)
    gradient = _product(shrink, surprise)
    at_mean = (mean * (linear + surprise)).sum(-1)  # 2 m·η − mᵀΛm
    explained = (surprise * _product(covariance, gradient)).sum(-1)
    total = statements + 0.5 * (at_mean + explained - log_volume).sum(-1)
    return total, FamilyEvidence(gradient, shrink @ precision)


def _with_authors(
    data: HierarchyData, author: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take the authors' statements in, each a measurement of its item's b."""
    bias, scale, error_sd = (column[:, None] for column in author.unbind(-1))
    weight = data.has_author / error_sd.square()
    heard = (data.author - bias) * weight
    b = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    precision = data.precision + (weight * scale.square())[..., None, None] * torch.outer(b, b)
    linear = data.linear + (heard * scale)[..., None] * b
    surprise = 0.5 * heard * (data.author - bias) + data.has_author * error_sd.log()
    return precision, linear, -surprise.sum(-1)


def family_effects(
    evidence: FamilyEvidence, between: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the families' effects.

    ``(n_draws, n_families, 3)`` and ``(n_draws, n_families, 3, 3)``.
    """
    covariance, _ = _spread_of(between[:, None], evidence.curvature)
    return _product(covariance, evidence.gradient), covariance


def by_family(data: HierarchyData, items: FamilyEvidence) -> FamilyEvidence:
    """Sum what items say over each family's."""
    n_draws = len(items.gradient)
    # The last row takes the items without a family, and is dropped.
    zeros = torch.zeros(n_draws, data.n_families + 1, 3, 3, dtype=torch.float64)
    return FamilyEvidence(
        zeros[:, :, 0].index_add(1, data.family, items.gradient)[:, :-1],
        zeros.index_add(1, data.family, items.curvature)[:, :-1],
    )


def _spread_of(
    covariance: torch.Tensor, precision: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Covariance of prior × likelihood, and log det (I + precision · covariance)."""
    shrink, log_volume = _inverse_of_sum(precision, covariance)
    return covariance @ shrink, log_volume


def _inverse_of_sum(
    precision: torch.Tensor, covariance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``(I + precision · covariance)⁻¹`` and its log determinant, by cofactors.

    For thousands of 3 × 3 matrices that is many times faster than a factorisation of each. The
    product of two positive semidefinite matrices has eigenvalues from 0: the determinant is 1 or
    more.
    """
    matrix = torch.eye(3, dtype=torch.float64) + precision @ covariance
    first, second, third = matrix.unbind(-2)
    cofactors = torch.stack(
        [
            torch.linalg.cross(second, third),
            torch.linalg.cross(third, first),
            torch.linalg.cross(first, second),
        ],
        dim=-1,
    )
    determinant = (first * cofactors[..., 0]).sum(-1)
    return cofactors / determinant[..., None, None], determinant.log()


def _product(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return (matrix @ vector[..., None]).squeeze(-1)


def _quadratic(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return (vector * _product(matrix, vector)).sum(-1)
