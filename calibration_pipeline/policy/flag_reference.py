"""How far an item lies from where it was before tonight's window began.

The reference is an accepted state that is at least a window old, so that its answers and those of
tonight's window are two samples that share none. It is preferred to what the item carries: carried
answers fade, and are dropped where the window contradicts them, while a stored state stays what it
was.

Each sample is a quadratic in φ, taken back out of a posterior whose other factors are stored. Let
one coordinate be δ higher in the later sample and the two others the same in both: δ and its
standard error follow from one system of four equations per item, as in
`calibration_pipeline.policy.contradiction`. The base prior says what the two others may be, and
nothing of the coordinate itself: a prior that is wrong about an item must not count as evidence
that the item changed.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.model import to_internal
from calibration_pipeline.records import BoolArray, CalibrationState, FloatArray, IntArray

LOG_DISCRIMINATION, DIFFICULTY, LOGIT_GUESSING = range(3)
_SHIFT = 3
LEAST_INFORMATION = 10.0
"""About b, of either sample: a standard error of .3, some 50 to 100 answers. With fewer, a few
surprising ones pass for a change: sums of so few scores aren't normal."""


@dataclass(frozen=True)
class ReferenceShift:
    """How much higher a coordinate of φ is in tonight's window than in the reference.

    Attributes
    ----------
    shift, shift_se
        ``(n_items,)`` in units of the coordinate; NaN where the two aren't compared.
    positions
        ``(n_items,)`` place of each item in the reference, −1 where it lacks it.
    """

    shift: FloatArray
    shift_se: FloatArray
    positions: IntArray

    @property
    def z(self) -> FloatArray:
        """Shift over its standard error, ``(n_items,)``."""
        return self.shift / self.shift_se

    @property
    def is_compared(self) -> BoolArray:
        """Items that both samples say enough of, ``(n_items,)``."""
        return np.isfinite(self.shift)


@dataclass(frozen=True)
class AnswersAlone:
    """Likelihood of some answers as a quadratic in φ, without any prior.

    Attributes
    ----------
    precision, linear
        ``(n_items, 3, 3)`` and ``(n_items, 3)``.
    """

    precision: FloatArray
    linear: FloatArray

    @property
    def about_difficulty(self) -> FloatArray:
        """Information about b with a and c known, ``(n_items,)``."""
        return self.precision[:, DIFFICULTY, DIFFICULTY]


def window_alone(state: CalibrationState) -> AnswersAlone:
    """Take base prior and carried information out of a state's posteriors."""
    return _without(state, state.carried_information, state.carried_linear)


def all_answers(state: CalibrationState) -> AnswersAlone:
    """Take the base prior out of a state's posteriors: what is left is all that answers said."""
    nothing = np.zeros_like(state.carried_information)
    return _without(state, nothing, np.zeros_like(state.carried_linear))


def _without(state: CalibrationState, information: FloatArray, linear: FloatArray) -> AnswersAlone:
    """Posterior without prior and without (Λ, η); all zero where nothing was estimated.

    The errors that all items share are in the covariances too, and can make less of an item's own
    answers than nothing: directions of which less than nothing is known are left out.
    """
    free = _free(state)
    pairs = free[:, :, None] & free[:, None, :]
    absent = np.where(free, 0.0, 1.0)[:, :, None] * np.eye(3)
    posterior = np.linalg.inv(np.where(pairs, state.covariance, 0.0) + absent) - absent
    prior = np.where(free, state.prior_precision, 0.0)
    phi = np.where(free, to_internal(state.parameters), 0.0)
    known, directions = np.linalg.eigh(posterior - prior[:, :, None] * np.eye(3) - information)
    transposed = directions.transpose(0, 2, 1)
    precision = (directions * np.maximum(known, 0.0)[:, None, :]) @ transposed
    kept = (directions * (known > 0.0)[:, None, :]) @ transposed
    # At the mode the likelihood's score cancels those of the prior and of what is carried.
    score = prior * (phi - state.prior_mean) + np.einsum("jkm,jm->jk", information, phi) - linear
    # The mode is one over (log a, a · b, logit c), whose density has this much less slope in log a.
    score[:, LOG_DISCRIMINATION] += free[:, LOG_DISCRIMINATION] & free[:, DIFFICULTY]
    score = np.einsum("jkm,jm->jk", kept, np.where(free, score, 0.0))
    return AnswersAlone(precision, np.einsum("jkm,jm->jk", precision, phi) + score)


