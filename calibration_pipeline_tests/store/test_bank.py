"""Banks: stored whole or not at all, unchanged items again for free, decisions by date."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.anchors import read_anchor_set
from calibration_pipeline.store.bank import BankImport, import_bank, read_bank, record_decision

DAY = date(2026, 3, 1)
HEADER = "item_id,discrimination,difficulty,guessing"


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_bank_comes_back_in_canonical_order(engine: sa.Engine, bank_csv: Path) -> None:
    assert import_bank(engine, bank_csv, "3PL") == BankImport(4, 0, 1, 2, 1)
    bank = read_bank(engine, DAY)
    assert bank.keys == (("i1", 1), ("i10", 1), ("i2", 1), ("i3", 1))
    assert (bank.scale_names, bank.scale_models) == (("main",), ("3PL",))
    np.testing.assert_array_equal(
        bank.parameters, [[np.nan] * 3, [0.8, 1.5, 0.25], [1.25, -0.5, 0.2], [1.0, 0.25, 0.2]]
    )
    np.testing.assert_array_equal(bank.author_difficulty, [0.5, np.nan, -0.4, np.nan])
    assert bank.content_families == (None,) * 4
    assert not bank.is_retired.any()


def test_anchors_are_in_force_from_the_beginning(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    anchors = read_anchor_set(engine, date(1990, 1, 1))
    assert anchors.anchor_set_id == 1
    assert anchors.keys == (("i10", 1), ("i2", 1))
    np.testing.assert_array_equal(anchors.parameters, [[0.8, 1.5, 0.25], [1.25, -0.5, 0.2]])


def test_a_pool_without_anchors_has_the_empty_set(engine: sa.Engine) -> None:
    anchors = read_anchor_set(engine, DAY)
    assert (anchors.anchor_set_id, anchors.keys, anchors.parameters.shape) == (None, (), (0, 3))
    bank = read_bank(engine, DAY)
    assert (bank.n_items, bank.parameters.shape) == (0, (0, 3))


def test_importing_the_same_bank_again_does_nothing(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    before = read_bank(engine, DAY).digest, read_anchor_set(engine, DAY)
    assert import_bank(engine, bank_csv, "3PL") == BankImport(0, 4, 0, 0, 1)
    after = read_bank(engine, DAY).digest, read_anchor_set(engine, DAY)
    assert before[0] == after[0]
    assert before[1].digest == after[1].digest


def test_parquet_and_csv_give_the_same_bank(
    engine: sa.Engine, bank_csv: Path, tmp_path: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    table = pa.csv.read_csv(bank_csv)
    pa.parquet.write_table(table, tmp_path / "bank.parquet")
    assert import_bank(engine, tmp_path / "bank.parquet", "3PL").items_unchanged == 4


def test_every_optional_column_is_stored(engine: sa.Engine, tmp_path: Path) -> None:
    path = _write(
        tmp_path / "bank.csv",
        f"{HEADER},content_version,scale,author_difficulty,content_family,option_count\n"
        "x,1,0,0.2,3,algebra,0.5,clones,4\n",
    )
    import_bank(engine, path, "2PL")
    bank = read_bank(engine, DAY)
    assert bank.keys == (("x", 3),)
    assert bank.scale_names == ("algebra",)
    assert bank.content_families == ("clones",)
    assert bank.option_counts.tolist() == [4]


def test_an_edited_item_needs_a_new_version(
    engine: sa.Engine, bank_csv: Path, tmp_path: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    edited = _write(tmp_path / "edited.csv", f"{HEADER}\nnew,1,1,0.1\ni3,1.0,0.75,0.2\n")
    with pytest.raises(BadInputError, match=r"'i3'.*difficulty 0.25.*0.75.*content_version"):
        import_bank(engine, edited, "3PL")
    assert read_bank(engine, DAY).n_items == 4
    edited.write_text(f"{HEADER},content_version\ni3,1.0,0.75,0.2,2\n")
    assert import_bank(engine, edited, "3PL").items_added == 1
    assert ("i3", 2) in read_bank(engine, DAY).keys


def test_another_model_for_a_scale_is_refused(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    with pytest.raises(BadInputError, match="'main' is calibrated with the 3PL model, not Rasch"):
        import_bank(engine, bank_csv, "Rasch")


def test_imported_anchors_stay_as_they_are(
    engine: sa.Engine, bank_csv: Path, tmp_path: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    path = _write(tmp_path / "more.csv", f"{HEADER},is_anchor\nnew,1,1,0.1,true\n")
    with pytest.raises(BadInputError, match="'new' would change the anchors of the scale 'main'"):
        import_bank(engine, path, "3PL")
    assert read_bank(engine, DAY).n_items == 4


def test_a_second_scale_brings_its_own_anchors(
    engine: sa.Engine, bank_csv: Path, tmp_path: Path
) -> None:
    import_bank(engine, bank_csv, "3PL")
    path = _write(tmp_path / "more.csv", f"{HEADER},is_anchor,scale\nr,,1,,true,reading\n")
    assert import_bank(engine, path, "Rasch").anchors_added == 1
    anchors = read_anchor_set(engine, DAY)
    assert anchors.keys == (("i10", 1), ("i2", 1), ("r", 1))
    assert anchors.parameters[2].tolist() == [1.0, 1.0, 0.0]


def test_decisions_hold_from_their_day_on(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    for decision, day in (("retire", date(2026, 3, 5)), ("reopen", date(2026, 3, 8))):
        record_decision(
            engine, ("i1", 1), decision, effective_from=day, reason="leak", decided_by="me"
        )
    retired = [read_bank(engine, date(2026, 3, day)).is_retired[0] for day in (4, 5, 7, 8)]
    assert retired == [False, True, True, False]
    assert read_bank(engine, date(2026, 3, 4)).digest != read_bank(engine, date(2026, 3, 5)).digest


def test_a_decision_about_nothing_is_refused(engine: sa.Engine, bank_csv: Path) -> None:
    import_bank(engine, bank_csv, "3PL")
    about = {"effective_from": DAY, "reason": "", "decided_by": "me"}
    with pytest.raises(BadInputError, match="no item 'i9'"):
        record_decision(engine, ("i9", 1), "retire", **about)
    with pytest.raises(BadInputError, match="no decision 'burn'"):
        record_decision(engine, ("i1", 1), "burn", **about)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_id,difficulty,guessing\na,1,0\n", "lacks the column discrimination"),
        (f"{HEADER}\n", "has no items"),
        (f"{HEADER}\na,1,1,0\nb,1,1,0\na,1,1,0\n", "has item 'a'.*more than once"),
        (f"{HEADER}\na,1,1,0\n,1,1,0\n", "row 2.*item_id must not be blank"),
        (f"{HEADER}\na,0,1,0\n", "row 1 .item 'a'.: discrimination must be above 0, found '0'"),
        (f"{HEADER}\na,1,1,1\n", "guessing must be at least 0 and below 1"),
        (f"{HEADER}\na,1,1,-0.1\n", "guessing must be at least 0"),
        (f"{HEADER}\na,1,inf,0\n", "difficulty must be a finite number"),
        (f"{HEADER}\na,1,hard,0\n", "difficulty must be a number, found 'hard'"),
        (f"{HEADER},is_anchor\na,1,,0,true\n", "anchor 'a' lacks a reference value"),
        (f"{HEADER},is_anchor\na,1,1,0,maybe\n", "is_anchor must be true or false"),
        (f"{HEADER},option_count\na,1,1,0,2.5\n", "option_count must be a whole number"),
        (f"{HEADER}\na,1,1\n", "can't be read"),
        (f"{HEADER},guessing\na,1,1,0,0\n", "names a column twice"),
        ("", "can't be read"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    untouched_engine: sa.Engine, tmp_path: Path, text: str, message: str
) -> None:
    path = _write(tmp_path / "bank.csv", text)
    with pytest.raises(BadInputError, match=message) as caught:
        import_bank(untouched_engine, path, "3PL")
    assert "\n" not in str(caught.value)
    assert read_bank(untouched_engine, DAY).n_items == 0


def test_unreadable_files_are_refused(untouched_engine: sa.Engine, tmp_path: Path) -> None:
    garbage = tmp_path / "bank.parquet"
    garbage.write_bytes(b"not parquet")
    for path in (tmp_path / "missing.csv", garbage, tmp_path):
        complaint = "can't be read" if path.exists() else "missing.csv doesn't exist"
        with pytest.raises(BadInputError, match=complaint):
            import_bank(untouched_engine, path, "3PL")


def test_an_unknown_model_is_refused(untouched_engine: sa.Engine, bank_csv: Path) -> None:
    with pytest.raises(BadInputError, match=r"no model '4PL'.*Rasch, 1PL, 2PL, 3PL"):
        import_bank(untouched_engine, bank_csv, "4PL")
