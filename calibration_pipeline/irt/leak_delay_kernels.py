"""The compiled loops of expected detection delays."""

# numba infers the types; annotations would only repeat the docstrings' shapes.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

import math

import numpy as np
from numba import njit

from calibration_pipeline.irt.leak_kernels import fill_likelihoods

STEP = 1.1
"""Numbers of answers are tried in this proportion, then bisected."""


@njit(cache=True, nogil=True)
def _log_mean(prior_weights, logs, n):
    """Logarithm of Σₖ wₖ·exp(n·logsₖ)."""
    top = -np.inf
    for k in range(logs.shape[0]):
        top = max(top, logs[k])
    total = 0.0
    for k in range(logs.shape[0]):
        total += prior_weights[k] * math.exp(n * (logs[k] - top))
    return n * top + math.log(total)


@njit(cache=True, nogil=True)
def _first_crossing(prior_weights, null_logs, leak_logs, threshold, longest):
    """Number of answers at which the mean path reaches the threshold; infinite beyond `longest`."""
    before, n = 0.0, 1.0
    while True:
        n = min(n, longest)
        height = _log_mean(prior_weights, leak_logs, n) - _log_mean(prior_weights, null_logs, n)
        if height >= threshold:
            break
        if n >= longest:
            return np.inf
        before = n
        n *= STEP
    for _ in range(20):
        middle = 0.5 * (before + n)
        height = _log_mean(prior_weights, leak_logs, middle)
        height -= _log_mean(prior_weights, null_logs, middle)
        if height >= threshold:
            n = middle
        else:
            before = middle
    return n


@njit(cache=True, nogil=True)
def _expected_logs(
    item, taker, true_share, shares, parameters, time_means, time_variance, abilities, paces,
    ability, model, null_logs, leak_logs,
):  # fmt: skip
    """Fill the expected log likelihood of one answer at every node, without and with a leak."""
    n_nodes = null_logs.shape[0]
    null, leaked = np.empty(n_nodes), np.empty(n_nodes)
    a, b, c = item[0], item[1], item[2]
    mean, spread, sd, speed_variance = taker
    is_timed = time_variance == time_variance and time_means[0] == time_means[0]
    sd_time = math.sqrt(time_variance + speed_variance) if is_timed else 0.0
    null_logs[:] = 0.0
    leak_logs[:] = 0.0
    for m in range(abilities.shape[0]):
        centre = mean + spread * abilities[m, 0]
        p = 0.0
        for q in range(ability.shape[0]):
            theta = centre + sd * ability[q, 0]
            p += ability[q, 1] / (1.0 + math.exp(-model[3] * a * (theta - b)))
        p = c + (1.0 - c) * p
        for knows in range(2):
            for correct in range(2):
                right = model[0] if knows == 1 else p
                mass = abilities[m, 1] * (true_share if knows == 1 else 1.0 - true_share)
                mass *= right if correct == 1 else 1.0 - right
                for t in range(paces.shape[0] if is_timed else 1):
                    pace, weight = np.nan, mass
                    if is_timed:
                        pace = item[3] + sd_time * paces[t, 0] + (model[1] if knows == 1 else 0.0)
                        weight *= paces[t, 1]
                    fill_likelihoods(
                        (correct, centre, sd, pace, speed_variance), parameters, time_means,
                        time_variance, ability, model, null, leaked,
                    )  # fmt: skip
                    for k in range(n_nodes):
                        null_logs[k] += weight * math.log(null[k])
                        for s in range(shares.shape[0]):
                            mixed = (1.0 - shares[s]) * null[k] + shares[s] * leaked[k]
                            leak_logs[s, k] += weight * math.log(mixed)


@njit(cache=True, nogil=True)
def mean_path_delays(
    items, takers, true_share, shares, thresholds, longest, prior_weights, parameters, time_means,
    time_variances, abilities, paces, ability, model, delays,
):  # fmt: skip
    """Fill ``delays (n_items,)``: answers until the first share's mean path reaches its threshold.

    Parameters
    ----------
    items
        ``(n_items, 4)`` discrimination, difficulty, guessing, mean log time.
    takers
        ``(n_items, 4)`` mean and spread of the abilities' means, sd of an ability, variance of a
        speed.
    thresholds
        ``(n_items, n_shares)``.
    longest
        ``(n_items,)`` answers beyond which nothing is looked for.
    abilities, paces, ability
        ``(n, 2)`` nodes and weights of standard normal variables.
    """
    n_nodes = prior_weights.shape[0]
    for j in range(items.shape[0]):
        null_logs, leak_logs = np.empty(n_nodes), np.empty((shares.shape[0], n_nodes))
        taker = (takers[j, 0], takers[j, 1], takers[j, 2], takers[j, 3])
        _expected_logs(
            items[j], taker, true_share, shares, parameters[j], time_means[j], time_variances[j],
            abilities, paces, ability, model, null_logs, leak_logs,
        )  # fmt: skip
        delays[j] = np.inf
        for s in range(shares.shape[0]):
            found = _first_crossing(
                prior_weights, null_logs, leak_logs[s], thresholds[j, s], longest[j]
            )
            delays[j] = min(delays[j], found)