def _free(state: CalibrationState) -> BoolArray:
    """Coordinates that were estimated, ``(n_items, 3)``; none of an anchor's."""
    estimated = np.diagonal(state.covariance, axis1=1, axis2=2) > 0.0
    return np.asarray(estimated & ~state.is_anchor[:, None])


def has_same_anchors(state: CalibrationState, other: CalibrationState) -> bool:
    """Whether two nights stood on one anchor set, and so on one scale.

    Another set restates the scale: a shift against it says nothing of the item.
    """
    return state.anchor_digest == other.anchor_digest


def why_not_compared(state: CalibrationState, reference: CalibrationState | None, row: int) -> str:
    """Say why an item has no shift from the reference; for one that has none.

    Parameters
    ----------
    state, reference
        As for `shift_from_reference`; the reference None while there is none.
    row
        The item's place in tonight's state.
    """
    if state.is_anchor[row]:
        return "it is an anchor: its drift is told against the value that it is held at"
    if reference is None:
        return "no accepted night is a window old yet"
    if not has_same_anchors(state, reference):
        return "other anchors were in force a window ago, which stated another scale"
    if state.keys[row] not in reference.keys:
        return "it was not there a window ago"
    if reference.is_anchor[reference.keys.index(state.keys[row])]:
        return "it was an anchor a window ago"
    return "too few answers, in the window or before it"


def shift_from_reference(
    state: CalibrationState,
    reference: CalibrationState,
    coordinate: int = DIFFICULTY,
    *,
    times_answers: float | FloatArray = 1.0,
) -> ReferenceShift:
    """Estimate every item's shift in one coordinate of φ since the reference.

    No item is compared with a state under other anchors: see `has_same_anchors`.

    Parameters
    ----------
    state
        Tonight's.
    reference
        An accepted state, at least a window older.
    coordinate
        Which of φ = (log a, b, logit c).
    times_answers
        As if the window held so many times its answers, of all items or ``(n_items,)`` of each: to
        tell what more answers could show.
    """
    lookup = {key: position for position, key in enumerate(reference.keys)}
    positions = np.array([lookup.get(key, -1) for key in state.keys], np.int64)
    before = np.maximum(positions, 0)
    earlier, later = _rows(all_answers(reference), before), window_alone(state)
    says = (positions >= 0) & state.is_updated & _free(state)[:, coordinate]
    says &= _free(reference)[before, coordinate]
    says &= has_same_anchors(state, reference)
    says &= np.minimum(earlier.about_difficulty, later.about_difficulty) >= LEAST_INFORMATION
    for sample in (earlier, later):
        says &= sample.precision[:, coordinate, coordinate] > 0.0
    shift, error = np.full(len(says), np.nan), np.full(len(says), np.nan)
    rows = np.flatnonzero(says)
    later = _times(later, np.broadcast_to(times_answers, says.shape))
    shift[rows], error[rows] = _solve(
        state, rows, _rows(earlier, rows), _rows(later, rows), coordinate
    )
    return ReferenceShift(shift, error, positions)


def _rows(sample: AnswersAlone, rows: IntArray) -> AnswersAlone:
    return AnswersAlone(sample.precision[rows], sample.linear[rows])


def _times(sample: AnswersAlone, times: FloatArray) -> AnswersAlone:
    return AnswersAlone(sample.precision * times[:, None, None], sample.linear * times[:, None])


def _solve(
    state: CalibrationState,
    rows: IntArray,
    earlier: AnswersAlone,
    later: AnswersAlone,
    coordinate: int,
) -> tuple[FloatArray, FloatArray]:
    """δ and its standard error; the later sample's quadratic is one in φ + δ."""
    free = _free(state)[rows]
    prior = np.where(free, state.prior_precision[rows], 0.0)
    prior[:, coordinate] = 0.0
    precision, right = np.zeros((len(rows), 4, 4)), np.empty((len(rows), 4))
    precision[:, :3, :3] = earlier.precision + later.precision
    precision[:, :3, :3] += (prior + np.where(free, 0.0, 1.0))[:, :, None] * np.eye(3)
    precision[:, :3, _SHIFT] = precision[:, _SHIFT, :3] = later.precision[:, coordinate]
    precision[:, _SHIFT, _SHIFT] = later.precision[:, coordinate, coordinate]
    right[:, :3] = earlier.linear + later.linear + prior * state.prior_mean[rows]
    right[:, _SHIFT] = later.linear[:, coordinate]
    covariance = np.linalg.inv(precision)
    shift = np.einsum("jk,jk->j", covariance[:, _SHIFT], right)
    return shift, np.sqrt(covariance[:, _SHIFT, _SHIFT])
