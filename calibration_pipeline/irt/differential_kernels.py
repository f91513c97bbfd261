"""The compiled loop of differential item functioning: score and information by group and item.

As in `kernels`, shards are fixed by the data and reduced in order, so that the number of threads
never changes a byte.
"""

import numpy as np
from numba import njit, prange

from calibration_pipeline.irt.kernels import session_posterior

N_SUMS = 12
"""Columns of a row: score (3), upper triangle of the information (6), and three for the size."""


@njit(cache=True, nogil=True, parallel=True)
def group_score_wave(
    first_shard, n_shards, shard_sessions, offsets, rows, weights, cells, groups,
    log_probabilities, log_weights, inverse_probabilities, probabilities, gradients, sums,
):  # fmt: skip
    """Sums over the answers of each group to each item, one buffer per shard.

    Fills ``sums (n_buffers, n_groups · n_items, 12)``, row ``group · n_items + item``: score (3)
    and upper triangle of the information (6) by φ, the number of answers, and the expectations of
    −∂P/∂b and of P(1 − P). All expectations are over the ability given the session's other
    answers; ``inverse_probabilities (2·n_items, n_nodes)`` take the answer itself out again.
    Sessions of a group below 0 are left out.
    """
    n_items = probabilities.shape[0]
    n_nodes = log_weights.shape[1]
    is_weighted = weights.shape[0] > 0
    for k in prange(n_shards):
        sums[k] = 0.0
        posterior, others = np.empty(n_nodes), np.empty(n_nodes)
        d = np.empty(3)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            if groups[s] < 0:
                continue
            begin, end = offsets[s], offsets[s + 1]
            session_posterior(
                rows, weights, begin, end, log_probabilities, log_weights[cells[s]], posterior
            )
            for r in range(begin, end):
                j = rows[r] >> 1
                x = rows[r] & 1
                count = weights[r] if is_weighted else 1.0
                for q in range(n_nodes):
                    others[q] = posterior[q] * inverse_probabilities[rows[r], q]
                if count < 1.0:  # an answer that counts twice is two: each sees the other one
                    for q in range(n_nodes):
                        others[q] = posterior[q] * inverse_probabilities[rows[r], q] ** count
                total, p, within = 0.0, 0.0, 0.0
                d[:] = 0.0
                for q in range(n_nodes):
                    expected = others[q] * probabilities[j, q]
                    total += others[q]
                    p += expected
                    within += expected * (1.0 - probabilities[j, q])
                for m in range(3):
                    for q in range(n_nodes):
                        d[m] += others[q] * gradients[j, m, q]
                p = min(max(p / total, 1e-12), 1.0 - 1e-12)
                variance = p * (1.0 - p)
                out = sums[k, groups[s] * n_items + j]
                position = 3
                for m in range(3):
                    d_m = count * d[m] / total
                    out[m] += (x - p) * d_m / variance
                    for n in range(m, 3):
                        out[position] += d_m * d[n] / total / variance
                        position += 1
                out[9] += count
                out[10] -= count * d[1] / total
                out[11] += count * within / total
