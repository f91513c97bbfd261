"""Blocks are made ahead of their use, in order, and everything ends with their user."""

import threading
from collections.abc import Generator
from contextlib import closing

import pytest

from calibration_pipeline.store.read_ahead import reading_ahead


def _numbers(made: list[int], fail_at: int | None = None) -> Generator[int, None, None]:
    try:
        for number in range(10):
            if number == fail_at:
                raise ValueError(number)
            made.append(number)
            yield number
    finally:
        made.append(-1)


def test_blocks_come_in_order_and_the_stream_is_closed() -> None:
    made: list[int] = []
    assert list(reading_ahead(_numbers(made), lambda: None)) == list(range(10))
    assert made[-1] == -1


def test_what_the_stream_raises_is_raised_after_the_blocks_before_it() -> None:
    blocks = reading_ahead(_numbers([], fail_at=3), lambda: None)
    assert [next(blocks) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(blocks)


def test_a_user_who_stops_early_ends_the_thread() -> None:
    made: list[int] = []
    interrupted = threading.Event()
    before = threading.active_count()
    with closing(reading_ahead(_numbers(made), interrupted.set)) as blocks:
        assert next(blocks) == 0
    assert threading.active_count() == before
    assert len(made) <= 5
    assert made[-1] == -1
    assert interrupted.is_set()
