"""The scratch folder: what a killed process leaves goes, what somebody works on stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

from calibration_pipeline.store.sources.scratch import scratch_database
from calibration_pipeline.store.sources.scratch_folder import private_place, remove_leftovers

_WORK_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from calibration_pipeline.store.sources.scratch_folder import private_place

with private_place(Path(sys.argv[1])) as place:
    (place / "rows.duckdb").write_text("of people")
    print("working", flush=True)
    time.sleep(600)
"""


def left_by_a_killed_process(folder: Path) -> Path:
    """A place whose owner was killed a moment ago."""
    command = [sys.executable, "-c", _WORK_UNTIL_KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
            (place,) = folder.iterdir()
            assert remove_leftovers(folder) == 0  # it is being worked on
        finally:
            process.kill()
    assert (place / "rows.duckdb").exists()
    return place


def test_what_a_killed_process_has_left_is_removed_at_once(tmp_path: Path) -> None:
    left = left_by_a_killed_process(tmp_path)
    with private_place(tmp_path) as mine:
        assert remove_leftovers(tmp_path) == 1
        assert mine.exists()
    assert not left.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_next_day_under_way_removes_it(tmp_path: Path) -> None:
    left = left_by_a_killed_process(tmp_path)
    with scratch_database(tmp_path):
        assert not left.exists()


def test_what_has_no_lock_is_removed_once_nobody_can_be_about_to_take_one(tmp_path: Path) -> None:
    left = tmp_path / "day-of-an-earlier-version"
    left.mkdir()
    (left / "rows.duckdb").write_text("of people")
    assert remove_leftovers(tmp_path) == 0
    long_ago = time.time() - 120
    os.utime(left, (long_ago, long_ago))
    assert remove_leftovers(tmp_path) == 1
    assert not left.exists()


def test_there_need_not_be_a_folder(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "none") == 0
