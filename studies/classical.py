"""Classical statistics of milestone data: what the pipeline's difficulties are compared with.

None of them assumes anything about the distribution of ability.
"""

import numpy as np
import pandas as pd
from scipy.optimize import minimize

LOGISTIC_STEPS = 50
RIDGE = 1e-3
"""Keeps finite what the answers leave open: an item that nobody failed has no age at half."""
LARGEST_GAP_DAYS = 14
"""Milestones whose youngest ages of asking lie closer together belong to one examination."""


def examination_of(answers: pd.DataFrame) -> "pd.Series[str]":
    """Name the examination at which each item is asked, by the youngest age at which it was.

    Parameters
    ----------
    answers
        Columns ``item_id`` and ``age_days``.

    Returns
    -------
    pd.Series
        By item: 'from 018 days', 'from 043 days', …
    """
    youngest = answers.groupby("item_id")["age_days"].min().sort_values()
    number = (youngest.diff() > LARGEST_GAP_DAYS).cumsum()
    first = youngest.groupby(number).transform("min").astype(int)
    return first.map("from {:03d} days".format)


def ages_at_half(answers: pd.DataFrame) -> "pd.Series[float]":
    """Age in days at which half of the children pass each item.

    A logistic regression of the answer on log age by Newton steps, with a slight ridge on the
    slope. Extrapolated where an item is asked only at ages at which most pass; NaN where the share
    hardly rises with age.

    Parameters
    ----------
    answers
        Columns ``item_id``, ``correct`` and ``age_days``.
    """
    found = {}
    for item, rows in answers.groupby("item_id"):
        log_age = np.log(rows["age_days"].to_numpy(float))
        centre = log_age.mean()
        design = np.column_stack([np.ones_like(log_age), log_age - centre])
        intercept, slope = _logistic_regression(design, rows["correct"].to_numpy(float))
        found[item] = float(np.exp(centre - intercept / slope)) if slope > 1.0 else np.nan
    return pd.Series(found)


def _logistic_regression(design: np.ndarray, correct: np.ndarray) -> np.ndarray:
    weights = np.zeros(2)
    for _ in range(LOGISTIC_STEPS):
        p = 1.0 / (1.0 + np.exp(-design @ weights))
        information = (design * (p * (1.0 - p))[:, None]).T @ design + RIDGE * np.eye(2)
        step = np.linalg.solve(information, design.T @ (correct - p) - RIDGE * weights)
        weights += np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return weights


def pairwise_difficulties(answers: pd.DataFrame) -> "pd.Series[float]":
    """Rasch difficulties from pairs of items answered in one session, centred at 0.

    Of those who passed exactly one of two items, the share that passed i rather than j has the
    logit b_j − b_i whatever their ability. Source: Choppin (1985), Evaluation in Education 9,
    29–42.

    Parameters
    ----------
    answers
        Columns ``session_id``, ``item_id`` and ``correct``.
    """
    table = answers.pivot(index="session_id", columns="item_id", values="correct")
    passed, failed = (table == 1).to_numpy(float), (table == 0).to_numpy(float)
    wins = passed.T @ failed

    def objective(difficulty: np.ndarray) -> tuple[float, np.ndarray]:
        logit = difficulty[None, :] - difficulty[:, None]
        lost = wins / (1.0 + np.exp(logit))
        value = (wins * np.logaddexp(0.0, -logit)).sum() + RIDGE * difficulty @ difficulty
        gradient = lost.sum(axis=1) - lost.sum(axis=0) + 2.0 * RIDGE * difficulty
        return float(value), gradient

    start = np.zeros(len(wins))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    return pd.Series(found - found.mean(), index=table.columns)
