"""A table of answers and a bank, joined."""

import numpy as np
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.fit_inputs import with_bank, without_bank
from calibration_pipeline.store.response_table import read_response_table

COLUMNS = "item_id,discrimination,difficulty,guessing,scale,is_anchor,author_difficulty"
ANSWERS = "person_id,item_id,correct\na,i1,1\na,i2,0\nb,i3,1\nb,i2,1\nc,i3,0\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "r.csv").write_text(ANSWERS)
    return read_response_table(tmp_path / "r.csv")


@pytest.fixture
def bank(tmp_path):
    def write(*rows: str, columns: str = COLUMNS):
        (tmp_path / "bank.csv").write_text("\n".join([columns, *rows]) + "\n")
        return tmp_path / "bank.csv"

    return write


def test_without_a_bank_nothing_is_known(table):
    inputs = without_bank(table, "2PL")
    assert [key[0] for key in inputs.bank.keys] == ["i1", "i2", "i3"]
    assert np.isnan(inputs.bank.parameters).all()
    assert not inputs.is_anchor.any()


def test_the_banks_items_stand_first_and_answers_follow_their_items(table, bank):
    path = bank("i9,,,,main,,0.7", "i3,1.2,0.5,,main,true,", "i1,0.8,,,main,,")
    inputs = with_bank(table, path, "2PL")
    assert inputs.table.item_ids == ("i9", "i3", "i1", "i2")
    assert inputs.table.data.item_counts.tolist() == [0, 2, 1, 2]
    assert inputs.unknown_items == 1
    assert inputs.is_anchor.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(inputs.bank.parameters[1], [1.2, 0.5, 0.0])
    np.testing.assert_array_equal(inputs.bank.parameters[2], [0.8, np.nan, np.nan])
    assert inputs.bank.author_difficulty[0] == 0.7


def test_a_scale_is_fitted_by_itself(table, bank):
    path = bank("i1,,,,main,,", "i3,,,,reading,,")
    main = with_bank(table, path, "2PL", "main")
    assert (main.table.item_ids, main.answers_left_out) == (("i1", "i2"), 2)
    assert main.table.person_ids.to_pylist() == ["a", "b"]
    reading = with_bank(table, path, "2PL", "reading")
    assert (reading.table.item_ids, reading.unknown_items) == (("i3",), 0)
    assert reading.table.person_ids.to_pylist() == ["b", "c"]
    assert reading.table.data.session_offsets.tolist() == [0, 1, 2]


def test_sessions_keep_their_names(tmp_path, bank):
    (tmp_path / "s.csv").write_text("person_id,session_id,item_id,correct\na,x,i1,1\na,y,i3,0\n")
    path = bank("i1,,,,main,,", "i3,,,,reading,,")
    kept = with_bank(read_response_table(tmp_path / "s.csv"), path, "2PL", "reading").table
    assert kept.session_ids is not None
    assert kept.session_ids.to_pylist() == ["y"]


@pytest.mark.parametrize(
    ("rows", "scale", "expected"),
    [
        (["i1,,,,main,,", "i3,,,,reading,,"], None, "has 2 scales (main, reading)"),
        (["i1,,,,main,,"], "maths", "has no scale 'maths'"),
        (["i7,,,,maths,,", "i1,,,,main,,"], "maths", "no answer is to an item of the scale"),
        (["i1,,0.3,,main,true,"], None, "the anchor 'i1' lacks a reference value"),
    ],
)
def test_what_cannot_be_joined_is_refused(table, bank, rows, scale, expected):
    with pytest.raises(BadInputError) as refused:
        with_bank(table, bank(*rows), "2PL", scale)
    assert expected in str(refused.value)


def test_versions_of_an_item_are_refused(table, bank):
    columns = "item_id,discrimination,difficulty,guessing,content_version"
    path = bank("i1,,,,1", "i1,,,,2", columns=columns)
    with pytest.raises(BadInputError, match="2 versions of item 'i1'"):
        with_bank(table, path, "2PL")
