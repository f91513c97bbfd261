"""Gaussian priors on φ = (log a, b, logit c)."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.model import BoolArray, FloatArray

NEWTON_STEPS = 10
SPREAD_CYCLES = 50
SPREAD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ItemPriors:
    """One Gaussian per item in natural form: log density = linear·φ − ½ φᵀ precision φ + const.

    Attributes
    ----------
    precision
        ``(n_items, 3, 3)``, zero for no prior.
    linear
        ``(n_items, 3)``.
    """

    precision: FloatArray
    linear: FloatArray

    @classmethod
    def none(cls, n_items: int) -> "ItemPriors":
        """No prior at all: maximum likelihood."""
        return cls(np.zeros((n_items, 3, 3)), np.zeros((n_items, 3)))

    @classmethod
    def normal(cls, mean: FloatArray, sd: FloatArray, free: BoolArray) -> "ItemPriors":
        """Independent normals; only on the coordinates that are free.

        Parameters
        ----------
        mean, sd
            ``(n_items, 3)`` or broadcastable to it.
        free
            ``(n_items, 3)``.
        """
        precision = np.where(free, 1.0 / np.square(np.broadcast_to(sd, free.shape)), 0.0)
        return cls(precision[:, :, None] * np.eye(3), precision * np.where(free, mean, 0.0))

    def for_items(self, free: BoolArray) -> "ItemPriors":  # noqa: ARG002 - a learned prior needs it
        """Give the prior of every item: these are it."""
        return self

    def log_density(self, internal: FloatArray) -> float:
        """Sum over items, without the constants that don't depend on φ."""
        quadratic = np.einsum("jk,jkm,jm->", internal, self.precision, internal)
        return float((self.linear * internal).sum() - 0.5 * quadratic)

    def over_intercepts(self, free: BoolArray) -> "ItemPriors":
        """Turn densities over (log a, b, logit c) into densities over (log a, a · b, logit c).

        The normal on b stays what it is; the mode moves, since ``d(a·b) = a · db``.
        """
        return replace(self, linear=self.linear - np.outer(_has_slope(free), [1.0, 0.0, 0.0]))

    def posterior_covariance(self, free: BoolArray, information: FloatArray) -> FloatArray:
        """Inverse of prior precision plus information, ``(n_items, 3, 3)``.

        Parameters
        ----------
        free
            ``(n_items, 3)``; the result is 0 elsewhere.
        information
            ``(n_items, 3, 3)`` of the answers about φ.
        """
        pairs = free[:, :, None] & free[:, None, :]
        inverse = np.linalg.inv(self._posterior_precision(free, information))
        return np.where(pairs, inverse, 0.0)

    def log_volume(self, free: BoolArray, information: FloatArray) -> float:
        """Log volume of the items' posterior, −½ Σ log det of its precision; up to a constant."""
        precision = self._posterior_precision(free, information)
        return -0.5 * float(np.linalg.slogdet(precision)[1].sum())

    def _posterior_precision(self, free: BoolArray, information: FloatArray) -> FloatArray:
        """On the free coordinates; 1 on the diagonal elsewhere, which leaves others as they are."""
        pairs = free[:, :, None] & free[:, None, :]
        fixed = np.where(free, 0.0, 1.0)
        return np.where(pairs, information + self.precision, 0.0) + fixed[:, :, None] * np.eye(3)


