"""One focal group against the reference group: tests, common shift, size.

1. Focal group f against reference r. What φ the two share was estimated, so it is projected out:
   with A = I_f (I_f + I_r)⁻¹, the efficient score is S_f − A (S_f + S_r) and its variance
   V = I_f − A I_f (Rao's score test; Cox & Hinkley 1974, *Theoretical Statistics*, sec. 9.3). Where
   the groups are alike this is the difference of two one-step estimates, S_f / I_f − S_r / I_r.
2. A shift common to all items can't be told from a difference in ability, so shifts are measured
   against the average item, weighted by information. Items that differ significantly are left out
   of that average and it is taken again (purification: Candell & Drasgow 1988, Applied
   Psychological Measurement 12, 253–260).
3. One-step estimates: Δb = S_b / V_bb, and a shift of log a beside it. Normal p values, adjusted
   over the items of a focal group (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, 289–300).

Size on the scale of the Mantel–Haenszel statistic, Δ_MH = −2.35 · ln α (Holland & Thayer 1988, in
*Test Validity*, ch. 9): α is the odds ratio of a right answer at equal ability, reference to focal,
pooled over abilities with weights P(1 − P). Since ∂ logit P/∂b = ∂P/∂b / (P(1 − P)),

    ln α ≈ Δb · Σ(−∂P/∂b) / ΣP(1 − P),    so    Δ_MH = −2.35 · Δb · Σ(−∂P/∂b) / ΣP(1 − P).

Without guessing the ratio is D·a exactly: Δ_MH = −2.35 · D·a·Δb, which is the usual −4·a·Δb for
D = 1.702. Guessing makes it smaller, as it does the observed odds ratio. Negative: harder for the
focal group.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from calibration_pipeline.irt.model import BoolArray, FloatArray

MH_DELTA_PER_LOG_ODDS = -2.35
PURIFICATION_LEVEL = 0.05
"""Adjusted p value at which an item no longer tells what the average item is."""
PURIFICATION_ROUNDS = 10
ETS_LEVEL, ETS_ONE_SIDED_Z = 0.05, 1.645
ETS_NEGLIGIBLE, ETS_LARGE = 1.0, 1.5
_SMALLEST_INFORMATION = 1e-9


@dataclass(frozen=True)
class GroupSums:
    """What the answers of one group say about each item.

    Attributes
    ----------
    score, information
        ``(n_items, 3)`` and ``(n_items, 3, 3)`` by φ.
    answers
        ``(n_items,)`` how many; their weights, added up.
    slope, spread
        ``(n_items,)`` sums of E[−∂P/∂b] and of E[P(1 − P)].
    """

    score: FloatArray
    information: FloatArray
    answers: FloatArray
    slope: FloatArray
    spread: FloatArray

    @classmethod
    def from_rows(cls, rows: FloatArray) -> "GroupSums":
        """Read the rows of `differential_kernels.group_score_wave`, ``(n_items, 12)``."""
        information = np.empty((len(rows), 3, 3))
        upper = np.triu_indices(3)
        information[:, upper[0], upper[1]] = rows[:, 3:9]
        information[:, upper[1], upper[0]] = rows[:, 3:9]
        return cls(rows[:, :3], information, *rows[:, 9:].T)


@dataclass(frozen=True)
class ShiftTest:
    """A shift of one coordinate of every item, ``(n_items,)`` each.

    Where nothing was tested the shift is 0, its standard error infinite and its p values 1.

    Attributes
    ----------
    shift, standard_error
        One-step estimate, focal less reference, against the average item.
    p_value, adjusted_p_value
        Of no shift, two-sided; adjusted over the items tested.
    """

    shift: FloatArray
    standard_error: FloatArray
    p_value: FloatArray
    adjusted_p_value: FloatArray

    @property
    def z(self) -> FloatArray:
        """Shift over its standard error, ``(n_items,)``."""
        return np.asarray(self.shift / self.standard_error)


@dataclass(frozen=True)
class GroupContrast:
    """How the items work in a focal group, compared with the reference group. No NaN anywhere.

    Attributes
    ----------
    focal
        The focal group's number.
    is_tested
        ``(n_items,)`` enough answers in both groups, and information about a shift.
    difficulty
        Δb: how much harder an item is for the focal group, in units of θ.
    discrimination
        Shift of log a beside that of b (non-uniform functioning).
    mh_delta, mh_delta_se
        ``(n_items,)`` Δb as a Mantel–Haenszel delta; 0 and infinite where not tested.
    ets_class
        ``(n_items,)`` 'A' negligible, 'B' moderate, 'C' large; '' where not tested.
    common_shift
        Δb of the average item, which was taken out. Far from 0 it says that the population's
        mean is off for one of the groups.
    remark
        Why no item was tested; '' where some were.
    """

    focal: int
    is_tested: BoolArray
    difficulty: ShiftTest
    discrimination: ShiftTest
    mh_delta: FloatArray
    mh_delta_se: FloatArray
    ets_class: NDArray[np.str_]
    common_shift: float
    remark: str

    def own_difficulties(self, level: float) -> FloatArray:
        """Shift of b in units of the population, of the items that differ; 0 of all others."""
        differs = self.is_tested & (self.difficulty.adjusted_p_value < level)
        return np.where(differs, self.difficulty.shift + self.common_shift, 0.0)


def contrast_groups(
    number: int,
    focal: GroupSums,
    reference: GroupSums,
    free: BoolArray,
    minimum_answers: FloatArray | float,
    applied: FloatArray | float = 0.0,
) -> GroupContrast:
    """Test every item of one focal group.

    Parameters
    ----------
    number
        The focal group's.
    focal, reference
        Score and information of the two groups.
    free
        ``(n_items, 3)`` coordinates of φ that were estimated.
    minimum_answers
        Answers that an item needs in both groups, the same for all or ``(n_items,)``.
    applied
        ``(n_items,)`` shift of b between the groups with which the sums were taken already.
    """
    score, variance = _efficient_scores(focal, reference, free)
    score = score + np.asarray(applied)[..., None] * variance[:, :, 1]
    enough = np.minimum(focal.answers, reference.answers) >= np.maximum(minimum_answers, 1e-12)
    is_tested = enough & (variance[:, 1, 1] > _SMALLEST_INFORMATION)
    if is_tested.sum() < 2:
        is_tested = np.zeros_like(is_tested)  # alone, an item is the average item
    common, is_typical = _purified_shift(score[:, 1], variance[:, 1, 1], is_tested)
    score = score - common * variance[:, :, 1]
    difficulty = _shift_test(score[:, 1], variance[:, 1, 1], is_tested)
    slope, spread = focal.slope + reference.slope, focal.spread + reference.spread
    per_difficulty = np.where(is_tested, slope / np.where(is_tested, spread, 1.0), 1.0)
    mh_delta = MH_DELTA_PER_LOG_ODDS * per_difficulty * difficulty.shift
    mh_delta_se = np.abs(MH_DELTA_PER_LOG_ODDS * per_difficulty) * difficulty.standard_error
    return GroupContrast(
        focal=number,
        is_tested=is_tested,
        difficulty=difficulty,
        discrimination=_discrimination_test(score, variance, is_tested, is_typical),
        mh_delta=mh_delta,
        mh_delta_se=mh_delta_se,
        ets_class=np.where(is_tested, ets_classes(mh_delta, mh_delta_se), ""),
        common_shift=common,
        remark="" if is_tested.any() else _why_untested(focal, reference, minimum_answers),
    )


def _efficient_scores(
    focal: GroupSums, reference: GroupSums, free: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Score and variance of the focal group's shift of φ, what both share projected out.

    ``(n_items, 3)`` and ``(n_items, 3, 3)``.
    """
    both = focal.information + reference.information
    shared = np.where(free[:, :, None] & free[:, None, :], both, 0.0)
    diagonal = np.einsum("jkk->jk", shared)  # a view: what follows makes it invertible
    diagonal += _SMALLEST_INFORMATION * diagonal + (diagonal <= 0.0)
    of_focal = np.where(free[:, None, :], focal.information, 0.0)
    share = of_focal @ np.linalg.inv(shared)
    score = focal.score - np.einsum("jkm,jm->jk", share, focal.score + reference.score)
    variance = focal.information - share @ np.swapaxes(of_focal, 1, 2)
    return score, variance


