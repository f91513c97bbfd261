"""Which answers of a block count."""

from typing import Any

import pyarrow as pa
import pytest

from calibration_pipeline.store.extraction import whole_sessions
from calibration_pipeline.store.quarantine import REASONS, sort_out
from calibration_pipeline.store.sources.base import ROW_SCHEMA
from calibration_pipeline_tests.store.answers import session

START = "2026-03-01T08:00:00+00:00"


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"reason": 0, "content_version": 1} | row for row in rows], schema=ROW_SCHEMA
    )


def _outcome(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The items kept, and the reasons of the others."""
    result = sort_out(_table(rows))
    return result.kept["item_id"].to_pylist(), result.left_out["reason"].to_pylist()


def test_good_rows_all_count() -> None:
    rows = session("a", START) + session("b", START)
    result = sort_out(_table(rows))
    assert result.kept.num_rows == 6
    assert result.session.tolist() == [0, 0, 0, 1, 1, 1]
    assert result.left_out.num_rows == 0


@pytest.mark.parametrize("reason", range(1, 7))
def test_a_bad_row_takes_its_session_with_it_and_no_other(reason: int) -> None:
    bad = session("a", START)
    bad[1]["reason"] = reason
    kept, reasons = _outcome(bad + session("b", START, "i4 i5"))
    assert kept == ["i4", "i5"]
    assert reasons == ["session_incomplete", REASONS[reason], "session_incomplete"]


def test_an_exact_duplicate_is_dropped_and_its_session_counts() -> None:
    rows = session("a", START)
    kept, reasons = _outcome([*rows[:2], rows[1] | {"position": 9}, rows[1], rows[2]])
    assert (kept, reasons) == (["i1", "i2", "i3"], ["duplicate"] * 2)


@pytest.mark.parametrize(
    "change",
    [
        {"score": 0},
        {"outcome": "invalid"},
        {"answered_at": session("z", START)[2]["answered_at"]},
    ],
)
def test_a_second_answer_to_an_item_spoils_its_session(change: dict[str, Any]) -> None:
    rows = session("a", START)
    kept, reasons = _outcome([*rows, rows[1] | change])
    assert kept == []
    assert sorted(reasons) == ["conflicting_duplicate", *["session_incomplete"] * 3]


def test_the_same_item_in_two_sessions_is_no_duplicate() -> None:
    assert _outcome(session("a", START, "i1") + session("b", START, "i1")) == (["i1", "i1"], [])


def test_another_version_of_an_item_is_another_item() -> None:
    rows = session("a", START, "i1 i1")
    rows[1]["content_version"] = 2
    assert _outcome(rows)[0] == ["i1", "i1"]


def test_sessions_are_never_cut() -> None:
    rows = _table(session("a", START) + session("b", START, "i1") + session("c", START))
    for size in range(1, 8):
        blocks = [rows.slice(at, size) for at in range(0, rows.num_rows, size)]
        whole = list(whole_sessions(blocks))
        assert pa.concat_tables(whole).combine_chunks() == rows
        ends = [block["session_id"][-1].as_py() for block in whole]
        assert len(set(ends)) == len(ends)
    assert list(whole_sessions([])) == []


def test_a_block_that_ends_with_a_session_is_given_as_it_is() -> None:
    blocks = [_table(session(name, START)) for name in "abc"]
    given = list(whole_sessions(blocks))
    assert list(map(id, given)) == list(map(id, blocks))


def test_one_id_with_two_starts_is_two_sessions_across_blocks() -> None:
    blocks = [_table(session("a", START)), _table(session("a", "2026-03-01T09:00:00+00:00"))]
    assert list(whole_sessions(blocks)) == blocks
