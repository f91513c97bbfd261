"""The compiled loop of the adaptive-test simulator."""

import numpy as np
from numba import njit, prange

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TO_UNIT = 2.0**-53


@njit(cache=True, nogil=True)
def chance_of(seed, session, item):
    """Give a uniform number of a session and an item, the same whenever it is asked for.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA) over a counter: an item that
    stays shut to a candidate needs no memory, and threads need no stream of their own.
    """
    state = np.uint64(seed) + _GOLDEN * (np.uint64(session) + np.uint64(1))
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    state = (state ^ (state >> np.uint64(31))) + _GOLDEN * (np.uint64(item) + np.uint64(1))
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return np.float64((state ^ (state >> np.uint64(31))) >> np.uint64(11)) * _TO_UNIT


@njit(cache=True, nogil=True)
def _draw_subset(order, uniforms):
    """Put a random subset at the front of `order` (partial Fisher–Yates shuffle)."""
    n = order.shape[0]
    for k in range(uniforms.shape[0]):
        pick = k + int(uniforms[k] * (n - k))
        order[k], order[pick] = order[pick], order[k]


@njit(cache=True, nogil=True)
def _lacking_area(given, shares, n_given):
    """Give the content area that is furthest behind its share (Kingsbury & Zara 1989)."""
    return np.argmax(shares * (n_given + 1) - given)


@njit(cache=True, nogil=True)
def _may_be_given(j, is_left, area_of, area, acceptance, seed, session):
    """``area < 0`` is any content area; an item is open to numbers below its acceptance."""
    if not is_left[j] or (area >= 0 and area_of[j] != area):
        return False
    return acceptance[j] >= 1.0 or chance_of(seed, session, j) < acceptance[j]


@njit(cache=True, nogil=True)
def _find_best(ranked, is_left, area_of, area, acceptance, seed, session, best):
    """Fill `best` with the first ranked items that may be given, and say how many there are."""
    found = 0
    for j in ranked:
        if _may_be_given(j, is_left, area_of, area, acceptance, seed, session):
            best[found] = j
            found += 1
            if found == best.size:
                break
    return found


@njit(cache=True, nogil=True)
def _find_best_of(subset, values, is_left, area_of, area, acceptance, seed, session, best):
    """As `_find_best`, by the `values` of a part of the pool; of equal ones the earlier in it."""
    found = 0
    for j in subset:
        if found == best.size and values[j] <= values[best[found - 1]]:
            continue
        if not _may_be_given(j, is_left, area_of, area, acceptance, seed, session):
            continue
        slot = min(found, best.size - 1)
        while slot > 0 and values[best[slot - 1]] < values[j]:
            best[slot] = best[slot - 1]
            slot -= 1
        best[slot] = j
        found = min(found + 1, best.size)
    return found


@njit(cache=True, nogil=True)
def _find(ranked, subset, values, is_left, area_of, area, acceptance, seed, session, best):
    """Find the best items of the pool, or of a session's part of it."""
    if subset.size < ranked.size:
        return _find_best_of(
            subset, values, is_left, area_of, area, acceptance, seed, session, best
        )
    return _find_best(ranked, is_left, area_of, area, acceptance, seed, session, best)


@njit(cache=True, nogil=True)
def _draw(best, found, information, is_weighted, uniform):
    """Draw one of the items found: all alike, or by their information."""
    if not is_weighted:
        return best[np.int64(uniform * found)]
    total = 0.0
    for k in range(found):
        total += information[best[k]]
    left = uniform * total
    for k in range(found - 1):
        left -= information[best[k]]
        if left < 0.0:
            return best[k]
    return best[found - 1]


@njit(cache=True, nogil=True)
def _moments(log_posterior, nodes):
    """Mean and standard deviation of a posterior on the nodes."""
    weights = np.exp(log_posterior - log_posterior.max())
    total = weights.sum()
    mean = (weights * nodes).sum() / total
    return mean, np.sqrt((weights * (nodes - mean) ** 2).sum() / total)


@njit(cache=True, nogil=True, parallel=True)
def run_sessions(
    abilities, truth, ranked, information, log_right, log_wrong, nodes,
    top, is_weighted, least, enough_sd, area_of, area_shares, acceptance, cuts, seed,
    starts, start_sd, is_guess, chance, knows, is_leaked, known, subsets, draws, noise,
    item, correct, estimate, length, final_estimate, final_sd,
):  # fmt: skip
    """Fill the last six arrays from uniform `subsets`, `draws` and `noise`.

    ``ranked`` and ``information`` are ``(n_nodes, n_items)``: item numbers, the most informative
    first, and what each item tells. ``acceptance (n_levels, n_items)``, and ``cuts
    (n_levels - 1,)`` between the levels of the estimate. ``subsets (n_sessions, 0)`` is the whole
    pool; no `area_shares` are no content areas. Where ``starts (n_sessions,)`` is NaN the engine
    knows nothing and starts from N(0, 1). Where ``is_guess (n_sessions, answers)`` the answer is
    right with the item's `chance`, whatever the ability; where ``knows (n_sessions,)`` and
    ``is_leaked (n_items,)`` meet, with at least `known`. Places after a session's end are left
    alone.
    """
    n_sessions, answers = item.shape
    n_nodes, n_items = ranked.shape
    step = nodes[1] - nodes[0]
    all_open = np.ones(n_items)
    for s in prange(n_sessions):
        is_left = np.ones(n_items, np.bool_)
        order = np.arange(n_items)
        _draw_subset(order, subsets[s])
        subset = order[: subsets.shape[1]] if subsets.shape[1] else order
        best = np.empty(top, np.int64)
        given = np.zeros(area_shares.size)
        is_known = not np.isnan(starts[s])
        centre, sd = (starts[s], start_sd) if is_known else (0.0, 1.0)
        log_posterior = -0.5 * ((nodes - centre) / sd) ** 2
        # The nodes end somewhere: a start near their end is what the engine says all the same.
        eap = centre if is_known else _moments(log_posterior, nodes)[0]
        n_given = 0
        while n_given < answers and (n_given < least or sd > enough_sd):
            t = n_given
            node = min(max(round((eap - nodes[0]) / step), 0), n_nodes - 1)
            area = _lacking_area(given, area_shares, t) if area_shares.size else -1
            row, values = ranked[node], information[node]
            open_to = acceptance[np.searchsorted(cuts, eap)]
            found = _find(row, subset, values, is_left, area_of, area, open_to, seed, s, best)
            if found == 0 and area >= 0:
                found = _find(row, subset, values, is_left, area_of, -1, open_to, seed, s, best)
            if found == 0:  # a test has to go on: an item that is shut rather than none
                found = _find(row, subset, values, is_left, area_of, -1, all_open, seed, s, best)
            j = _draw(best, found, values, is_weighted, draws[s, t])
            is_left[j] = False
            if area_shares.size:
                given[area_of[j]] += 1.0
            a, b, c = truth[j]
            p = c + (1.0 - c) / (1.0 + np.exp(-a * (abilities[s] - b)))
            if is_guess[s, t]:
                p = chance[j]
            elif knows[s] and is_leaked[j]:
                p = max(p, known)
            x = 1 if noise[s, t] < p else 0
            log_posterior += log_right[j] if x == 1 else log_wrong[j]
            item[s, t], correct[s, t], estimate[s, t] = j, x, eap
            eap, sd = _moments(log_posterior, nodes)
            n_given += 1
        length[s], final_estimate[s], final_sd[s] = n_given, eap, sd
