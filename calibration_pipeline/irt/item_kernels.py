"""The compiled M-step: every item by itself, by Fisher scoring with step halving."""

import numpy as np
from numba import njit, prange


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
