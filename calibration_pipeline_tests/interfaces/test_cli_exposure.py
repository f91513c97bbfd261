"""`calibrate exposure`: refused, reached or not; on a file, and stored with a published version."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from calibration_pipeline.interfaces.cli.operator import operator_name
from calibration_pipeline.store import states
from calibration_pipeline.store.bank import import_bank, record_decision
from calibration_pipeline.store.exposure import read_exposure
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.reference_data import reference_file
from calibration_pipeline_tests.simulated import draw_items
from calibration_pipeline_tests.store.examples import NIGHT, snapshot_items, state
from calibration_pipeline_tests.store.publishing import published

SMALL = ("--candidates", 200, "--verifying-candidates", 4000, "--tolerance", 0.15, "--top", 1)
PARAMETERS = ["discrimination", "difficulty", "guessing"]


def write_items(path: Path, parameters: np.ndarray) -> Path:
    table = pd.DataFrame(parameters, columns=PARAMETERS)
    table.insert(0, "item_id", [f"i{row}" for row in range(len(table))])
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def items(tmp_path: Path) -> Path:
    return write_items(tmp_path / "items.csv", draw_items(40, np.random.default_rng(3)))


@pytest.fixture
def catr(tmp_path: Path) -> Path:
    """The 85 items of catR's TCALS bank."""
    table = pd.read_csv(reference_file("catR_tcals_bank.csv"))
    return write_items(tmp_path / "tcals.csv", table[["a", "b", "c"]].to_numpy())


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_unreachable_maximum_is_refused_with_the_arithmetic(
    calibrate: Calibrate, catr: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    options = ("--items", catr, "--max-rate", 0.2, "--answers", 30)
    outputs = ("--out", tmp_path / "exposure.csv", "--plot", tmp_path / "plot.svg")
    result = calibrate("exposure", *options, *outputs)
    assert result.exit_code == 2
    assert "30/85 = 0.353, above the maximum of 0.2: allow a higher --max-rate" in result.stderr
    assert result.stdout == ""
    assert files(tmp_path) == before


def test_ten_of_the_same_items_are_reached(calibrate: Calibrate, catr: Path) -> None:
    options = ("--items", catr, "--max-rate", 0.2, "--answers", 10, "--top", 1)
    sizes = ("--candidates", 1000, "--verifying-candidates", 20_000)
    result = calibrate("exposure", *options, *sizes, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["worst_rate"] <= 0.205 < found["worst_rate_without"] == 1.0
    assert found["is_reached"]
    assert found["precision_lost"] > 0.1
    assert found["items"] == 85


def test_the_files_are_whole_and_for_their_owner_alone(
    calibrate: Calibrate, items: Path, tmp_path: Path
) -> None:
    out, plot = tmp_path / "exposure.csv", tmp_path / "plot.svg"
    options = ("--items", items, "--answers", 6, "--max-rate", 0.3, "--cut", 0.5, "--cut", -0.5)
    outputs = ("--out", out, "--plot", plot)
    result = calibrate("exposure", *options, *SMALL, "--tolerance", 0.6, *outputs, "--json")
    assert result.exit_code == 0, result.stderr
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["item_id"], row["content_version"], row["level"]) for row in rows] == [
        (f"i{j}", "1", str(level)) for level in range(3) for j in range(40)
    ]
    for level in range(3):
        rates = [float(row["rate"]) for row in rows if row["level"] == str(level)]
        assert sum(rates) == pytest.approx(6.0, abs=1e-3)
    found = json.loads(result.stdout)
    assert max(float(row["rate"]) for row in rows) == pytest.approx(found["worst_rate"], rel=1e-5)
    assert found["stored_as_attempt"] is None
    dots = list(ElementTree.parse(plot).iter("{http://www.w3.org/2000/svg}circle"))  # noqa: S314
    assert len(dots) == 5  # .15 to 1: 6 of 40 items can't stay below .1
    assert [oct(path.stat().st_mode & 0o777) for path in (out, plot)] == ["0o600"] * 2
    again = calibrate("exposure", *options, "--out", out)
    assert (again.exit_code, "add --force" in again.stderr) == (2, True)


