"""The files of a simulated programme: complete, private, all or none."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.simulated_files import RESPONSE_SCHEMA, write_simulated_files

BANK: dict[str, list[object]] = {
    "item_id": ["a", "b"],
    "difficulty": [0.1 + 0.2, None],
    "is_anchor": ["true", "false"],
}
TRUTH: dict[str, list[object]] = {"item_id": ["a", "b"], "difficulty": [0.1, 0.2]}
NAMES = {"bank.csv", "responses.parquet", "truth.csv"}


def a_day(first: int) -> dict[str, Any]:
    moments = np.array([f"2026-03-0{first}T23:59:00.123", f"2026-03-0{first}T23:59:30"], "M8[ms]")
    return {
        "session_id": np.array([f"s{first}"] * 2, object),
        "candidate_id": np.array(["c"] * 2, object),
        "item_id": np.array(["a", "b"], object),
        "is_correct": np.array([1, 0], np.uint8),
        "answered_at": moments,
        "session_started_at": moments[[0, 0]],
        "position": np.array([1, 2], np.int32),
        "time_on_task_ms": np.array([1000, 2000], np.int32),
        "theta_at_presentation": np.array([0.0, 1 / 3]),
    }


def failing_days() -> Iterator[dict[str, Any]]:
    yield a_day(1)
    raise RuntimeError("the simulation broke")


def test_three_private_files_hold_what_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "simulated"
    files = write_simulated_files(folder, BANK, TRUTH, [a_day(1), a_day(2)])
    assert {path.name for path in folder.iterdir()} == NAMES
    assert (files.item_count, files.response_count) == (2, 4)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    with files.bank.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["difficulty"]) == 0.1 + 0.2
    assert second["difficulty"] == ""
    table = pyarrow.parquet.read_table(files.responses)
    assert table.schema.equals(RESPONSE_SCHEMA)
    assert table["theta_at_presentation"].to_pylist() == [0.0, 1 / 3] * 2
    first_answer = table["answered_at"][0].as_py()
    assert first_answer.isoformat() == "2026-03-01T23:59:00.123000+00:00"


def test_groups_are_written_where_there_are_some(tmp_path: Path) -> None:
    days = [{**a_day(n), "population_group": np.array(["north"] * 2, object)} for n in (1, 2)]
    files = write_simulated_files(tmp_path / "simulated", BANK, TRUTH, days)
    table = pyarrow.parquet.read_table(files.responses)
    assert table["population_group"].to_pylist() == ["north"] * 4
    assert table.schema.names[:-1] == RESPONSE_SCHEMA.names


def test_no_days_give_a_log_without_answers(tmp_path: Path) -> None:
    files = write_simulated_files(tmp_path / "simulated", BANK, TRUTH, [])
    assert files.response_count == 0
    assert pyarrow.parquet.read_table(files.responses).schema.equals(RESPONSE_SCHEMA)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(BadInputError, match=r"is not empty.*--force"):
        write_simulated_files(tmp_path, BANK, TRUTH, [a_day(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    write_simulated_files(tmp_path, BANK, TRUTH, [a_day(1)], replace=True)
    assert {path.name for path in tmp_path.iterdir()} == NAMES | {"mine.txt"}


def test_a_simulation_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "simulated"
    with pytest.raises(RuntimeError, match="broke"):
        write_simulated_files(folder, BANK, TRUTH, failing_days())
    assert not folder.exists()


def test_a_simulation_that_breaks_leaves_the_old_files(tmp_path: Path) -> None:
    files = write_simulated_files(tmp_path, BANK, TRUTH, [a_day(1)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError, match="broke"):
        write_simulated_files(tmp_path, BANK, BANK, failing_days(), replace=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert files.truth.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(BadInputError, match="choose another"):
        write_simulated_files(blocked / "simulated", BANK, TRUTH, [a_day(1)])
