"""Whether a window contradicts what an item carries.

The window and the carried information share no answer, so that the two can be compared as two
samples. Each is a quadratic in φ: let the item's b be δ higher in the later sample than in the
earlier one, with the same log a and logit c. The estimate of δ and its standard error follow from
one system of four equations per item. The base prior says what a and c may be and nothing of b: a
prior that is wrong about an item must not count as evidence that the item changed.

Two divisions are tried, as in a cumulative-sum test: the window against what is carried, and the
newer half of the window against all that came before it, which sees a change while half of the
window is older than it.
"""

from dataclasses import dataclass, replace

import numpy as np

from calibration_pipeline.irt.expectation import MarginalDerivatives
from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.policy.scale_items import ScaleItems
from calibration_pipeline.records import BoolArray, FloatArray

_DIFFICULTY = 1
_SHIFT = 3
LEAST_INFORMATION = 10.0
"""About b, of either sample: a standard error of .3, some 50 to 100 answers. With fewer, a few
surprising ones pass for a change: sums of so few scores aren't normal."""


@dataclass(frozen=True)
class CarriedShift:
    """How much harder items are in later answers than in the earlier ones.

    Attributes
    ----------
    shift, shift_se
        ``(n_items,)`` in units of b, of the division that says more; NaN where nothing is carried
        or the window says nothing.
    """

    shift: FloatArray
    shift_se: FloatArray

    @property
    def z(self) -> FloatArray:
        """Shift over its standard error, ``(n_items,)``."""
        return self.shift / self.shift_se

    def is_credible(self, z: float) -> BoolArray:
        """Items whose shift is at least so many standard errors, ``(n_items,)``."""
        return np.asarray(np.abs(self.z) >= z)


@dataclass(frozen=True)
class _Sample:
    """Answers as a quadratic in φ: precision ``(n, 3, 3)`` and linear term ``(n, 3)``."""

    precision: FloatArray
    linear: FloatArray

    @classmethod
    def seen_from(cls, phi: FloatArray, free: BoolArray, found: MarginalDerivatives) -> "_Sample":
        """Expand a likelihood around `phi`, on the free coordinates."""
        precision = np.where(free[:, :, None] & free[:, None, :], found.information, 0.0)
        linear = np.einsum("jkm,jm->jk", precision, phi) + np.where(free, found.score, 0.0)
        return cls(precision, linear)


def carried_shift(
    items: ScaleItems,
    estimates: FloatArray,
    window: MarginalDerivatives,
    halves: tuple[MarginalDerivatives, MarginalDerivatives] | None,
    loadings: FloatArray,
) -> CarriedShift:
    """Estimate every item's shift between earlier and later answers.

    Parameters
    ----------
    items
        Base priors, carried information, and what is free.
    estimates
        ``(n, 3)`` parameters of tonight's fit.
    window
        Score and information of the window's answers at the estimates.
    halves
        The same of its older and its newer half, each under its own mean ability; None where
        nothing is carried.
    loadings
        ``(n, 3, 2)`` of the errors that all items share: the window's scale is an estimate.
    """
    free, n = items.free, len(estimates)
    if halves is None:
        return CarriedShift(np.full(n, np.nan), np.full(n, np.nan))
    phi = np.where(free, to_internal(estimates), 0.0)
    pairs = free[:, :, None] & free[:, None, :]
    carried = _Sample(np.where(pairs, items.information, 0.0), np.where(free, items.linear, 0.0))
    whole, older, newer = (_Sample.seen_from(phi, free, found) for found in (window, *halves))
    before = _Sample(carried.precision + older.precision, carried.linear + older.linear)
    common = np.square(loadings[:, _DIFFICULTY]).sum(axis=-1)
    carries = carried.precision[:, _DIFFICULTY, _DIFFICULTY] >= LEAST_INFORMATION
    first = _shift_between(items, carries, carried, whole, common)
    second = _shift_between(items, carries, before, newer, common)
    says_more = np.abs(np.nan_to_num(second.z)) > np.abs(np.nan_to_num(first.z))
    return CarriedShift(
        np.where(says_more, second.shift, first.shift),
        np.where(says_more, second.shift_se, first.shift_se),
    )


def _shift_between(
    items: ScaleItems, carries: BoolArray, earlier: _Sample, later: _Sample, common: FloatArray
) -> CarriedShift:
    """Solve for φ and δ; the later sample's quadratic is one in φ + δ on b."""
    free, n = items.free, len(carries)
    prior = np.where(free, items.prior_precision, 0.0)
    prior[:, _DIFFICULTY] = 0.0
    precision, right = np.zeros((n, 4, 4)), np.empty((n, 4))
    precision[:, :3, :3] = earlier.precision + later.precision
    precision[:, :3, :3] += (prior + np.where(free, 0.0, 1.0))[:, :, None] * np.eye(3)
    precision[:, :3, _SHIFT] = precision[:, _SHIFT, :3] = later.precision[:, _DIFFICULTY]
    precision[:, _SHIFT, _SHIFT] = later.precision[:, _DIFFICULTY, _DIFFICULTY]
    right[:, :3] = earlier.linear + later.linear + prior * items.prior_mean
    right[:, _SHIFT] = later.linear[:, _DIFFICULTY]
    says = carries & (later.precision[:, _DIFFICULTY, _DIFFICULTY] >= LEAST_INFORMATION)
    shift, variance = np.full(n, np.nan), np.full(n, np.nan)
    covariance = np.linalg.inv(precision[says])
    shift[says] = np.einsum("jk,jk->j", covariance[:, _SHIFT], right[says])
    variance[says] = covariance[:, _SHIFT, _SHIFT] + common[says]
    return CarriedShift(shift, np.sqrt(variance))


def without_carried(
    items: ScaleItems, is_contradicted: BoolArray, *, start: FloatArray
) -> ScaleItems:
    """Drop what some items carry; the next fit begins at `start`, ``(n_items, 3)``."""
    return replace(
        items,
        start=np.where(items.free, start, items.start),
        information=np.where(is_contradicted[:, None, None], 0.0, items.information),
        linear=np.where(is_contradicted[:, None], 0.0, items.linear),
    )
