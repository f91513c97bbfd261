"""The archive's order of rows that come in any order, in time proportional to their number."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def group_sessions(session_codes, starts, n_codes):
    """Number the sessions: rows of one id and one start.

    Parameters
    ----------
    session_codes : int32, (n_rows,)
    starts : int64, (n_rows,)
    n_codes
        How many codes there are.

    Returns
    -------
    tuple
        Each row's session, int64, (n_rows,), and each session's first row, int64, (n_sessions,).
    """
    n_rows = len(session_codes)
    newest = np.full(n_codes, -1, np.int64)
    older = np.empty(n_rows, np.int64)
    first_rows = np.empty(n_rows, np.int64)
    session = np.empty(n_rows, np.int64)
    n_sessions = 0
    for row in range(n_rows):
        code = session_codes[row]
        found = newest[code]
        while found >= 0 and starts[first_rows[found]] != starts[row]:
            found = older[found]
        if found < 0:
            found = n_sessions
            first_rows[found] = row
            older[found] = newest[code]
            newest[code] = found
            n_sessions += 1
        session[row] = found
    return session, first_rows[:n_sessions].copy()


@njit(inline="always")
def _is_before(one, other, keys):
    for k in range(len(keys)):
        if keys[k, one] != keys[k, other]:
            return keys[k, one] < keys[k, other]
    return False


@njit(cache=True, nogil=True)
def order_rows(session, ranks, keys):
    """Order rows by their session's rank, and within a session by their keys.

    Parameters
    ----------
    session : int64, (n_rows,)
    ranks : int64, (n_sessions,)
        The place of each session.
    keys : int64, (n_keys, n_rows)
        The first counts most.

    Returns
    -------
    ndarray
        int64, (n_rows,): the rows in their order. Rows that are alike stay as they were.
    """
    ends = np.zeros(len(ranks) + 1, np.int64)
    for row in range(len(session)):
        ends[ranks[session[row]] + 1] += 1
    for rank in range(len(ranks)):
        ends[rank + 1] += ends[rank]
    order = np.empty(len(session), np.int64)
    nexts = ends[:-1].copy()
    for row in range(len(session)):
        rank = ranks[session[row]]
        # Rows of a session mostly come in order: each finds its place in a step or none.
        place = nexts[rank]
        while place > ends[rank] and _is_before(row, order[place - 1], keys):
            order[place] = order[place - 1]
            place -= 1
        order[place] = row
        nexts[rank] += 1
    return order


@njit(cache=True, nogil=True)
def differing_sessions(session, codes, n_sessions):
    """Tell for each session whether its rows differ in their codes: bool, (n_sessions,)."""
    first = np.full(n_sessions, -1, np.int64)
    differs = np.zeros(n_sessions, np.bool_)
    for row in range(len(session)):
        if first[session[row]] < 0:
            first[session[row]] = codes[row]
        elif first[session[row]] != codes[row]:
            differs[session[row]] = True
    return differs
