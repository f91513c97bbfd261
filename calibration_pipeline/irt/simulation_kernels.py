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


@njit(cache=True, nogil=True)
def _posterior_mean(log_posterior, nodes):
    weights = np.exp(log_posterior - log_posterior.max())
    return (weights * nodes).sum() / weights.sum()


@njit(cache=True, nogil=True, parallel=True)
def run_sessions(
    abilities, truth, information, log_right, log_wrong, nodes, top, starts, start_sd, is_guess,
    chance, subsets, draws, noise, item, correct, estimate, final_estimate,
):  # fmt: skip
    """Fill `item`, `correct` and the estimates from uniform `subsets`, `draws` and `noise`.

    Where ``starts (n_sessions,)`` is NaN the engine knows nothing and starts from N(0, 1). Where
    ``is_guess (n_sessions, answers)`` the answer is right with the item's `chance`, whatever the
    ability.
    """
    n_sessions, answers = item.shape
    n_items, n_nodes = information.shape
    step = nodes[1] - nodes[0]
    for s in prange(n_sessions):
        order = np.arange(n_items)
        _draw_subset(order, subsets[s])
        subset = order[: subsets.shape[1]]
        used = np.zeros(subset.shape[0], np.bool_)
        is_known = not np.isnan(starts[s])
        centre, spread = (starts[s], start_sd) if is_known else (0.0, 1.0)
        log_posterior = -0.5 * ((nodes - centre) / spread) ** 2
        # The nodes end somewhere: a start near their end is what the engine says all the same.
        eap = centre if is_known else _posterior_mean(log_posterior, nodes)
        for t in range(answers):
            node = min(max(round((eap - nodes[0]) / step), 0), n_nodes - 1)
            k = _draw_informative(subset, used, information, node, top, draws[s, t])
            used[k] = True
            j = subset[k]
            a, b, c = truth[j]
            p = c + (1.0 - c) / (1.0 + np.exp(-a * (abilities[s] - b)))
            if is_guess[s, t]:
                p = chance[j]
            x = 1 if noise[s, t] < p else 0
            log_posterior += log_right[j] if x == 1 else log_wrong[j]
            item[s, t], correct[s, t], estimate[s, t] = j, x, eap
            eap = _posterior_mean(log_posterior, nodes)
        final_estimate[s] = eap
