"""Texts of the response log: their codes from block to block, and the keys they are found by."""

from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from numba import njit, uint64

from calibration_pipeline.store.bank import import_bank
from calibration_pipeline.store.sources.base import ROW_REASONS
from calibration_pipeline.store.sources.native import NativeView
from calibration_pipeline.store.sources.native_memory import Workspace
from calibration_pipeline.store.sources.native_texts import _key
from calibration_pipeline_tests.store.answers import DAY, log, session


@njit
def _keys_of(buffer, offsets):
    keys = np.empty(len(offsets) - 1, np.uint64)
    begin = uint64(buffer.ctypes.data)
    for n in range(len(keys)):
        length = np.int64(offsets[n + 1]) - np.int64(offsets[n])
        keys[n] = _key(begin + uint64(offsets[n]), length, begin + uint64(len(buffer)))
    return keys


def keys_of(texts: list[str]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Give the keys by which the texts are looked up."""
    _, offsets, content = pa.array(texts).buffers()
    keys: np.ndarray[tuple[int], np.dtype[np.uint64]] = _keys_of(
        np.frombuffer(content, np.uint8), np.frombuffer(offsets, np.int32)[: len(texts) + 1]
    )
    return keys


@pytest.mark.parametrize("pattern", ["{:05d}", "item-{:05d}", "a-longer-name-of-{:07d}", "{}-item"])
def test_ids_that_differ_in_a_number_are_spread_over_the_slots(pattern: str) -> None:
    """By chance, a seventh of ten thousand would share a slot of 32,768 with an earlier one."""
    keys = keys_of([pattern.format(number) for number in range(10_000)])
    assert len(np.unique(keys)) == 10_000
    assert len(np.unique(keys & np.uint64(2**15 - 1))) > 8_000


def test_items_of_later_blocks_are_told_apart_and_looked_up(
    engine: sa.Engine, bank_csv: Path
) -> None:
    """The bank's items keep their codes; those that are always new are more than a block's rows."""
    import_bank(engine, bank_csv, "3PL")
    names = []
    for hour in range(20):
        items = ["i1", f"new-{hour}", "i10", f"{hour}", f"another-{hour:012d}"]
        start = f"2026-03-10T{hour:02d}:00:00+00:00"
        log(engine, session(f"s{hour:02d}", start, " ".join(items)))
        names += items
    with engine.connect() as connection:
        blocks = list(NativeView(connection, ZoneInfo("UTC")).stream_day(DAY, slice_rows=5))
    assert len(blocks) > 10
    found = pa.concat_tables(block.select(["item_id", "reason"]) for block in blocks)
    assert found["item_id"].cast(pa.string()).to_pylist() == names
    unknown = ROW_REASONS.index("unknown_item") + 1
    assert found["reason"].to_pylist() == [0, unknown, 0, unknown, unknown] * 20


def test_texts_that_last_do_so_until_they_are_more_than_a_block_has_rows() -> None:
    workspace = Workspace(2, lasting=[1])
    _, dictionaries = workspace.for_block(8, 100)  # there is room for ten rows
    assert dictionaries.keys.shape == (2, 20)
    for count, kept in ((10, 10), (11, 0)):
        dictionaries.counts[:] = count
        dictionaries.offsets[:, 1:] = 1
        first = workspace.texts(1)
        workspace.for_block(8, 100)
        assert dictionaries.counts.tolist() == [0, kept]
        assert (workspace.texts(1) is first) == bool(kept)
