"""The compiled loops. Threads never change a result: shards are fixed and reduced in order.

Tables are ``(2 · n_items, n_nodes)``: row 2j is "item j, wrong", row 2j + 1 "item j, right". No
fast-math anywhere: it would let the compiler reorder sums.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True, inline="always")
def session_posterior(rows, begin, end, log_probabilities, log_weights, posterior):
    """Fill `posterior` with one session's ability posterior; give its log-likelihood back."""
    n_nodes = log_weights.shape[0]
    for q in range(n_nodes):
        posterior[q] = log_weights[q]
    for r in range(begin, end):
        row = log_probabilities[rows[r]]
        for q in range(n_nodes):
            posterior[q] += row[q]
    top = posterior[0]
    for q in range(1, n_nodes):
        top = max(top, posterior[q])
    total = 0.0
    for q in range(n_nodes):
        posterior[q] = np.exp(posterior[q] - top)
        total += posterior[q]
    for q in range(n_nodes):
        posterior[q] /= total
    return top + np.log(total)


@njit(cache=True, nogil=True, parallel=True)
def count_wave(
    first_shard, n_shards, shard_sessions, offsets, rows, log_probabilities, log_weights,
    counts, masses, log_likelihoods,
):  # fmt: skip
    """Expected counts of `n_shards` shards at once, one buffer each.

    Fills ``counts (n_buffers, 2·n_items, n_nodes)``, ``masses (n_buffers, n_nodes)`` and
    ``log_likelihoods (n_buffers,)``.
    """
    n_nodes = log_weights.shape[0]
    for k in prange(n_shards):
        counts[k] = 0.0
        masses[k] = 0.0
        log_likelihood = 0.0
        posterior = np.empty(n_nodes)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            begin, end = offsets[s], offsets[s + 1]
            log_likelihood += session_posterior(
                rows, begin, end, log_probabilities, log_weights, posterior
            )
            for r in range(begin, end):
                row = counts[k, rows[r]]
                for q in range(n_nodes):
                    row[q] += posterior[q]
            for q in range(n_nodes):
                masses[k, q] += posterior[q]
        log_likelihoods[k] = log_likelihood


@njit(cache=True, nogil=True, parallel=True)
def add_in_order(total, buffers, n_buffers):
    """Add ``buffers[0], buffers[1], …`` to `total`, in that order, row by row."""
    for row in prange(total.shape[0]):
        for k in range(n_buffers):
            for q in range(total.shape[1]):
                total[row, q] += buffers[k, row, q]


@njit(cache=True, nogil=True)
def _item_objective(wrong, right, nodes, phi, has_guessing, scaling, precision, linear):
    """Expected complete-data log-likelihood of one item plus its log prior, up to a constant."""
    a = np.exp(phi[0])
    c = 1.0 / (1.0 + np.exp(-phi[2])) if has_guessing else 0.0
    value = 0.0
    for q in range(nodes.shape[0]):
        p = c + (1.0 - c) / (1.0 + np.exp(-scaling * a * (nodes[q] - phi[1])))
        p = min(max(p, 1e-15), 1.0 - 1e-15)
        value += right[q] * np.log(p) + wrong[q] * np.log(1.0 - p)
    for k in range(3):
        value += linear[k] * phi[k]
        for m in range(3):
            value -= 0.5 * phi[k] * precision[k, m] * phi[m]
    return value


@njit(cache=True, nogil=True)
def _item_gradient(wrong, right, nodes, phi, has_guessing, scaling, precision, linear, g, h):
    """Gradient `g` and expected (Fisher) curvature `h` of `_item_objective`."""
    a = np.exp(phi[0])
    c = 1.0 / (1.0 + np.exp(-phi[2])) if has_guessing else 0.0
    d = np.empty(3)
    for k in range(3):
        g[k] = linear[k]
        for m in range(3):
            g[k] -= precision[k, m] * phi[m]
            h[k, m] = precision[k, m]
    for q in range(nodes.shape[0]):
        n = right[q] + wrong[q]
        if n <= 0.0:
            continue
        logistic = 1.0 / (1.0 + np.exp(-scaling * a * (nodes[q] - phi[1])))
        p = min(max(c + (1.0 - c) * logistic, 1e-15), 1.0 - 1e-15)
        slope = (1.0 - c) * logistic * (1.0 - logistic) * scaling * a
        d[0] = slope * (nodes[q] - phi[1])
        d[1] = -slope
        d[2] = c * (1.0 - c) * (1.0 - logistic)
        residual = (right[q] - n * p) / (p * (1.0 - p))
        weight = n / (p * (1.0 - p))
        for k in range(3):
            g[k] += residual * d[k]
            for m in range(3):
                h[k, m] += weight * d[k] * d[m]