def _purified_shift(
    score: FloatArray, information: FloatArray, is_tested: BoolArray
) -> tuple[float, BoolArray]:
    """Shift of the average item, and the items that it is the average of.

    Items that differ significantly from the average are left out, and it is taken again, until
    nothing changes; never so many that less than half of the information is left.
    """
    is_typical, common = is_tested, 0.0
    for _ in range(PURIFICATION_ROUNDS):
        common = float(score[is_typical].sum() / max(information[is_typical].sum(), 1e-300))
        test = _shift_test(score - common * information, information, is_tested)
        kept = is_tested & (test.adjusted_p_value > PURIFICATION_LEVEL)
        is_enough = information[kept].sum() >= 0.5 * information[is_tested].sum()
        if not is_enough or (kept == is_typical).all():
            break
        is_typical = kept
    return common, is_typical


def _discrimination_test(
    score: FloatArray, variance: FloatArray, is_tested: BoolArray, is_typical: BoolArray
) -> ShiftTest:
    """Shift of log a, that of b projected out, against the average of the typical items."""
    share = variance[:, 0, 1] / np.where(is_tested, variance[:, 1, 1], 1.0)
    own_score = score[:, 0] - share * score[:, 1]
    information = variance[:, 0, 0] - share * variance[:, 0, 1]
    is_tested = is_tested & (information > _SMALLEST_INFORMATION)
    chosen = is_typical & is_tested
    common = own_score[chosen].sum() / max(information[chosen].sum(), 1e-300)
    return _shift_test(own_score - common * information, information, is_tested)


