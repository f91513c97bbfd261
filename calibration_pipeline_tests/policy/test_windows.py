from datetime import date

import numpy as np
import pytest

from calibration_pipeline.policy.windows import leaving_days, window_days
from calibration_pipeline.records import DayResponses, DayRevision
from calibration_pipeline_tests.policy.days import unscreened
from calibration_pipeline_tests.simulated import make_bank

D = date(2026, 3, 10)


def day(sessions: list[list[tuple[str, int]]], when: date = D) -> DayResponses:
    """One day from lists of (item id, score)."""
    keys = tuple(sorted({(item, 1) for session in sessions for item, _ in session}))
    flat = [answer for session in sessions for answer in session]
    names = np.zeros(len(sessions), "V16")
    return DayResponses(
        DayRevision(when, 1, "", len(flat), len(sessions), {}),
        keys,
        np.concatenate([[0], np.cumsum([len(session) for session in sessions])]).astype(np.int64),
        np.array([keys.index((item, 1)) for item, _ in flat], np.int32),
        np.array([score for _, score in flat], np.uint8),
        names,
        names,
    )


def test_the_window_ends_with_the_partition():
    days = window_days(D, 30)
    assert (len(days), days[0], days[-1]) == (30, date(2026, 2, 9), D)


def test_one_day_leaves_when_the_window_moves_by_one():
    assert leaving_days(date(2026, 2, 8), D, 30) == []
    assert leaving_days(date(2026, 2, 7), D, 30) == [date(2026, 2, 8)]


def test_every_day_of_a_gap_leaves_once_and_in_order():
    left = leaving_days(date(2026, 2, 4), D, 30)
    assert left == [date(2026, 2, 5), date(2026, 2, 6), date(2026, 2, 7), date(2026, 2, 8)]


def test_nothing_leaves_when_more_was_folded_than_the_window_now_leaves():
    assert leaving_days(date(2026, 2, 20), D, 30) == []


def test_days_that_leave_and_the_window_never_overlap_nor_leave_a_hole():
    folded = date(2026, 1, 1)
    together = leaving_days(folded, D, 30) + window_days(D, 30)
    assert together == sorted(set(together))
    assert (together[-1] - folded).days == len(together)


def test_sessions_are_split_by_scale_and_items_renumbered():
    bank = make_bank(4, scales={"algebra": "3PL", "reading": "2PL"}, scale_index=[0, 1, 0, 1])
    days = [
        day([[("i00000", 1), ("i00001", 0), ("i00002", 1)], [("i00003", 1)]]),
        day([[("i00002", 0), ("i00003", 1), ("i00001", 1)]]),
    ]
    algebra = unscreened(days, bank, bank.scale_index == 0, 1)
    reading = unscreened(days, bank, bank.scale_index == 1, 1)
    assert algebra.data.session_offsets.tolist() == [0, 2, 3]
    assert algebra.data.item.tolist() == [0, 1, 1]
    assert algebra.data.correct.tolist() == [1, 1, 0]
    assert algebra.sessions.tolist() == [0, 2]
    assert reading.data.item.tolist() == [0, 1, 1, 0]
    assert reading.data.correct.tolist() == [0, 1, 1, 1]
    assert reading.sessions.tolist() == [0, 1, 2]


def test_a_short_session_is_left_out_on_the_scale_where_it_is_short():
    bank = make_bank(3, scales={"x": "3PL", "y": "3PL"}, scale_index=[0, 0, 1])
    days = [day([[("i00000", 1), ("i00001", 0), ("i00002", 1)], [("i00001", 1), ("i00002", 1)]])]
    assert unscreened(days, bank, bank.scale_index == 0, 2).sessions.tolist() == [0]
    assert unscreened(days, bank, bank.scale_index == 1, 2).data.n_responses == 0


def test_no_days_give_no_answers():
    bank = make_bank(3)
    gathered = unscreened([], bank, bank.scale_index == 0, 3)
    assert (gathered.data.n_sessions, gathered.data.n_responses) == (0, 0)


def test_an_item_that_the_bank_lacks_is_refused_by_name():
    bank = make_bank(2)
    with pytest.raises(ValueError, match="unheard-of"):
        unscreened([day([[("unheard-of", 1)]])], bank, bank.scale_index == 0, 1)
