"""The compiled loop of the adaptive-test simulator."""

import numpy as np
from numba import njit, prange


@njit(cache=True, nogil=True)
def _draw_subset(order, uniforms):
    """Put a random subset at the front of `order` (partial Fisher–Yates shuffle)."""
    n = order.shape[0]
    for k in range(uniforms.shape[0]):
        pick = k + int(uniforms[k] * (n - k))
        order[k], order[pick] = order[pick], order[k]


@njit(cache=True, nogil=True)
def _draw_informative(subset, used, information, node, top, uniform):
    """Position in `subset` of one of the `top` unused items most informative at `node`."""
    best = np.full(top, -1, np.int64)
    values = np.full(top, -1.0)
    found = 0
    for k in range(subset.shape[0]):
        if used[k]:
            continue
        value = information[subset[k], node]
        if found == top and value <= values[top - 1]:
            continue
        slot = min(found, top - 1)
        while slot > 0 and values[slot - 1] < value:
            values[slot] = values[slot - 1]
            best[slot] = best[slot - 1]
            slot -= 1
        values[slot] = value
        best[slot] = k
        found = min(found + 1, top)
    return best[np.int64(uniform * found)]


@njit(cache=True, nogil=True, parallel=True)
def run_sessions(
    abilities, truth, information, log_right, log_wrong, nodes, top, subsets, draws, noise,
    item, correct, estimate,
):  # fmt: skip
    """Fill `item`, `correct` and `estimate` from uniform `subsets`, `draws` and `noise`."""
    n_sessions, answers = item.shape
    n_items, n_nodes = information.shape
    step = nodes[1] - nodes[0]
    for s in prange(n_sessions):
        order = np.arange(n_items)
        _draw_subset(order, subsets[s])
        subset = order[: subsets.shape[1]]
        used = np.zeros(subset.shape[0], np.bool_)
        log_posterior = -0.5 * nodes**2
        for t in range(answers):
            weights = np.exp(log_posterior - log_posterior.max())
            eap = (weights * nodes).sum() / weights.sum()
            node = min(max(round((eap - nodes[0]) / step), 0), n_nodes - 1)
            k = _draw_informative(subset, used, information, node, top, draws[s, t])
            used[k] = True
            j = subset[k]
            a, b, c = truth[j]
            p = c + (1.0 - c) / (1.0 + np.exp(-a * (abilities[s] - b)))
            x = 1 if noise[s, t] < p else 0
            log_posterior += log_right[j] if x == 1 else log_wrong[j]
            item[s, t], correct[s, t], estimate[s, t] = j, x, eap
