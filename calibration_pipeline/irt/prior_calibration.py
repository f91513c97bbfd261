"""Whether priors of items say as much as they claim, judged by what answers make of them.

A prior N(m, C) and answers make a posterior N(m + δ, V). If the prior says as much as it claims, δ
varies over items as C − V: by so much as was learned. That holds whatever the answers leave open,
where an estimate from answers alone may not exist.
"""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.item_hierarchy import LikelihoodSummaries, PredictedItems
from calibration_pipeline.irt.model import FloatArray, IntArray

LEAST_LEARNED = 0.2
"""An item judges a coordinate if its answers take at least so much of the prior's variance."""
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class PriorCalibration:
    """Of (log a, b, logit c), ``(3,)`` each; NaN where no item can judge.

    Attributes
    ----------
    judged
        Items whose answers say enough to judge a coordinate by.
    covered
        Share of them whose answers moved it by no more than in 95% of cases.
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
    """Hold priors against answers that they were made without.

    Parameters
    ----------
    summaries
        What the answers say of each item.
    predicted
        The same items' priors, each made without the item's own answers.
    """
    prior = predicted.covariance
    posterior = np.linalg.inv(np.eye(3) + prior @ summaries.precision) @ prior
    surprise = summaries.linear - np.einsum("jkm,jm->jk", summaries.precision, predicted.mean)
    moved = np.einsum("jkm,jm->jk", posterior, surprise)
    before, learned = (np.diagonal(c, axis1=1, axis2=2) for c in (prior, prior - posterior))
    judges = learned > LEAST_LEARNED * before
    z = moved / np.sqrt(np.where(judges, learned, 1.0))
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
