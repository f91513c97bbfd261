"""Tables on terminals that are too narrow for them."""

import io

from rich.console import Console

from calibration_pipeline.interfaces.cli.narrow import fits, fits_compact, is_code, print_records

HEADINGS = ["Item", "Flag", "What"]
ROW = ["item-0815", "carried_contradicted", "later answers make it 0.40 harder"]


def test_a_table_fits_where_no_word_is_broken_and_prose_has_room():
    least = len("item-0815") + len("carried_contradicted") + 20 + 3 * 3 + 1
    assert fits([HEADINGS, ROW], least)
    assert not fits([HEADINGS, ROW], least - 1)


def test_ids_and_dates_are_not_to_be_broken_and_prose_is():
    assert is_code("Last seen", ["2026-11-20"])
    assert not is_code("Responses in window", ["1,800"])
    assert not is_code("What", [ROW[2]])


def test_every_row_is_a_block_whose_words_are_whole_and_what_is_empty_is_left_out():
    out = io.StringIO()
    print_records(Console(file=out, width=30), HEADINGS, [ROW, ["i2", "", "fine"]], title="Flags")
    text = out.getvalue()
    assert text.startswith("Flags\n")
    assert "Flag  carried_contradicted" in text
    assert text.count("Flag ") == 1
    assert max(map(len, text.splitlines())) <= 30


def test_a_table_goes_without_frames_only_where_every_cell_has_its_line():
    least = len("item-0815") + len("carried_contradicted") + len(ROW[2]) + 2
    assert fits_compact([HEADINGS, ROW], least)
    assert not fits_compact([HEADINGS, ROW], least - 1)