def _shift_test(score: FloatArray, information: FloatArray, is_tested: BoolArray) -> ShiftTest:
    """One step and its test. The average item's own error is left out: it is small beside one's."""
    safe = np.where(is_tested, information, 1.0)
    shift = np.where(is_tested, score / safe, 0.0)
    standard_error = np.where(is_tested, 1.0 / np.sqrt(safe), np.inf)
    p_value = 2.0 * ndtr(-np.abs(shift / standard_error))
    adjusted = np.ones_like(p_value)
    adjusted[is_tested] = adjusted_p_values(p_value[is_tested])
    return ShiftTest(shift, standard_error, p_value, adjusted)


def adjusted_p_values(p_values: FloatArray) -> FloatArray:
    """Smallest false discovery rate at which each is a discovery, ``(n,)``.

    Source: Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57, 289–300.
    """
    n = len(p_values)
    descending = np.argsort(p_values, kind="stable")[::-1]
    scaled = p_values[descending] * n / np.arange(n, 0, -1)
    adjusted = np.empty(n)
    adjusted[descending] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted


def ets_classes(mh_delta: FloatArray, standard_error: FloatArray) -> NDArray[np.str_]:
    """Classes of the Educational Testing Service, ``(n_items,)``.

    A: below 1, or not significantly different from 0. C: at least 1.5, and significantly above
    1. B: all others. Source: Zwick (2012), ETS Research Report RR-12-08.
    """
    size = np.abs(mh_delta)
    is_negligible = (size < ETS_NEGLIGIBLE) | (2.0 * ndtr(-size / standard_error) >= ETS_LEVEL)
    is_above = (size - ETS_NEGLIGIBLE) / standard_error > ETS_ONE_SIDED_Z
    return np.where(is_negligible, "A", np.where((size >= ETS_LARGE) & is_above, "C", "B"))


def _why_untested(
    focal: GroupSums, reference: GroupSums, minimum_answers: FloatArray | float
) -> str:
    for name, sums in (("focal", focal), ("reference", reference)):
        if not sums.answers.any():
            return f"the {name} group has no answers"
    fewest = max(float(np.min(np.asarray(minimum_answers, float), initial=np.inf)), 1.0)
    return f"fewer than two items have {fewest:g} answers in both groups and tell of a shift"
