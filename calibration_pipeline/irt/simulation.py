"""Adaptive sessions with known truth, for demonstrations, tests and benchmarks."""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from calibration_pipeline.irt.model import FloatArray, fisher_information, response_probabilities

NODES = np.linspace(-4.0, 4.0, 41)


@dataclass(frozen=True)
class SelectionRule:
    """How an engine picks the next item.

    A session sees a random part of the pool and gets, at each step, one of the `top` most
    informative items left in it at the current ability estimate (EAP under N(0, 1)).

    Attributes
    ----------
    answers
        Items per session.
    pool_share
        Share of the pool that a session may see; at least `answers` items whatever it says.
    top
        Number of best items to draw from.
    """

    answers: int = 30
    pool_share: float = 0.025
    top: int = 5


@dataclass(frozen=True)
class SimulatedSessions:
    """Answers of all sessions, ``(n_sessions, answers)`` each.

    Attributes
    ----------
    item
        Item numbers in order of presentation.
    correct
        1 for a right answer.
    estimate
        The engine's ability estimate just before each item.
    """

    item: NDArray[np.int32]
    correct: NDArray[np.uint8]
    estimate: FloatArray


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
    return best[int(uniform * found)]


@njit(cache=True, nogil=True, parallel=True)
def _run_sessions(
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
            node = min(max(int(round((eap - nodes[0]) / step)), 0), n_nodes - 1)
            k = _draw_informative(subset, used, information, node, top, draws[s, t])
            used[k] = True
            j = subset[k]
            a, b, c = truth[j]
            p = c + (1.0 - c) / (1.0 + np.exp(-a * (abilities[s] - b)))
            x = 1 if noise[s, t] < p else 0
            log_posterior += log_right[j] if x == 1 else log_wrong[j]
            item[s, t], correct[s, t], estimate[s, t] = j, x, eap


def simulate_sessions(
    abilities: FloatArray,
    truth: FloatArray,
    engine_parameters: FloatArray,
    rule: SelectionRule,
    generator: np.random.Generator,
    scaling_constant: float = 1.0,
) -> SimulatedSessions:
    """Let each ability take one adaptive session.

    Parameters
    ----------
    abilities
        ``(n_sessions,)`` true abilities.
    truth
        ``(n_items, 3)`` true parameters, which produce the answers.
    engine_parameters
        ``(n_items, 3)`` what the engine believes, which selects the items.
    rule
        Selection and length.
    generator
        The only source of randomness.
    scaling_constant
        D.

    Raises
    ------
    ValueError
        If the pool has fewer items than a session has answers.
    """
    n_sessions, n_items = len(abilities), len(truth)
    if n_items < rule.answers:
        raise ValueError(f"a session of {rule.answers} answers needs a pool of as many items")
    subset_size = min(n_items, max(rule.answers, round(rule.pool_share * n_items)))
    believed = response_probabilities(NODES, engine_parameters, scaling_constant)
    item = np.empty((n_sessions, rule.answers), np.int32)
    correct = np.empty((n_sessions, rule.answers), np.uint8)
    estimate = np.empty((n_sessions, rule.answers))
    scaled = truth * np.array([scaling_constant, 1.0, 1.0])
    _run_sessions(
        np.ascontiguousarray(abilities), scaled,
        fisher_information(NODES, engine_parameters, scaling_constant),
        np.log(believed), np.log1p(-believed), NODES, rule.top,
        generator.random((n_sessions, subset_size)),
        generator.random((n_sessions, rule.answers)),
        generator.random((n_sessions, rule.answers)),
        item, correct, estimate,
    )  # fmt: skip
    return SimulatedSessions(item, correct, estimate)
