"""Whether priors of items say as much as they claim, judged by the items that taught them."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.item_hierarchy import LikelihoodSummaries, PredictedItems
from calibration_pipeline.irt.model import FloatArray, IntArray

NOISIEST = 2.0
"""An item judges a coordinate if its answers' error is at most so many times the prior's sd."""
_SINGULAR = 1e-6
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class PriorCalibration:
    """Of (log a, b, logit c), ``(3,)`` each; NaN where no item can judge.

    Attributes
    ----------
    judged
        Items whose answers say enough to judge a coordinate by.
    covered
        Share of them whose 95% interval, prior and error of the estimate together, holds the
        estimate.
    spread
        Root mean square of the standardised residuals: 1 if the priors are as wide as they should
        be.
    skewness
        Of the same: the priors are symmetric, and items may not be.
    """

    judged: IntArray
    covered: FloatArray
    spread: FloatArray
    skewness: FloatArray


def judge_calibration(
    summaries: LikelihoodSummaries, predicted: PredictedItems
) -> PriorCalibration:
    """Compare what answers say with priors that were made without them.

    Parameters
    ----------
    summaries
        What the answers say of each item.
    predicted
        The same items' priors, each made without the item's own answers.
    """
    error = np.linalg.inv(summaries.precision + _SINGULAR * np.eye(3))
    estimate = np.einsum("jkm,jm->jk", error, summaries.linear)
    noise, prior = (np.diagonal(c, axis1=1, axis2=2) for c in (error, predicted.covariance))
    judges = noise < NOISIEST**2 * prior
    z = (estimate - predicted.mean) / np.sqrt(noise + prior)
    columns = [z[judges[:, k], k] for k in range(3)]
    return PriorCalibration(
        judged=judges.sum(axis=0),
        covered=np.array([_mean(np.abs(column) < _NORMAL_95) for column in columns]),
        spread=np.array([np.sqrt(_mean(column**2)) for column in columns]),
        skewness=np.array([_skewness(column) for column in columns]),
    )


def _mean(values: FloatArray | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else np.nan


def _skewness(values: FloatArray) -> float:
    if len(values) < 3:
        return np.nan
    away = values - values.mean()
    return float((away**3).mean() / (away**2).mean() ** 1.5)
