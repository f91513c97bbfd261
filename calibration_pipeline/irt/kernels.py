"""The compiled loops. Threads never change a result: shards are fixed and reduced in order.

Tables are ``(2 · n_items, n_nodes)``: row 2j is "item j, wrong", row 2j + 1 "item j, right". No
fast-math anywhere: it would let the compiler reorder sums.
"""

import numpy as np
from numba import njit, prange

ROUNDING = 1.5 * 2.0**52
SMALLEST_EXPONENT = -700.0
"""exp of it is 1e-304: less would need another exponent than a double has."""
INFORMATION_SUMS = 20
"""Of each item, by `information_wave`."""


@njit(cache=True, nogil=True, inline="always")
def exponentiate(values):
    """Replace values of 0 or less by their exponentials, to the last or last but one bit.

    The library's exponential takes one number at a time. Here exp(x) = 2ⁿ · exp(r) with |r| below
    (ln 2)/2: adding 1.5 · 2⁵² rounds to n and leaves it in the lowest bits, exp(r) is a Taylor
    polynomial of degree 12 (remainder below 2e-16), and 2ⁿ is written into the exponent's bits.
    """
    n_values = values.shape[0]
    powers = np.empty(n_values)
    bits = powers.view(np.int64)
    for q in range(n_values):
        values[q] = max(values[q], SMALLEST_EXPONENT)
        powers[q] = values[q] * 1.4426950408889634 + ROUNDING
    for q in range(n_values):
        n = powers[q] - ROUNDING
        r = (values[q] - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
        p = 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        values[q] = p * r + 1.0
    for q in range(n_values):
        bits[q] = (bits[q] << 52) + (1023 << 52)
    for q in range(n_values):
        values[q] *= powers[q]


@njit(cache=True, nogil=True, inline="always")
def session_posterior(rows, weights, begin, end, log_probabilities, log_weights, posterior):
    """Fill `posterior` with one session's ability posterior; give its log-likelihood back."""
    n_nodes = log_weights.shape[0]
    for q in range(n_nodes):
        posterior[q] = log_weights[q]
    if weights.shape[0] == 0:
        for r in range(begin, end):
            row = log_probabilities[rows[r]]
            for q in range(n_nodes):
                posterior[q] += row[q]
    else:
        for r in range(begin, end):
            row = log_probabilities[rows[r]]
            for q in range(n_nodes):
                posterior[q] += weights[r] * row[q]
    # Four lanes each: one running maximum or sum would wait for its last value at every node.
    whole = n_nodes - n_nodes % 4
    top_0 = top_1 = top_2 = top_3 = posterior[0]
    for q in range(0, whole, 4):
        top_0 = max(top_0, posterior[q])
        top_1 = max(top_1, posterior[q + 1])
        top_2 = max(top_2, posterior[q + 2])
        top_3 = max(top_3, posterior[q + 3])
    for q in range(whole, n_nodes):
        top_0 = max(top_0, posterior[q])
    top = max(max(top_0, top_1), max(top_2, top_3))
    for q in range(n_nodes):
        posterior[q] -= top
    exponentiate(posterior)
    total_0 = total_1 = total_2 = total_3 = 0.0
    for q in range(0, whole, 4):
        total_0 += posterior[q]
        total_1 += posterior[q + 1]
        total_2 += posterior[q + 2]
        total_3 += posterior[q + 3]
    for q in range(whole, n_nodes):
        total_0 += posterior[q]
    total = (total_0 + total_1) + (total_2 + total_3)
    share = 1.0 / total
    for q in range(n_nodes):
        posterior[q] *= share
    return top + np.log(total)


@njit(cache=True, nogil=True, parallel=True)
def count_wave(
    first_shard, n_shards, shard_sessions, offsets, rows, weights, cells, log_probabilities,
    log_weights, counts, masses, log_likelihoods,
):  # fmt: skip
    """Expected counts of `n_shards` shards at once, one buffer each.

    Fills ``counts (n_buffers, 2·n_items, n_nodes)``, ``masses (n_buffers, n_cells, n_nodes)``
    and ``log_likelihoods (n_buffers,)``.
    """
    n_nodes = log_weights.shape[1]
    for k in prange(n_shards):
        counts[k] = 0.0
        masses[k] = 0.0
        log_likelihood = 0.0
        posterior = np.empty(n_nodes)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            begin, end = offsets[s], offsets[s + 1]
            log_likelihood += session_posterior(
                rows, weights, begin, end, log_probabilities, log_weights[cells[s]], posterior
            )
            if weights.shape[0] == 0:
                for r in range(begin, end):
                    row = counts[k, rows[r]]
                    for q in range(n_nodes):
                        row[q] += posterior[q]
            else:
                for r in range(begin, end):
                    row = counts[k, rows[r]]
                    for q in range(n_nodes):
                        row[q] += weights[r] * posterior[q]
            for q in range(n_nodes):
                masses[k, cells[s], q] += posterior[q]
        log_likelihoods[k] = log_likelihood


@njit(cache=True, nogil=True, parallel=True)
def add_in_order(total, buffers, n_buffers):
    """Add ``buffers[0], buffers[1], …`` to `total`, in that order, row by row."""
    for row in prange(total.shape[0]):
        for k in range(n_buffers):
            for q in range(total.shape[1]):
                total[row, q] += buffers[k, row, q]


@njit(cache=True, nogil=True, parallel=True)
def information_wave(
    first_shard, n_shards, shard_sessions, offsets, rows, weights, cells, log_probabilities,
    log_weights, probabilities, gradients, sums,
):  # fmt: skip
    """Score, information and residual sums of every item, one buffer per shard.

    Fills ``sums (n_buffers, n_items, 20)``: score (3), upper triangle of the information (6),
    Σ(x − p)², Σv, Σ(x − p)²/v, Σ(v − 4v²), Σ(1/v − 4), Σ(1 − 2p)∂p (3), Σ(1 − 2p)∂p/v (3), where
    p is the prediction from the session's other answers, ∂p its gradient by φ and v = p(1 − p). An
    answer of weight w counts w times.
    """
    n_nodes = log_weights.shape[1]
    is_weighted = weights.shape[0] > 0
    for k in prange(n_shards):
        sums[k] = 0.0
        posterior = np.empty(n_nodes)
        d = np.empty(3)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            begin, end = offsets[s], offsets[s + 1]
            session_posterior(
                rows, weights, begin, end, log_probabilities, log_weights[cells[s]], posterior
            )
            for r in range(begin, end):
                j = rows[r] >> 1
                x = rows[r] & 1
                total = 0.0
                p = 0.0
                d[:] = 0.0
                for q in range(n_nodes):
                    p_q = probabilities[j, q]
                    own = p_q if x == 1 else 1.0 - p_q
                    w = posterior[q] / max(own, 1e-300)
                    total += w
                    p += w * p_q
                    for m in range(3):
                        d[m] += w * gradients[j, m, q]
                p = min(max(p / total, 1e-12), 1.0 - 1e-12)
                count = weights[r] if is_weighted else 1.0
                variance = p * (1.0 - p)
                residual = x - p
                out = sums[k, j]
                position = 3
                for m in range(3):
                    d_m = count * d[m] / total
                    out[m] += residual * d_m / variance
                    out[14 + m] += (1.0 - 2.0 * p) * d_m
                    out[17 + m] += (1.0 - 2.0 * p) * d_m / variance
                    for n in range(m, 3):
                        out[position] += d_m * d[n] / total / variance
                        position += 1
                out[9] += count * residual * residual
                out[10] += count * variance
                out[11] += count * residual * residual / variance
                out[12] += count * (variance - 4.0 * variance * variance)
                out[13] += count * (1.0 / variance - 4.0)


@njit(cache=True, nogil=True, parallel=True)
def ability_moments(
    offsets, rows, weights, cells, log_probabilities, log_weights, nodes, means, sds
):
    """Posterior mean and standard deviation of every session's ability."""
    n_nodes = nodes.shape[0]
    for s in prange(offsets.shape[0] - 1):
        posterior = np.empty(n_nodes)
        session_posterior(
            rows, weights, offsets[s], offsets[s + 1], log_probabilities, log_weights[cells[s]],
            posterior,
        )  # fmt: skip
        mean = 0.0
        for q in range(n_nodes):
            mean += posterior[q] * nodes[q]
        variance = 0.0
        for q in range(n_nodes):
            variance += posterior[q] * (nodes[q] - mean) ** 2
        means[s] = mean
        sds[s] = np.sqrt(variance)


@njit(cache=True, nogil=True, parallel=True)
def other_answers(
    answers, sessions, offsets, rows, weights, cells, log_probabilities, log_weights, posteriors
):
    """Posterior of a session's ability without one of its answers, for each answer given.

    Fills ``posteriors (n_answers, n_nodes)``; ``sessions (n_answers,)`` is the one of each answer.
    """
    n_nodes = log_weights.shape[1]
    is_weighted = weights.shape[0] > 0
    for k in prange(answers.shape[0]):
        s = sessions[k]
        posterior = posteriors[k]
        for q in range(n_nodes):
            posterior[q] = log_weights[cells[s], q]
        for r in range(offsets[s], offsets[s + 1]):
            if r != answers[k]:
                weight = weights[r] if is_weighted else 1.0
                for q in range(n_nodes):
                    posterior[q] += weight * log_probabilities[rows[r], q]
        top = posterior.max()
        total = 0.0
        for q in range(n_nodes):
            posterior[q] = np.exp(posterior[q] - top)
            total += posterior[q]
        for q in range(n_nodes):
            posterior[q] /= total
