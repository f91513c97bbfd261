"""Tables of answers: read, numbered, and refused in one line."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.response_table import ResponseTable, read_response_table

ROWS = [("7", "i10", 1), ("12", "i2", 0), ("7", "i2", 1), ("12", "i10", 0), ("12", "i1", 1)]


def write(folder: Path, rows, header: str = "person_id,item_id,correct", name="r.csv") -> Path:
    path = folder / name
    lines = [",".join(str(cell) for cell in row) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def answers(table: ResponseTable) -> set[tuple[object, ...]]:
    """Every answer again, as (person, session, item, correct)."""
    session = np.repeat(np.arange(table.data.n_sessions), np.diff(table.data.session_offsets))
    names = table.session_ids or pa.nulls(table.data.n_sessions)
    return {
        (table.person_ids[s].as_py(), names[s].as_py(), table.item_ids[j], int(x))
        for s, j, x in zip(
            session.tolist(), table.data.item.tolist(), table.data.correct.tolist(), strict=True
        )
    }


def test_every_answer_is_read_and_short_ids_stand_first(tmp_path):
    table = read_response_table(write(tmp_path, ROWS))
    assert table.item_ids == ("i1", "i2", "i10")
    assert table.person_ids.to_pylist() == ["7", "12"]
    assert (table.n_persons, table.session_ids) == (2, None)
    assert answers(table) == {(person, None, item, x) for person, item, x in ROWS}


def test_a_session_is_a_persons(tmp_path):
    rows = [("a", "s1", "i1", 1), ("a", "s2", "i1", 0), ("b", "s1", "i1", 1)]
    table = read_response_table(write(tmp_path, rows, "person_id,session_id,item_id,correct"))
    assert (table.data.n_sessions, table.n_persons) == (3, 2)
    assert answers(table) == set(rows)


@given(order=st.permutations(range(len(ROWS))))
def test_the_order_of_rows_does_not_matter(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("rows")
    one = read_response_table(write(folder, ROWS))
    other = read_response_table(write(folder, [ROWS[i] for i in order], name="other.csv"))
    assert one.item_ids == other.item_ids
    assert one.person_ids.equals(other.person_ids)
    for field in ("session_offsets", "item", "correct"):
        np.testing.assert_array_equal(getattr(one.data, field), getattr(other.data, field))


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_(), pa.string()], ids=str)
def test_parquet_is_read_whatever_its_types(tmp_path, kind):
    person, item, correct = (list(column) for column in zip(*ROWS, strict=True))
    scores = [str(x) for x in correct] if kind == pa.string() else pa.array(correct).cast(kind)
    columns = {"candidate_id": [int(p) for p in person], "item_id": item, "is_correct": scores}
    pa.parquet.write_table(pa.table({**columns, "more": [None] * 5}), tmp_path / "r.parquet")
    from_parquet = read_response_table(tmp_path / "r.parquet")
    assert answers(from_parquet) == answers(read_response_table(write(tmp_path, ROWS)))


def test_many_blocks_of_a_file_share_their_numbers(tmp_path):
    generator = np.random.default_rng(0)
    persons, items = 3_000, 60
    rows = [(f"person-{p:06d}", f"item-{i:04d}", x) for p in range(persons)
            for i, x in enumerate(generator.integers(0, 2, items))]  # fmt: skip
    path = write(tmp_path, rows)
    assert path.stat().st_size > 3 * 2**20
    table = read_response_table(path)
    assert (table.n_persons, len(table.item_ids)) == (persons, items)
    assert (table.data.item.reshape(persons, items) == np.arange(items)).all()
    assert table.data.correct.tolist() == [x for _, _, x in rows]


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        ([], "person_id,item_id,correct", "has no answers"),
        (ROWS, "person_id,question,correct", "lacks the column item_id"),
        ([(*r, 1) for r in ROWS], "person_id,item_id,correct,is_correct", "column correct twice"),
        ([("a", "i", 1), ("a", "j", 2)], None, "row 2: correct is neither 0 nor 1 (1 such rows)"),
        ([("a", "i", 1), ("a", "j", "")], None, "row 2: correct is neither 0 nor 1"),
        ([("a", "i", 1), ("", "j", 0)], None, "row 2: person_id is blank"),
        ([("a", "", 1)], None, "row 1: item_id is blank"),
        ([("a", "i", 1), ("b", "i", 1), ("a", "i", 0)], None, "row 3: this person has answered"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, rows, header, expected):
    path = write(tmp_path, rows, header or "person_id,item_id,correct")
    with pytest.raises(BadInputError) as refused:
        read_response_table(path)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_row_that_cannot_be_parsed_names_nobody(tmp_path):
    path = write(tmp_path, [("secret-person", "i", 1, "too", "many")])
    with pytest.raises(BadInputError, match="can't be read") as refused:
        read_response_table(path)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="doesn't exist"):
        read_response_table(tmp_path / "none.csv")
