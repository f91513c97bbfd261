"""`calibrate link`: two files of items, constants, and a third file or none."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration_pipeline.irt.linking import LinkingConstants, transform_items
from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.irt.common_items import kolen_brennan, on_new_scale, with_errors
from calibration_pipeline_tests.simulated import draw_items

PARAMETERS = ["discrimination", "difficulty", "guessing"]
ERRORS = [f"{name}_se" for name in PARAMETERS]
CONSTANTS = LinkingConstants(1.1, -0.3)


def write_items(path: Path, parameters, errors=None, first: int = 0) -> Path:
    table = pd.DataFrame(parameters, columns=PARAMETERS)
    table.insert(0, "item_id", [f"i{first + row}" for row in range(len(table))])
    if errors is not None:
        table[ERRORS] = errors
    table.assign(response_count=500, flags="").to_csv(path, index=False)
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """New items i0 … i29, references i10 … i39; i12 has drifted by 0.6, the others have not."""
    generator = np.random.default_rng(3)
    truth = draw_items(40, generator, "2PL")
    phi_errors = np.array([0.06, 0.06, 0.0])
    drifted = truth + np.outer(np.arange(40) == 12, [0.0, 0.6, 0.0])
    sides = []
    for name, side, rows in (
        ("new", on_new_scale(drifted, CONSTANTS), slice(0, 30)),
        ("reference", truth, slice(10, 40)),
    ):
        drawn = with_errors(side, phi_errors, generator)[rows]
        errors = np.column_stack([drawn[:, 0] * 0.06, np.full(30, 0.06), np.full(30, np.nan)])
        path = write_items(tmp_path / f"{name}.csv", drawn, errors, rows.start)
        sides.append(path)
    return sides[0], sides[1]


def link(calibrate: Calibrate, files: tuple[Path, Path], *options: object):
    return calibrate("link", "--new", files[0], "--reference", files[1], *options)


@pytest.mark.parametrize(
    ("options", "slope", "intercept"),
    [
        (["--method", "stocking-lord"], 1.119231, -0.485545),
        (["--method", "haebara", "--scaling-constant", 1.7], 1.092919, -0.457488),
        (["--method", "haebara", "--symmetric"], 1.106620, -0.457326),
        (["--method", "stocking-lord", "--D", 1.7, "--weights", "normal"], 1.090823, -0.496292),
        (["--method", "haebara", "--D", 1.7, "--nodes", 61, "--range", -3, 3], 1.101495, -0.470670),
        (["--method", "mean-sigma"], 1.168892, -0.515543),
        (["--method", "mean-mean"], 1.217266, -0.557156),
    ],
)
def test_published_constants_come_out(
    calibrate: Calibrate, tmp_path: Path, options: list[object], slope: float, intercept: float
) -> None:
    new, reference = kolen_brennan()
    pair = write_items(tmp_path / "x.csv", new), write_items(tmp_path / "y.csv", reference)
    result = link(calibrate, pair, *options, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["slope"], found["intercept"]) == pytest.approx((slope, intercept), abs=5e-5)
    assert (found["slope_se"], found["items_used"], found["left_out"]) == (None, 12, [])
    assert "no standard errors" in result.stderr


def test_the_new_items_are_written_on_the_other_scale_with_their_errors(
    calibrate: Calibrate, files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "linked.csv"
    result = link(calibrate, files, "--out", out, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert abs(found["slope"] - CONSTANTS.slope) < 3 * found["slope_se"] < 0.1
    assert abs(found["intercept"] - CONSTANTS.intercept) < 3 * found["intercept_se"] < 0.1
    assert found["common_items"] == 20
    drifted = {row["item_id"]: row["reason"] for row in found["left_out"]}
    assert drifted["i12"].startswith("difficulty drifted: +0.")
    assert found["items_used"] == 20 - len(drifted)
    assert oct(out.stat().st_mode & 0o777) == "0o600"
    linked, new = pd.read_csv(out), pd.read_csv(files[0])
    assert list(linked) == ["item_id", *PARAMETERS, *ERRORS]
    assert linked.item_id.tolist() == new.item_id.tolist()
    constants = LinkingConstants(found["slope"], found["intercept"])
    expected = transform_items(new[PARAMETERS].to_numpy(), constants)
    np.testing.assert_allclose(linked[PARAMETERS], expected)
    alone = constants.slope * new.difficulty_se[:10]  # of items that only the new file has
    assert (linked.difficulty_se[:10] > alone).all()
    assert linked.guessing_se.isna().all()


def test_the_screen_names_what_was_left_out_and_why(
    calibrate: Calibrate, files: tuple[Path, Path]
) -> None:
    result = link(calibrate, files)
    assert result.exit_code == 0
    assert "slope se" in result.stdout
    assert "i12" in result.stdout
    assert "difficulty drifted" in result.stdout
    plain = link(calibrate, files, "--no-robust", "--json")
    assert json.loads(plain.stdout)["items_used"] == 20
    corrected = json.loads(link(calibrate, files, "--correct-attenuation", "--json").stdout)
    assert corrected["corrects_attenuation"]
    assert corrected["slope"] != json.loads(link(calibrate, files, "--json").stdout)["slope"]


def test_items_without_an_estimate_or_its_error_take_no_part(
    calibrate: Calibrate, files: tuple[Path, Path]
) -> None:
    new, reference = (pd.read_csv(path) for path in files)
    new.loc[15, "difficulty"] = np.nan
    new.loc[16, "difficulty_se"] = np.nan
    reference.loc[7, "discrimination"] = np.nan
    new.to_csv(files[0], index=False)
    reference.to_csv(files[1], index=False)
    found = json.loads(link(calibrate, files, "--json").stdout)
    reasons = {row["item_id"]: row["reason"] for row in found["left_out"]}
    assert reasons["i15"] == "no estimate in the new table"
    assert reasons["i16"].startswith("no standard error in the new table")
    assert reasons["i17"] == "no estimate in the reference"


def test_rasch_items_only_shift(calibrate: Calibrate, tmp_path: Path) -> None:
    truth = draw_items(12, np.random.default_rng(0), "Rasch")
    pair = (
        write_items(
            tmp_path / "new.csv", np.add(truth, [0.0, 0.4, 0.0]), [[np.nan, 0.1, np.nan]] * 12
        ),
        write_items(tmp_path / "reference.csv", truth),
    )
    found = json.loads(link(calibrate, pair, "--json").stdout)
    assert (found["slope"], found["slope_se"], found["slope_is_free"]) == (1.0, 0.0, False)
    assert found["intercept"] == pytest.approx(-0.4, abs=1e-6)
    assert found["intercept_se"] == pytest.approx(0.1 / np.sqrt(12), rel=0.1)


def test_constants_outside_the_bounds_are_shown_and_refused(
    calibrate: Calibrate, files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "linked.csv"
    result = link(calibrate, files, "--slope-range", 0.9, 1.05, "--out", out, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["is_within_bounds"] is False
    assert "not within 0.9 to 1.05 and -2 to 2" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not out.exists()


def test_an_existing_file_is_replaced_only_when_told_to(
    calibrate: Calibrate, files: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "linked.csv"
    out.write_text("mine")
    result = link(calibrate, files, "--out", out)
    assert (result.exit_code, out.read_text()) == (2, "mine")
    assert "--force" in result.stderr
    assert link(calibrate, files, "--out", out, "--force").exit_code == 0
    assert out.read_text() != "mine"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("item_id,discrimination,difficulty\ni1,1,0\n", "lacks the column guessing"),
        ("item_id,discrimination,difficulty,guessing\n", "has no items"),
        ("item_id,discrimination,difficulty,guessing\n,1,0,0\n", "item_id must not be blank"),
        ("item_id,discrimination,difficulty,guessing\ni1,1,0,0\ni1,1,0,0\n", "more than once"),
        ("item_id,discrimination,difficulty,guessing\ni1,-1,0,0\n", "above 0"),
        ("item_id,discrimination,difficulty,guessing\ni1,1,0,1\n", "at least 0 and below 1"),
        ("item_id,discrimination,difficulty,guessing\ni1,1,inf,0\n", "must be finite"),
        ("item_id,discrimination,difficulty,guessing\ni1,1,hard,0\n", "can't be read"),
        (
            "item_id,discrimination,difficulty,guessing,difficulty_se\ni1,1,0,0,-0.1\n",
            "must not be negative",
        ),
        ("item_id,discrimination,difficulty,guessing\nz1,1,0,0\n", "no item in common"),
    ],
)
def test_a_file_that_cannot_be_used_ends_in_one_line(
    calibrate: Calibrate, files: tuple[Path, Path], content: str, complaint: str
) -> None:
    files[0].write_text(content)
    result = link(calibrate, files)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_cannot_be_asked_for_is_refused(
    calibrate: Calibrate, files: tuple[Path, Path], tmp_path: Path
) -> None:
    assert link(calibrate, files, "--range", 4, -4).exit_code == 2
    assert link(calibrate, (tmp_path / "none.csv", files[1])).exit_code == 2
    bare = pd.read_csv(files[0]).drop(columns=ERRORS)
    bare.to_csv(files[0], index=False)
    result = link(calibrate, files, "--robust")
    assert result.exit_code == 2
    assert "--no-robust" in result.stderr


def test_parquet_is_read_as_well(
    calibrate: Calibrate, files: tuple[Path, Path], tmp_path: Path
) -> None:
    parquet = tmp_path / "new.parquet"
    pd.read_csv(files[0], float_precision="round_trip").to_parquet(parquet)
    from_csv, from_parquet = (
        json.loads(link(calibrate, (path, files[1]), "--json").stdout)
        for path in (files[0], parquet)
    )
    assert from_parquet == from_csv
