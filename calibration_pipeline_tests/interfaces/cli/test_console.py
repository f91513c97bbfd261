"""Tables and JSON."""

import json
from datetime import UTC, date, datetime

import numpy as np
import pytest

from calibration_pipeline.interfaces.cli import console
from calibration_pipeline.interfaces.cli.console import print_json, print_table

ROWS = [
    {"item": "[red]A1", "difficulty": 0.12345, "count": 1200, "is_anchor": True, "note": "x" * 150},
    {"item": "B2", "difficulty": float("nan"), "count": None, "is_anchor": False},
]
COLUMNS = {"item": "Item", "difficulty": "b", "count": "Answers", "is_anchor": "Anchor", "note": ""}


def test_a_table_shows_each_kind_of_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, COLUMNS, title="Items")
    printed = capsys.readouterr().out
    for text in ("Items", "Answers", "[red]A1", "0.123", "1,200", "yes", "no", "–"):
        assert text in printed


def test_a_table_is_not_folded_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, COLUMNS)
    assert "x" * 150 in capsys.readouterr().out


def test_json_holds_every_key_in_full_precision(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, {"item": "Item"}, as_json=True)
    first, second = json.loads(capsys.readouterr().out)
    assert first["difficulty"] == 0.12345
    assert second["difficulty"] is None


def test_no_rows_are_a_remark_and_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], COLUMNS, empty="No items yet.")
    assert capsys.readouterr() == ("", "No items yet.\n")
    print_table([], COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_json_takes_dates_and_numpy_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        {
            "day": date(2026, 3, 1),
            "at": datetime(2026, 3, 1, 4, tzinfo=UTC),
            "scalar": np.float64(np.inf),
            "array": np.array([[1, 2]]),
            "flag": np.bool_(True),
            "pair": (1, None),
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "day": "2026-03-01",
        "at": "2026-03-01T04:00:00+00:00",
        "scalar": None,
        "array": [[1, 2]],
        "flag": True,
        "pair": [1, None],
    }


@pytest.mark.parametrize(
    ("width", "has_frames", "lines"), [(30, True, 5), (20, False, 2), (15, False, 3)]
)
def test_frames_go_first_and_columns_last(
    width: int,
    has_frames: bool,
    lines: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "output_width", lambda: width)
    print_table([{"a": "item-0815", "b": "x", "c": 3}], {"a": "Item", "b": "Flag", "c": "z"})
    printed = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ("┃" in printed[1]) == has_frames
    assert len(printed) == lines
    assert max(map(len, printed)) <= width