@dataclass(frozen=True)
class LearnedPrior:
    """One normal per coordinate shared by all items, its mean and spread estimated with them.

    It moves with the scale, which makes the rescaling step of parameter-expanded EM legitimate.
    For that, the mode must not depend on the unit of the scale either: as a density over b it
    does, since n items give the prior's normalising constant a pull of n · log(unit). As a density
    over the intercept a · b it doesn't, and that is the mode that is sought: log a has an extra
    linear term of −1 wherever slope and difficulty are both free.

    The variance has an inverse-gamma hyperprior of `strength` pseudo-items at `spread`; the mean a
    flat one. The spread of b is stated for items of a typical slope of ``exp(reference)``, and in
    inverse proportion for others: that, too, no unit can change. The prior of guessing is kept,
    since answers hardly inform it.

    Attributes
    ----------
    mean, sd
        ``(3,)`` current values.
    spread
        ``(3,)`` the hyperprior's scale.
    reference
        Mean of log a that the scale of b's spread belongs to.
    strength
        Pseudo-items behind `spread`.
    holds_slope_spread
        Whether the spread of log a stays where it is.
    """

    mean: FloatArray
    sd: FloatArray
    spread: FloatArray
    reference: float
    strength: float = 10.0
    holds_slope_spread: bool = False

    @classmethod
    def starting_at(cls, mean: FloatArray, sd: FloatArray) -> "LearnedPrior":
        """Begin from a textbook prior."""
        center, spread = np.asarray(mean, float), np.asarray(sd, float)
        return cls(center, spread, spread, float(center[0]))

    def for_items(self, free: BoolArray) -> ItemPriors:
        """Give the prior of every item over slope and intercept, ``(n_items, 3)`` free."""
        return ItemPriors.normal(self.mean, self.sd, free).over_intercepts(free)

    def updated(self, internal: FloatArray, free: BoolArray) -> "LearnedPrior":
        """Maximise over the mean, then over the spread, given the items' φ, ``(n_items, 3)``."""
        n, seen = self._counts(free)
        mean = np.where(seen, (internal * free).sum(axis=0) / np.maximum(n, 1), self.mean)
        if seen[0]:
            mean[0] = self._mean_of_slopes(float(mean[0]), int(n[0]))
        moved = replace(self, mean=mean)
        sd = moved._spread_of(internal, free, np.zeros(3))
        if self.holds_slope_spread:
            sd[0] = self.sd[0]
        return replace(moved, sd=sd)

    def with_integrated_spread(
        self, internal: FloatArray, free: BoolArray, information: FloatArray
    ) -> "LearnedPrior":
        """Estimate the spread of log a with the items' errors integrated out, and hold it.

        Estimates alone spread less than items do: empirical Bayes, by EM (Dempster, Laird & Rubin
        1977, Journal of the Royal Statistical Society B 39, 1–38, sec. 4.5). The spread of b is
        tied to the scale that the expansion moves; its own errors are small beside it.

        Parameters
        ----------
        internal, free
            ``(n_items, 3)`` φ, and what of it is estimated.
        information
            ``(n_items, 3, 3)`` of the answers about φ.
        """
        prior = replace(self, holds_slope_spread=True)
        for _ in range(SPREAD_CYCLES):
            covariance = prior.for_items(free).posterior_covariance(free, information)
            errors = np.diagonal(covariance, axis1=1, axis2=2).sum(axis=0)
            before, sd = prior.sd[0], prior.sd.copy()
            sd[0] = prior._spread_of(internal, free, errors)[0]
            prior = replace(prior, sd=sd)
            if abs(np.log(sd[0] / before)) < SPREAD_TOLERANCE:
                break
        return prior

    def rescaled(self, slope: float, intercept: float) -> "LearnedPrior":
        """State the prior on the scale b* = slope · b + intercept, a* = a / slope."""
        shift = np.array([-np.log(slope), self.mean[1] * (slope - 1.0) + intercept, 0.0])
        stretch = np.array([1.0, slope, 1.0])
        return replace(self, mean=self.mean + shift, sd=self.sd * stretch)

    def log_density(self, internal: FloatArray, free: BoolArray) -> float:
        """Log prior of the items over slope and intercept plus the hyperprior, up to a constant."""
        z = np.where(free, (internal - self.mean) / self.sd, 0.0)
        items = -0.5 * np.square(z).sum() - (free.sum(axis=0) * np.log(self.sd)).sum()
        items -= internal[_has_slope(free), 0].sum()
        ratio = np.square(self._spread_scale() / self.sd)
        hyper = 0.5 * self.strength * (np.log(ratio) - ratio)
        return float(items + hyper[:2].sum())

    def _spread_scale(self) -> FloatArray:
        unit = np.exp(self.reference - self.mean[0])
        return np.asarray(self.spread * np.array([1.0, unit, 1.0]))

    def _mean_of_slopes(self, average: float, n: int) -> float:
        """Mean of log a: the items' average, but for what the hyperprior of b's spread adds."""
        precision, mean = n / self.sd[0] ** 2, average
        for _ in range(NEWTON_STEPS):
            ratio = (self.spread[1] * np.exp(self.reference - mean) / self.sd[1]) ** 2
            slope = -precision * (mean - average) + self.strength * (ratio - 1.0)
            mean += slope / (precision + 2.0 * self.strength * ratio)
        return float(mean)

    def _counts(self, free: BoolArray) -> tuple[NDArray[np.int64], BoolArray]:
        n = free.sum(axis=0)
        return n, (n > 0) & np.array([True, True, False])

    def _spread_of(self, internal: FloatArray, free: BoolArray, errors: FloatArray) -> FloatArray:
        n, seen = self._counts(free)
        squares = (np.square(internal - self.mean) * free).sum(axis=0) + errors
        scale = self._spread_scale()
        variance = (self.strength * scale**2 + squares) / (self.strength + n)
        return np.where(seen, np.sqrt(variance), self.sd)


def _has_slope(free: BoolArray) -> BoolArray:
    return np.asarray(free[:, 0] & free[:, 1])
