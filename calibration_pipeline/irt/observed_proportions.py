"""Answers to an item against what its curve predicts, by ability."""

from dataclasses import dataclass

import numpy as np

from calibration_pipeline.irt.item_posterior import ItemEvidence
from calibration_pipeline.irt.model import FloatArray, IntArray, response_probabilities

NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class AbilityBins:
    """Answers to an item, the least able sessions first; ``(n_bins,)`` each.

    Attributes
    ----------
    ability
        Mean of the abilities.
    answers, right
        Answers, and right ones among them.
    expected
        Mean probability of a right answer.
    """

    ability: FloatArray
    answers: IntArray
    right: IntArray
    expected: FloatArray


def ability_bins(evidence: ItemEvidence, parameters: FloatArray, n_bins: int) -> AbilityBins:
    """Sort the answers to an item by ability, and count them in bins of about the same size.

    An answer's ability is its posterior mean given the session's *other* answers, and its
    probability of being right is averaged over that posterior. So expected and observed shares may
    be compared, whereas either of them may lie off the curve: a session that looks able is on
    average a little less so, and the other way round.

    Parameters
    ----------
    evidence
        The answers, with the posterior of each one's ability. Weights are passed over.
    parameters
        ``(3,)`` the item's discrimination, difficulty and guessing.
    n_bins
        At most so many bins; fewer where there are fewer answers.
    """
    ability = evidence.ability_weights @ evidence.nodes
    expected = expected_shares(evidence, parameters)
    order = np.argsort(ability, kind="stable")
    bins = [rows for rows in np.array_split(order, n_bins) if len(rows)]
    return AbilityBins(
        np.array([ability[rows].mean() for rows in bins]),
        np.array([len(rows) for rows in bins], np.int64),
        np.array([evidence.correct[rows].sum() for rows in bins], np.int64),
        np.array([expected[rows].mean() for rows in bins]),
    )


def expected_shares(evidence: ItemEvidence, parameters: FloatArray) -> FloatArray:
    """Probability of each answer to be right under ``(3,)`` `parameters`, ``(n_answers,)``."""
    curve = response_probabilities(evidence.nodes, parameters[None, :], evidence.scaling_constant)
    return np.asarray(evidence.ability_weights @ curve[0])


def wilson_interval(right: IntArray, answers: IntArray) -> tuple[FloatArray, FloatArray]:
    """95% interval of a probability from counts, which stays within 0 and 1.

    Parameters
    ----------
    right, answers
        ``(n,)`` successes and trials; at least one trial each.

    Notes
    -----
    Source: Wilson (1927), Journal of the American Statistical Association 22, 209–212.
    """
    n, share = answers.astype(float), right / answers
    z2 = NORMAL_95**2
    centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n**2)) * NORMAL_95 / (1.0 + z2 / n)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
