"""The digest of a day: of what was answered, not of how it was cut into blocks."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from calibration_pipeline.store.archive_format import ARCHIVE_SCHEMA, ContentDigest

ROW: dict[str, Any] = {
    "session_ordinal": 0,
    "candidate_ordinal": 0,
    "session_pseudonym": b"s" * 16,
    "candidate_pseudonym": b"c" * 16,
    "session_started_at": datetime(2026, 3, 1, tzinfo=UTC),
    "item_id": "i1",
    "content_version": 1,
    "score": 1,
    "answered_at": datetime(2026, 3, 1, 0, 1, tzinfo=UTC),
    "position": None,
    "time_on_task_ms": 900,
    "option_selected": None,
    "theta_at_presentation": 0.25,
    "population_group": "",
    "engine_version": "1.0",
    "outcome": "omitted",
}


def _table(*changes: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([ROW | change for change in changes], schema=ARCHIVE_SCHEMA)


def _digest(*blocks: pa.Table) -> str:
    digest = ContentDigest()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def test_blocks_do_not_matter() -> None:
    rows = _table({}, {"item_id": "i22", "option_selected": "B"}, {"item_id": "", "score": 0})
    whole = _digest(rows)
    assert whole == _digest(rows.slice(0, 1), rows.slice(1))
    assert whole == _digest(pa.concat_tables([rows.slice(0, 2), rows.slice(2)]))


def test_pseudonyms_do_not_matter() -> None:
    other = {"session_pseudonym": b"x" * 16, "candidate_pseudonym": b"y" * 16}
    assert _digest(_table({})) == _digest(_table(other))


@pytest.mark.parametrize(
    "change",
    [
        {"session_ordinal": 1},
        {"candidate_ordinal": 1},
        {"item_id": "i2"},
        {"content_version": 2},
        {"score": 0},
        {"answered_at": datetime(2026, 3, 1, 0, 2, tzinfo=UTC)},
        {"position": 0},
        {"time_on_task_ms": None},
        {"option_selected": ""},
        {"theta_at_presentation": None},
        {"population_group": None},
        {"outcome": "invalid"},
        {"outcome": None},
    ],
)
def test_everything_else_matters(change: dict[str, Any]) -> None:
    assert _digest(_table({})) != _digest(_table(change))


def test_a_day_without_outcomes_has_the_digest_it_had_before_there_were_any() -> None:
    rows = _table({"outcome": None}, {"outcome": None, "item_id": "i2"})
    assert _digest(rows) == "25859a2c57f87a79465ac411a4875f5072ce9dbd0e6301118650b79c1f73a9e7"


def test_an_outcome_in_a_later_block_counts_with_the_rows_before_it() -> None:
    rows = _table({"outcome": None}, {}, {"outcome": None})
    assert _digest(rows) == _digest(rows.slice(0, 1), rows.slice(1, 1), rows.slice(2))
    assert _digest(rows) != _digest(_table({}, {"outcome": None}, {"outcome": None}))


def test_where_one_text_ends_matters() -> None:
    left = _table({"item_id": "ab"}, {"item_id": "c"})
    right = _table({"item_id": "a"}, {"item_id": "bc"})
    assert _digest(left) != _digest(right)


def test_an_empty_day_has_a_digest() -> None:
    assert _digest() == _digest(_table())
