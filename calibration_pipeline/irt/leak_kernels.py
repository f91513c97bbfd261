"""The compiled loops of the leak detector, one thread: a night takes a second or two.

A detector is one item watched for one share of leaked answers. Its nodes are those of the item's
posterior: parameters (slowest) × mean log time (fastest).
"""

# numba infers the types; annotations would only repeat the docstrings' shapes.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import math

import numpy as np
from numba import njit

from calibration_pipeline.irt.kernels import session_posterior

OUTLIER = 4.0
"""A time further out, in standard deviations, counts as if it were there."""


@njit(cache=True, nogil=True)
def other_answers_moments(
    offsets, rows, weights, cells, log_probabilities, log_weights, nodes, means, sds
):
    """Mean and standard deviation of the ability given the session's *other* answers.

    Fills ``means, sds (n_responses,)``; the arguments are those of `kernels.ability_moments`.
    """
    n_nodes = nodes.shape[0]
    for s in range(offsets.shape[0] - 1):
        posterior = np.empty(n_nodes)
        begin, end = offsets[s], offsets[s + 1]
        session_posterior(
            rows, weights, begin, end, log_probabilities, log_weights[cells[s]], posterior
        )
        for r in range(begin, end):
            own = log_probabilities[rows[r]]
            weight = weights[r] if weights.shape[0] > 0 else 1.0
            total = mean = square = 0.0
            for q in range(n_nodes):
                w = posterior[q] * math.exp(-weight * own[q])
                total += w
                mean += w * nodes[q]
                square += w * nodes[q] * nodes[q]
            mean /= total
            means[r] = mean
            sds[r] = math.sqrt(max(square / total - mean * mean, 0.0))


@njit(cache=True, nogil=True, inline="always")
def _normal_cdf(z):
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


@njit(cache=True, nogil=True)
def fill_likelihoods(
    answer, parameters, time_means, time_variance, ability, model, null, leaked
):  # fmt: skip
    """Likelihood of one answer without and with pre-knowledge, at every node, up to a factor.

    Parameters
    ----------
    answer
        (right or wrong, mean and sd of the ability, pace or NaN, variance of the speed).
    parameters, time_means, time_variance
        One item's nodes.
    ability
        ``(n, 2)`` nodes and weights of a standard normal variable.
    model
        (success, log time factor, log of the largest time ratio, D).
    null, leaked
        ``(n_nodes,)`` filled.
    """
    correct, mean, sd, pace, speed_variance = answer
    success, shift, cap, scaling_constant = model
    n_times = time_means.shape[0]
    chance = success if correct == 1 else 1.0 - success
    is_timed = pace == pace and time_means[0] == time_means[0]
    density, ratio = np.ones(n_times), np.ones(n_times)
    if is_timed:
        variance = time_variance + speed_variance
        sd_time = math.sqrt(variance)
        step = abs(shift) / sd_time
        # The capped ratio is made that of a density again: its mean without pre-knowledge is 1.
        mass = _normal_cdf((cap - 0.5 * step * step) / step)
        mass += math.exp(cap) * _normal_cdf(-(cap + 0.5 * step * step) / step)
        smallest = np.inf
        for h in range(n_times):
            d = min(max(pace - time_means[h], -OUTLIER * sd_time), OUTLIER * sd_time)
            ratio[h] = math.exp(min((d * shift - 0.5 * shift * shift) / variance, cap)) / mass
            density[h] = d * d
            smallest = min(smallest, density[h])
        for h in range(n_times):
            density[h] = math.exp(-0.5 * (density[h] - smallest) / variance)
    for g in range(parameters.shape[0]):
        a, b, c = parameters[g]
        p = 0.0
        for q in range(ability.shape[0]):
            theta = mean + sd * ability[q, 0]
            p += ability[q, 1] / (1.0 + math.exp(-scaling_constant * a * (theta - b)))
        p = c + (1.0 - c) * p
        p = min(max(p, 1e-9), 1.0 - 1e-9)
        own = p if correct == 1 else 1.0 - p
        for h in range(n_times):
            null[g * n_times + h] = own * density[h]
            leaked[g * n_times + h] = chance * density[h] * ratio[h]


@njit(cache=True, nogil=True, inline="always")
def take_in(null, leaked, share, null_weights, leak_weights):
    """Take one answer in; give back the likelihood ratio since the CUSUM last stood at zero."""
    total = ratio = 0.0
    for k in range(null.shape[0]):
        null_weights[k] *= null[k]
        total += null_weights[k]
        leak_weights[k] *= (1.0 - share) * null[k] + share * leaked[k]
        ratio += leak_weights[k]
    for k in range(null.shape[0]):
        null_weights[k] /= total
        leak_weights[k] /= total
    return ratio / total


@njit(cache=True, nogil=True)
def _learn(null, weights):
    total = 0.0
    for k in range(null.shape[0]):
        weights[k] *= null[k]
        total += weights[k]
    for k in range(null.shape[0]):
        weights[k] /= total


@njit(cache=True, nogil=True)
def watch(
    starts, correct, means, sds, paces, speed_variances, share, thresholds, prior_weights, ability,
    model, fresh_parameters, fresh_times, fresh_variances, run_parameters, run_times, run_variances,
    log_ratios, null_weights, leak_weights, zeros, alarms,
):  # fmt: skip
    """Run the detectors of one share over a day's answers, each item's in order.

    Parameters
    ----------
    starts
        ``(n_items + 1,)`` item j has answers ``starts[j]:starts[j + 1]`` of the arrays that follow.
    thresholds
        ``(n_items,)`` of the log ratio; a detector that reaches it stops there.
    fresh_parameters, fresh_times, fresh_variances
        Nodes of what is known about each item today.
    run_parameters, run_times, run_variances
        Nodes of what was known when the CUSUM last stood at zero; read where it stands above.
    log_ratios, null_weights, leak_weights
        ``(n_items,)``, ``(n_items, n_nodes)`` twice: the state, updated in place.
    zeros, alarms
        ``(n_items,)`` filled: the answer after which the CUSUM last stood at zero, and the one that
        raised the alarm, counted from the item's first of today; −1 for none.
    """
    n_nodes = prior_weights.shape[0]
    for j in range(starts.shape[0] - 1):
        null, leaked = np.empty(n_nodes), np.empty(n_nodes)
        begin = starts[j]
        zeros[j] = alarms[j] = -1
        is_fresh = log_ratios[j] <= 0.0
        fresh = prior_weights.copy()
        if is_fresh:
            null_weights[j] = prior_weights
            leak_weights[j] = prior_weights
        for i in range(begin, starts[j + 1]):
            answer = (correct[i], means[i], sds[i], paces[i], speed_variances[i])
            fill_likelihoods(
                answer, fresh_parameters[j], fresh_times[j], fresh_variances[j], ability, model,
                null, leaked,
            )  # fmt: skip
            if not is_fresh:
                _learn(null, fresh)
                fill_likelihoods(
                    answer, run_parameters[j], run_times[j], run_variances[j], ability, model,
                    null, leaked,
                )  # fmt: skip
            ratio = take_in(null, leaked, share, null_weights[j], leak_weights[j])
            if ratio <= 1.0:
                if not is_fresh:
                    null_weights[j] = fresh
                    is_fresh = True
                leak_weights[j] = null_weights[j]
                log_ratios[j] = 0.0
                zeros[j] = i - begin
            else:
                log_ratios[j] = math.log(ratio)
                if log_ratios[j] >= thresholds[j]:
                    alarms[j] = i - begin
                    break
