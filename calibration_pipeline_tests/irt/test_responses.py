import numpy as np
import pytest

from calibration_pipeline.irt.responses import MINIMUM_SHARD_RESPONSES, ResponseData


def answers(offsets, item, correct, n_items=3) -> ResponseData:
    return ResponseData(
        np.array(offsets, np.int64), np.array(item, np.int32), np.array(correct, np.uint8), n_items
    )


@pytest.mark.parametrize(
    ("offsets", "item", "correct", "message"),
    [
        ([0, 1], [0, 1], [1, 1], "session_offsets"),
        ([1, 2], [0, 1], [1, 1], "session_offsets"),
        ([0, 2], [0, 1], [1], "scores"),
        ([0, 2], [0, 3], [1, 1], "item numbers"),
        ([0, 2], [-1, 1], [1, 1], "item numbers"),
        ([0, 2], [0, 1], [1, 2], "0 or 1"),
    ],
)
def test_nonsense_is_refused(offsets, item, correct, message):
    with pytest.raises(ValueError, match=message):
        answers(offsets, item, correct)


def test_long_rows_become_sessions_whatever_their_order():
    person = np.array(["b", "a", "b", "a"])
    item, correct = np.array([1, 0, 0, 2]), np.array([1, 0, 1, 1])
    data = ResponseData.from_long(person, item, correct)
    shuffled = ResponseData.from_long(person[::-1], item[::-1], correct[::-1])
    assert data.session_offsets.tolist() == [0, 2, 4]
    assert data.item.tolist() == [0, 2, 0, 1]
    assert data.correct.tolist() == [0, 1, 1, 1]
    assert shuffled.item.tolist() == data.item.tolist()
    assert shuffled.correct.tolist() == data.correct.tolist()


def test_items_nobody_answered_are_counted_as_zero():
    assert answers([0, 2], [0, 0], [1, 0]).item_counts.tolist() == [2, 0, 0]


def test_table_rows_tell_item_and_score():
    assert answers([0, 2], [2, 1], [1, 0]).table_rows.tolist() == [5, 2]


def test_shards_cover_every_session_once_and_never_split_one():
    lengths = np.random.default_rng(0).integers(0, 2000, 500)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    zeros = np.zeros(offsets[-1], int)
    shards = answers(offsets, zeros, zeros).shard_sessions
    assert shards[0] == 0
    assert shards[-1] == 500
    assert (np.diff(shards) > 0).all()
    in_shard = np.diff(offsets[shards])
    assert in_shard.max() < MINIMUM_SHARD_RESPONSES + lengths.max()
    assert len(shards) > 5


def test_no_sessions_have_no_shards():
    assert answers([0], [], []).shard_sessions.tolist() == [0]
