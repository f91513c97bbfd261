"""Response times as the leak detector needs them: items' usual times, candidates' speeds.

    log t = mean of the item − speed of the session + error,   error ~ N(0, variance of the item)

(van der Linden 2006, Journal of Educational and Behavioral Statistics 31, 181–204). A session's
speed is estimated from its *other* answers, weighted by their items' precision; adding it to log t
gives the answer's pace, which an item's mean is compared with. Sums fade with a half-life.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration_pipeline.irt.leak_model import IntArray
from calibration_pipeline.irt.model import FloatArray

MINIMUM_OTHER_TIMES = 3
"""Timed answers of the rest of the session that a speed is estimated from."""
SMALLEST_VARIANCE = 0.01
_USUAL_VARIANCE = 0.25
"""Of log times of an item that has none yet; only its weight in a speed depends on it."""
_LARGEST_RESIDUAL = 2.0
"""Of log t in a speed: who took a break isn't slow."""
_BOOTSTRAP_ROUNDS = 5


@dataclass(frozen=True)
class TimeStatistics:
    """Decayed sums over each item's paces, ``(n_items,)`` each.

    Attributes
    ----------
    count, total, square
        Number of paces, their sum, and the sum of their squares; log seconds.
    speed_variance
        Sum of the variances of the speeds in them.
    """

    count: FloatArray
    total: FloatArray
    square: FloatArray
    speed_variance: FloatArray

    @classmethod
    def empty(cls, n_items: int) -> "TimeStatistics":
        """No times yet."""
        return cls(*(np.zeros(n_items) for _ in range(4)))

    @property
    def mean(self) -> FloatArray:
        """Mean pace, ``(n_items,)``; NaN without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / self.count

    @property
    def variance(self) -> FloatArray:
        """Variance of log times given the speed, ``(n_items,)``; NaN without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = self.square / self.count - self.mean**2 - self.speed_variance / self.count
        return np.where(self.count > 0, np.maximum(spread, SMALLEST_VARIANCE), np.nan)

    @property
    def mean_se(self) -> FloatArray:
        """Standard error of the mean, ``(n_items,)``; NaN without any."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt((self.variance + self.speed_variance / self.count) / self.count)

    def with_paces(
        self, item: NDArray[np.integer], pace: FloatArray, variance: FloatArray, decay: float
    ) -> "TimeStatistics":
        """Let the sums fade and add a day's paces; unknown ones are NaN."""
        known = np.isfinite(pace)
        where, y = item[known], pace[known]
        sums = (None, y, y * y, variance[known])
        old = (self.count, self.total, self.square, self.speed_variance)
        return TimeStatistics(
            *(
                decay * before + np.bincount(where, added, len(before))
                for before, added in zip(old, sums, strict=True)
            )
        )


def session_numbers(offsets: IntArray) -> IntArray:
    """Session of each answer, ``(n_responses,)``."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def paces(
    offsets: IntArray,
    item: NDArray[np.integer],
    log_seconds: FloatArray,
    mean: FloatArray,
    variance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Log time of each answer at average speed, and the variance of the speed added to it.

    Parameters
    ----------
    offsets
        ``(n_sessions + 1,)`` session s holds answers ``offsets[s]:offsets[s + 1]``.
    item, log_seconds
        ``(n_responses,)``; NaN where the log has no time.
    mean, variance
        ``(n_items,)`` of log times; NaN where unknown.

    Returns
    -------
    ``(n_responses,)`` twice; NaN where the answer has no time, or its session too few other times.
    """
    residual = (mean[item] - log_seconds).clip(-_LARGEST_RESIDUAL, _LARGEST_RESIDUAL)
    known = np.isfinite(residual)
    precision = np.where(known, 1.0 / np.where(known, variance[item], 1.0), 0.0)
    weighted = np.where(known, residual * precision, 0.0)
    session, n = session_numbers(offsets), len(offsets) - 1
    others = np.bincount(session, known, n)[session] - known
    total = np.bincount(session, precision, n)[session] - precision
    speed_sum = np.bincount(session, weighted, n)[session] - weighted
    enough = (others >= MINIMUM_OTHER_TIMES) & np.isfinite(log_seconds)
    safe = np.where(enough, total, 1.0)
    pace = np.where(enough, log_seconds + speed_sum / safe, np.nan)
    return pace, np.where(enough, 1.0 / safe, np.nan)


def learned_paces(
    offsets: IntArray,
    item: NDArray[np.integer],
    log_seconds: FloatArray,
    statistics: TimeStatistics,
) -> tuple[FloatArray, FloatArray]:
    """Paces for the statistics: items that have no mean yet get a provisional one from the day.

    Provisional means and sessions' speeds are found in turn, a few times over. Where all items have
    a mean this is `paces`.
    """
    mean, variance = statistics.mean, statistics.variance
    timed = np.isfinite(log_seconds)
    is_new = ~np.isfinite(mean)
    own = timed & is_new[item]
    if not own.any():
        return paces(offsets, item, log_seconds, mean, variance)
    variance = np.where(is_new, _USUAL_VARIANCE, variance)
    counts = np.bincount(item[own], minlength=len(mean))
    start = float(log_seconds[own].mean()) if is_new.all() else float(np.nanmean(mean))
    mean = np.where(is_new & (counts > 0), start, mean)
    session, n = session_numbers(offsets), len(offsets) - 1
    sizes = np.maximum(np.bincount(session, timed, n), 1.0)
    for _ in range(_BOOTSTRAP_ROUNDS):
        residual = (mean[item] - log_seconds).clip(-_LARGEST_RESIDUAL, _LARGEST_RESIDUAL)
        speed = np.bincount(session, np.where(timed, residual, 0.0), n) / sizes
        sums = np.bincount(item[own], (log_seconds + speed[session])[own], len(mean))
        mean = np.where(is_new & (counts > 0), sums / np.maximum(counts, 1), mean)
    return paces(offsets, item, log_seconds, mean, variance)