def test_a_maximum_that_is_not_reached_ends_with_1_and_writes_nothing(
    calibrate: Calibrate, items: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    hetter = ("--method", "sympson-hetter", "--iterations", 1, "--tolerance", 0.01)
    options = ("--items", items, "--answers", 6, "--max-rate", 0.2, *SMALL, *hetter)
    result = calibrate("exposure", *options, "--out", tmp_path / "o.csv", "--json")
    assert result.exit_code == 1
    assert "not 0.2: the search stopped too early, the pool could do it" in result.stderr
    assert "nothing was written" in result.stderr
    assert json.loads(result.stdout)["is_reached"] is False
    assert files(tmp_path) == before


def test_the_settings_are_the_defaults(
    calibrate: Calibrate, items: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("EXPOSURE__METHOD", "sympson-hetter"),
        ("EXPOSURE__ANSWERS", "4"),
        ("EXPOSURE__CANDIDATES", "300"),
        ("EXPOSURE__VERIFYING_CANDIDATES", "700"),
        ("EXPOSURE__ITERATIONS", "3"),
        ("EXPOSURE__CUTS", "-0.5,0.5"),
        ("MAXIMUM_EXPOSURE_RATE", "0.9"),
    ):
        monkeypatch.setenv(f"CALIBRATION_POLICY__{name}", value)
    found = json.loads(calibrate("exposure", "--items", items, "--json").stdout)
    named = ("method", "answers", "candidates", "cycles", "maximum_rate")
    assert [found[name] for name in named] == ["sympson-hetter", 4, 700, 3, 0.9]
    told = ("--answers", 5, "--iterations", 2, "--max-rate", 0.8)
    found = json.loads(calibrate("exposure", "--items", items, *told, "--json").stdout)
    assert [found[name] for name in ("answers", "cycles", "maximum_rate")] == [5, 2, 0.8]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--floor", 0.5, "--ceiling", 0.4], "floor and ceiling"),
        (["--least-answers", 31], "least_answers must not be above answers"),
        (["--version", 1], "--version is of published versions"),
        (["--answers", 50, "--max-rate", 1], "a test of 50 items can't be drawn from 40"),
        (["--max-rate", "nan"], "'--max-rate': nan is no finite number"),
        (["--mean", "nan"], "'--mean': nan is no finite number"),
        (["--cut", "nan"], "'--cut': nan is no finite number"),
        (["--sd", "inf"], "'--sd': inf is no finite number"),
        (["--tolerance", "inf"], "'--tolerance': inf is no finite number"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    calibrate: Calibrate, items: Path, options: list[object], complaint: str
) -> None:
    result = calibrate("exposure", "--items", items, *options)
    assert result.exit_code == 2
    assert complaint in result.stderr


def test_files_that_cannot_be_written_are_refused_before_anything_is_simulated(
    calibrate: Calibrate, items: Path, tmp_path: Path
) -> None:
    def refused(*options: object) -> str:
        result = calibrate("exposure", "--items", items, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Simulating" not in result.stderr
        return result.stderr

    nowhere, one = tmp_path / "nowhere" / "o.csv", tmp_path / "one"
    for option in ("--out", "--plot"):
        assert f"{nowhere} can't be written (No such file" in refused(option, nowhere)
        assert "is a folder: name a file" in refused(option, tmp_path, "--force")
    assert "can't hold two files" in refused("--out", one, "--plot", tmp_path / "." / "one")
    assert files(tmp_path) == {"items.csv"}


def test_a_level_without_candidates_is_not_reached(calibrate: Calibrate, items: Path) -> None:
    options = ("--items", items, "--answers", 6, "--max-rate", 0.5, *SMALL, "--cut", 9)
    result = calibrate("exposure", *options)
    assert result.exit_code == 1
    assert "level 1 (θ above 9), about 0 of 4,000 candidates, has too few" in result.stderr
    assert "leaving out the cut at 9" in result.stderr


def test_the_table_gives_rates_as_percentages(calibrate: Calibrate, items: Path) -> None:
    options = ("--items", items, "--answers", 6, "--max-rate", 0.9, *SMALL)
    shown = calibrate("exposure", *options).stdout
    assert "90.00%" in shown
    assert "(without control 100.00%)" in shown
    assert "Content version" not in shown
    assert "stored as attempt" not in shown


@pytest.fixture
def version(engine: sa.Engine, run_id: str, items: Path) -> sa.Engine:
    """A published version of forty items, one of which has been retired since."""
    import_bank(engine, items, "3PL")
    states.write_state(engine, state(), run_id)
    example = snapshot_items(1)[0]
    drawn = draw_items(40, np.random.default_rng(3)).tolist()
    published(
        engine,
        run_id,
        [
            replace(example, key=(f"i{j}", 1), discrimination=a, difficulty=b, guessing=c)
            for j, (a, b, c) in enumerate(drawn)
        ],
    )
    record_decision(
        engine, ("i7", 1), "retire", effective_from=NIGHT, reason="known", decided_by="a test"
    )
    return engine


def test_what_is_found_for_a_version_is_stored_once(
    on_database: Calibrate, version: sa.Engine
) -> None:
    options = ("--answers", 6, "--max-rate", 0.3, *SMALL)
    dry = on_database("exposure", *options, "--dry-run", "--json")
    assert dry.exit_code == 0, dry.stderr
    assert read_exposure(version, 1) == ()
    first = json.loads(on_database("exposure", *options, "--json").stdout)
    (stored,) = read_exposure(version, 1)
    assert (first["version"], first["stored_as_attempt"], first["items"]) == (1, 1, 39)
    assert json.loads(dry.stdout)["worst_rate"] == first["worst_rate"] == stored.worst_rate
    assert ("i7", 1) not in stored.keys
    with version.connect() as connection:
        found = connection.execute(sa.text("SELECT * FROM calibration.exposure_controls")).one()
    assert (found.found_by, found.run_id) == (operator_name(), None)
    assert found.settings["mean"] == 0.1  # of the version's population

    again = on_database("exposure", *options, "--json")
    assert "nothing is stored twice" in again.stderr
    repeated = json.loads(again.stdout)
    assert (repeated["stored_as_attempt"], repeated["worst_rate"]) == (None, stored.worst_rate)
    other = json.loads(on_database("exposure", *options, "--seed", 9, "--json").stdout)
    assert other["stored_as_attempt"] == 2
    assert read_exposure(version, 1)[0].settings["seed"] == 9


def test_what_is_not_reached_for_a_version_is_not_stored(
    on_database: Calibrate, version: sa.Engine
) -> None:
    hetter = ("--method", "sympson-hetter", "--iterations", 1, "--tolerance", 0.01)
    result = on_database("exposure", "--answers", 6, "--max-rate", 0.2, *SMALL, *hetter)
    assert result.exit_code == 1
    assert read_exposure(version, 1) == ()


def test_a_version_whose_items_are_all_retired_is_said_to_be(
    on_database: Calibrate, version: sa.Engine
) -> None:
    for j in set(range(40)) - {7}:
        record_decision(
            version, (f"i{j}", 1), "retire", effective_from=NIGHT, reason="all", decided_by="a test"
        )
    result = on_database("exposure")
    assert result.exit_code == 2
    assert "every item of version 1 is retired, so no test can be drawn from it" in result.stderr


def test_a_scale_or_a_version_that_is_not_there_is_named(
    on_database: Calibrate, version: sa.Engine
) -> None:
    result = on_database("exposure", "--scale", "reading")
    assert (result.exit_code, "has the scales main: name one" in result.stderr) == (2, True)
    result = on_database("exposure", "--version", 7)
    assert (result.exit_code, "there is no version 7" in result.stderr) == (2, True)
    result = on_database("exposure", "--D", 1.7)
    assert (result.exit_code, "states its own D" in result.stderr) == (2, True)
