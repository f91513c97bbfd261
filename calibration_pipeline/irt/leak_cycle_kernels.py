"""The compiled simulation of single cycles of a leak detector."""

# numba infers the types; annotations would only repeat the docstrings' shapes.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# ruff: noqa: NPY002
# numba compiles these calls only; every cycle seeds its own.

import math

import numpy as np
from numba import njit

from calibration_pipeline.irt.leak_kernels import fill_likelihoods, take_in


@njit(cache=True, nogil=True)
def _draw_pace(time_mean, sd, leaked, model):
    """Draw a log time; with pre-knowledge from the density that has the capped ratio."""
    _, shift, cap, _ = model
    while True:
        d = np.random.normal(shift if leaked else 0.0, sd)
        log_ratio = (d * shift - 0.5 * shift * shift) / (sd * sd)
        if not leaked or np.random.random() < math.exp(min(cap - log_ratio, 0.0)):
            return time_mean + d


@njit(cache=True, nogil=True)
def run_cycles(
    seed, longest, true_share, share, ceiling, centres, ability_sds, time_sds, prior_weights,
    ability, model, parameters, time_means, time_variances, nodes, exits, lengths,
):  # fmt: skip
    """Simulate a cycle per item, from zero until the CUSUM is back at zero or above the ceiling.

    Parameters
    ----------
    seed, longest
        Of the draws, each cycle's its own; and the most answers of a cycle.
    true_share, share
        Share of leaked answers that are drawn, and that are watched for.
    centres, ability_sds
        ``(n_cycles,)`` mean ability of those who get the item; (sd of the abilities' means, sd of
        an ability around its mean).
    time_sds
        (sd of a log time, sd of the speed in it).
    nodes
        ``(n_cycles,)`` node that each item's answers are drawn from.
    exits, lengths
        ``(n_cycles,)`` filled: the log ratio at the end, 0 for zero; and the number of answers.
    """
    n_nodes, n_times = prior_weights.shape[0], time_means.shape[1]
    sd_time = math.hypot(time_sds[0], time_sds[1])
    for j in range(nodes.shape[0]):
        np.random.seed(seed + j)
        null, leaked_likelihood = np.empty(n_nodes), np.empty(n_nodes)
        null_weights, leak_weights = prior_weights.copy(), prior_weights.copy()
        a, b, c = parameters[j, nodes[j] // n_times]
        time_mean = time_means[j, nodes[j] % n_times]
        exits[j] = 0.0
        lengths[j] = longest
        for i in range(longest):
            mean = np.random.normal(centres[j], ability_sds[0])
            theta = np.random.normal(mean, ability_sds[1])
            leaked = np.random.random() < true_share
            p = c + (1.0 - c) / (1.0 + math.exp(-model[3] * a * (theta - b)))
            correct = 1 if np.random.random() < (model[0] if leaked else p) else 0
            pace = (
                _draw_pace(time_mean, sd_time, leaked, model) if time_mean == time_mean else np.nan
            )
            fill_likelihoods(
                (correct, mean, ability_sds[1], pace, time_sds[1] * time_sds[1]), parameters[j],
                time_means[j], time_variances[j], ability, model, null, leaked_likelihood,
            )  # fmt: skip
            ratio = take_in(null, leaked_likelihood, share, null_weights, leak_weights)
            if ratio <= 1.0 or ratio >= math.exp(ceiling):
                exits[j] = math.log(ratio) if ratio > 1.0 else 0.0
                lengths[j] = i + 1
                break