@njit(cache=True, nogil=True)
def _restricted_step(g, h, open_coordinates):
    """Solve h·step = g over the open coordinates; 0 elsewhere. `h` is made safely invertible."""
    matrix = np.eye(3)
    vector = np.zeros(3)
    for k in range(3):
        if open_coordinates[k]:
            vector[k] = g[k]
            for m in range(3):
                if open_coordinates[m]:
                    matrix[k, m] = h[k, m]
            matrix[k, k] += 1e-9 + 1e-9 * h[k, k]
    return np.linalg.solve(matrix, vector)


@njit(cache=True, nogil=True)
def _maximize_item(
    wrong, right, nodes, phi, free, has_guessing, scaling, precision, linear, lower, upper, steps
):
    """Fisher scoring with step halving inside the bounds; never lowers the objective."""
    g, h = np.empty(3), np.empty((3, 3))
    open_coordinates = np.empty(3, np.bool_)
    value = _item_objective(wrong, right, nodes, phi, has_guessing, scaling, precision, linear)
    for _ in range(steps):
        _item_gradient(wrong, right, nodes, phi, has_guessing, scaling, precision, linear, g, h)
        for k in range(3):
            stuck = (phi[k] <= lower[k] and g[k] < 0.0) or (phi[k] >= upper[k] and g[k] > 0.0)
            open_coordinates[k] = free[k] and not stuck
        step = _restricted_step(g, h, open_coordinates)
        moved = False
        for _halving in range(20):
            trial = np.minimum(np.maximum(phi + step, lower), upper)
            trial = np.where(free, trial, phi)
            trial_value = _item_objective(
                wrong, right, nodes, trial, has_guessing, scaling, precision, linear
            )
            if trial_value > value:
                moved = True
                break
            step *= 0.5
        if not moved:
            break
        change = np.max(np.abs(trial - phi))
        phi[:] = trial
        value = trial_value
        if change < 1e-6:
            break


@njit(cache=True, nogil=True, parallel=True)
def maximize_items(
    counts, nodes, phi, free, has_guessing, scaling, precision, linear, lower, upper, steps
):
    """M-step: move ``phi (n_items, 3)`` in place, every item by itself.

    Parameters
    ----------
    counts
        ``(2·n_items, n_nodes)`` expected counts.
    free
        ``(n_items, 3)`` coordinates to estimate.
    precision, linear
        ``(n_items, 3, 3)`` and ``(n_items, 3)`` natural parameters of each item's Gaussian prior.
    lower, upper
        ``(3,)`` bounds on φ.
    """
    for j in prange(phi.shape[0]):
        if free[j, 0] or free[j, 1] or free[j, 2]:
            _maximize_item(
                counts[2 * j], counts[2 * j + 1], nodes, phi[j], free[j], has_guessing[j],
                scaling, precision[j], linear[j], lower, upper, steps,
            )  # fmt: skip


@njit(cache=True, nogil=True, parallel=True)
def information_wave(
    first_shard, n_shards, shard_sessions, offsets, rows, log_probabilities, log_weights,
    probabilities, gradients, sums,
):  # fmt: skip
    """Score, information and residual sums of every item, one buffer per shard.

    Fills ``sums (n_buffers, n_items, 14)``: score (3), upper triangle of the information (6),
    Σ(x − p)², Σv, Σ(x − p)²/v, Σ(v − 4v²), Σ(1/v − 4), where p is the prediction from the
    session's other answers and v = p(1 − p).
    """
    n_nodes = log_weights.shape[0]
    for k in prange(n_shards):
        sums[k] = 0.0
        posterior = np.empty(n_nodes)
        d = np.empty(3)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            begin, end = offsets[s], offsets[s + 1]
            session_posterior(rows, begin, end, log_probabilities, log_weights, posterior)
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
                variance = p * (1.0 - p)
                residual = x - p
                out = sums[k, j]
                position = 3
                for m in range(3):
                    d_m = d[m] / total
                    out[m] += residual * d_m / variance
                    for n in range(m, 3):
                        out[position] += d_m * d[n] / total / variance
                        position += 1
                out[9] += residual * residual
                out[10] += variance
                out[11] += residual * residual / variance
                out[12] += variance - 4.0 * variance * variance
                out[13] += 1.0 / variance - 4.0


@njit(cache=True, nogil=True, parallel=True)
def ability_moments(offsets, rows, log_probabilities, log_weights, nodes, means, sds):
    """Posterior mean and standard deviation of every session's ability."""
    n_nodes = nodes.shape[0]
    for s in prange(offsets.shape[0] - 1):
        posterior = np.empty(n_nodes)
        session_posterior(
            rows, offsets[s], offsets[s + 1], log_probabilities, log_weights, posterior
        )
        mean = 0.0
        for q in range(n_nodes):
            mean += posterior[q] * nodes[q]
        variance = 0.0
        for q in range(n_nodes):
            variance += posterior[q] * (nodes[q] - mean) ** 2
        means[s] = mean
        sds[s] = np.sqrt(variance)
