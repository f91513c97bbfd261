"""`calibrate simulate`: files that can be imported, the same ones every time."""

import csv
import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest

from calibration_pipeline.interfaces.cli.simulate import newest_complete_day
from calibration_pipeline.settings import load_settings
from calibration_pipeline_tests.interfaces.conftest import Calibrate

SMALL = ("--items", 60, "--anchors", 12, "--days", 2, "--sessions-per-day", 20, "--answers", 8)
DATED = (*SMALL, "--last-day", "2026-03-02")


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_what_is_simulated_can_be_imported(on_database: Calibrate, tmp_path: Path) -> None:
    out = tmp_path / "simulated"
    result = on_database("simulate", "--out", out, *DATED, "--json")
    facts = json.loads(result.stdout)
    assert (facts["items"], facts["anchors"], facts["answers"]) == (60, 12, 320)
    assert (facts["first_day"], facts["last_day"]) == ("2026-03-01", "2026-03-02")
    bank = json.loads(on_database("import-bank", facts["bank"], "--json").stdout)
    assert (bank["items_added"], bank["anchors_added"]) == (60, 12)
    answers = json.loads(on_database("import-responses", facts["responses"], "--json").stdout)
    assert (answers["responses_added"], answers["sessions_in_file"]) == (320, 40)
    with Path(facts["truth"]).open(newline="") as file:
        truth = list(csv.DictReader(file))
    assert list(truth[0]) == ["item_id", "discrimination", "difficulty", "guessing"]
    assert all(row["difficulty"] for row in truth)


@pytest.mark.parametrize("model", ["Rasch", "2PL"])
def test_other_models_can_be_imported_too(
    on_database: Calibrate, tmp_path: Path, model: str
) -> None:
    out = tmp_path / model
    shown = on_database("simulate", "--out", out, *DATED, "--model", model)
    assert f"calibrate import-bank {out / 'bank.csv'} --model {model}" in shown.stderr
    assert on_database("import-bank", out / "bank.csv", "--model", model).exit_code == 0
    assert on_database("import-responses", out / "responses.parquet").exit_code == 0


def test_the_same_options_give_the_same_files(calibrate: Calibrate, tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    for out, seed in ((one, 5), (same, 5), (other, 6)):
        assert calibrate("simulate", "--out", out, *DATED, "--seed", seed).exit_code == 0
    assert digests(one) == digests(same)
    assert digests(one)["responses.parquet"] != digests(other)["responses.parquet"]


def test_a_full_folder_is_left_alone_unless_forced(calibrate: Calibrate, tmp_path: Path) -> None:
    out = tmp_path / "simulated"
    calibrate("simulate", "--out", out, *DATED)
    before = digests(out)
    refused = calibrate("simulate", "--out", out, *DATED, "--seed", 1)
    assert refused.exit_code == 2
    assert "is not empty" in refused.stderr
    assert digests(out) == before
    assert calibrate("simulate", "--out", out, *DATED, "--seed", 1, "--force").exit_code == 0
    assert digests(out).keys() == before.keys()
    assert digests(out) != before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--answers", 100), "needs as many items"),
        (("--anchors", 61), "don't fit"),
        (("--last-day", "2999-01-01"), "is not over yet"),
    ],
)
def test_what_cannot_be_simulated_ends_in_one_line(
    calibrate: Calibrate, tmp_path: Path, options: tuple[object, ...], expected: str
) -> None:
    result = calibrate("simulate", "--out", tmp_path / "out", *SMALL, *options)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert not (tmp_path / "out").exists()


def test_the_last_day_is_one_whose_night_is_due(no_settings: None) -> None:
    settings = load_settings()
    for minute, expected in (("02:59", "2026-03-08"), ("03:00", "2026-03-09")):
        now = datetime.fromisoformat(f"2026-03-10T{minute}Z")  # an hour later in Zurich
        assert newest_complete_day(settings, now).isoformat() == expected
