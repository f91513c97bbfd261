"""Gaussian priors on φ = (log a, b, logit c)."""

from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.model import BoolArray, FloatArray


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

    def log_density(self, internal: FloatArray) -> float:
        """Sum over items, without the constants that don't depend on φ."""
        quadratic = np.einsum("jk,jkm,jm->", internal, self.precision, internal)
        return float((self.linear * internal).sum() - 0.5 * quadratic)


@dataclass(frozen=True)
class LearnedPrior:
    """One normal per coordinate shared by all items, its mean and spread estimated with them.

    It moves with the scale, which makes the rescaling step of parameter-expanded EM legitimate
    under a prior. The variance has an inverse-gamma hyperprior of `strength` pseudo-items at
    `spread`; the mean a flat one. The guessing spread is kept, since answers hardly inform it.

    Attributes
    ----------
    mean, sd
        ``(3,)`` current values.
    spread
        ``(3,)`` the hyperprior's scale.
    strength
        Pseudo-items behind `spread`.
    """

    mean: FloatArray
    sd: FloatArray
    spread: FloatArray
    strength: float = 10.0

    @classmethod
    def starting_at(cls, mean: FloatArray, sd: FloatArray) -> "LearnedPrior":
        """Begin from a textbook prior."""
        return cls(np.asarray(mean, float), np.asarray(sd, float), np.asarray(sd, float))

    def for_items(self, free: BoolArray) -> ItemPriors:
        """Give the prior of every item, ``(n_items, 3)`` free coordinates."""
        return ItemPriors.normal(self.mean, self.sd, free)

    def updated(self, internal: FloatArray, free: BoolArray) -> "LearnedPrior":
        """Maximise over mean and spread given the items."""
        n = free.sum(axis=0)
        seen = (n > 0) & np.array([True, True, False])
        mean = np.where(seen, (internal * free).sum(axis=0) / np.maximum(n, 1), self.mean)
        squares = (np.square(internal - mean) * free).sum(axis=0)
        variance = (self.strength * self.spread**2 + squares) / (self.strength + n + 2.0)
        return replace(self, mean=mean, sd=np.where(seen, np.sqrt(variance), self.sd))

    def rescaled(self, slope: float, intercept: float) -> "LearnedPrior":
        """State the prior on the scale b* = slope · b + intercept, a* = a / slope."""
        shift = np.array([-np.log(slope), self.mean[1] * (slope - 1.0) + intercept, 0.0])
        stretch = np.array([1.0, slope, 1.0])
        return replace(self, mean=self.mean + shift, sd=self.sd * stretch)

    def log_density(self, internal: FloatArray, free: BoolArray) -> float:
        """Log prior of the items plus the hyperprior, up to a constant."""
        z = np.where(free, (internal - self.mean) / self.sd, 0.0)
        items = -0.5 * np.square(z).sum() - (free.sum(axis=0) * np.log(self.sd)).sum()
        variance = self.sd**2
        hyper = -(self.strength / 2 + 1) * np.log(variance) - (
            self.strength * self.spread**2 / (2 * variance)
        )
        return float(items + hyper[:2].sum())
