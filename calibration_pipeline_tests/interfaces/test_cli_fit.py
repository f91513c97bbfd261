"""`calibrate fit`: from a file of answers to three files, without a database."""

import csv
import json
import math
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibration_pipeline_tests.interfaces.conftest import Calibrate
from calibration_pipeline_tests.processes import PATIENCE_SECONDS
from calibration_pipeline_tests.reference_data import reference_file

ITEM_COLUMNS = [
    "item_id", "discrimination", "difficulty", "guessing", "discrimination_se", "difficulty_se",
    "guessing_se", "response_count", "infit_mnsq", "outfit_mnsq", "flags",
]  # fmt: skip
ABILITY_COLUMNS = ["person_id", "theta", "theta_se", "response_count"]
FIT_KEYS = {
    "model", "log_likelihood", "aic", "bic", "n_items", "n_persons", "n_responses", "iterations",
    "converged", "elapsed_seconds", "population_mean", "population_sd",
}  # fmt: skip
BANK_COLUMNS = "item_id,discrimination,difficulty,guessing,is_anchor,author_difficulty"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def simulated_answers(n_persons: int = 60, n_items: int = 6) -> list[tuple[str, str, int]]:
    generator = np.random.default_rng(1)
    ability, difficulty = generator.normal(size=n_persons), np.linspace(-1, 1, n_items)
    right = generator.random((n_persons, n_items)) < 1 / (1 + np.exp(difficulty - ability[:, None]))
    return [(f"p{p}", f"i{i}", int(right[p, i])) for p in range(n_persons) for i in range(n_items)]


def write_rows(path: Path, rows, header: str = "person_id,item_id,correct") -> Path:
    lines = [",".join(str(cell) for cell in row) for row in rows]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "answers.csv", simulated_answers())


def test_real_answers_give_the_published_likelihood(calibrate: Calibrate, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lsat = reference_file("lsat6.csv")
    result = calibrate("fit", lsat, "--model", "2PL", "--no-priors", "--out", out)
    assert result.exit_code == 0, result.stderr
    document = json.loads((out / "fit.json").read_text())
    assert document["log_likelihood"] == pytest.approx(-2466.653, abs=0.01)
    assert document["aic"] == pytest.approx(4953.307, abs=0.02)
    assert document["bic"] == pytest.approx(5002.384, abs=0.02)
    assert document.keys() >= FIT_KEYS
    assert document["converged"]
    counts = (document["n_items"], document["n_persons"], document["n_responses"])
    assert counts == (5, 1000, 5000)
    items, abilities = rows_of(out / "items.csv"), rows_of(out / "abilities.csv")
    assert list(items[0]) == ITEM_COLUMNS
    assert [row["item_id"] for row in items] == [f"Item_{j}" for j in range(1, 6)]
    assert {row["response_count"] for row in items} == {"1000"}
    assert {row["guessing_se"] for row in items} == {""}
    assert list(abilities[0]) == ABILITY_COLUMNS
    assert [row["person_id"] for row in abilities[:3]] == ["1", "2", "3"]
    assert "-2466.653" in result.stdout


def test_json_is_the_document(calibrate: Calibrate, answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = calibrate("fit", answers, "--model", "Rasch", "--out", out, "--json")
    assert json.loads(result.stdout) == json.loads((out / "fit.json").read_text())
    assert result.stderr == ""


def test_the_same_answers_in_another_order_give_the_same_bytes(
    calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    other = write_rows(tmp_path / "other.csv", reversed(simulated_answers()))
    for path, name in ((answers, "one"), (other, "two")):
        assert calibrate("fit", path, "--model", "3PL", "--out", tmp_path / name).exit_code == 0
    for name in ("items.csv", "abilities.csv"):
        one, two = (tmp_path / folder / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_bank_gives_anchors_starts_and_items_nobody_answered(
    calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    bank = write_rows(
        tmp_path / "bank.csv",
        [("i0", 1, -1, 0, "true", ""), ("i1", 1, -0.6, 0, "true", ""), ("x", "", "", "", "", 0.7),
         ("i2", 0.9, -0.1, "", "", "")],
        BANK_COLUMNS,
    )  # fmt: skip
    out = tmp_path / "out"
    result = calibrate("fit", answers, "--model", "2PL", "--item-bank", bank, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "fitted without it: 3." in result.stderr
    items = {row["item_id"]: row for row in rows_of(out / "items.csv")}
    assert list(items) == ["i0", "i1", "x", "i2", "i3", "i4", "i5"]
    assert (items["i0"]["difficulty"], items["i0"]["difficulty_se"]) == ("-1.0", "")
    assert items["i0"]["flags"] == "anchor"
    assert (items["x"]["response_count"], items["x"]["flags"]) == ("0", "no_answers")
    assert float(items["x"]["difficulty"]) == pytest.approx(0.7)
    document = json.loads((out / "fit.json").read_text())
    assert document["scale_held_by"] == "anchors"
    assert document["population_sd"] != 1.0
    held = calibrate(
        "fit", answers, "--model", "2PL", "--item-bank", bank, "--out", out, "--force",
        "--population", "standard-normal",
    )  # fmt: skip
    assert held.exit_code == 0
    assert "both hold the scale" in held.stderr


def test_anchors_without_answers_hold_nothing_and_are_mentioned(
    calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    bank = write_rows(tmp_path / "bank.csv", [("x", 1, 0, 0, "true", "")], BANK_COLUMNS)
    options = ("fit", answers, "--model", "2PL", "--item-bank", bank, "--out", tmp_path / "out")
    result = calibrate(*options)
    assert "warning: none of the 1 anchors has answers" in result.stderr
    assert rows_of(tmp_path / "out" / "items.csv")[0]["flags"] == "anchor;no_answers"
    refused = calibrate(*options, "--force", "--population", "estimated")
    assert refused.exit_code == 2
    assert "nothing would hold the scale" in refused.stderr


def test_sessions_have_abilities_of_their_own(calibrate: Calibrate, tmp_path: Path) -> None:
    rows = [(p, f"s{s}", i, x) for s in (1, 2) for p, i, x in simulated_answers(20)]
    path = write_rows(tmp_path / "a.csv", rows, "person_id,session_id,item_id,correct")
    out = tmp_path / "out"
    assert calibrate("fit", path, "--model", "Rasch", "--out", out).exit_code == 0
    abilities = rows_of(out / "abilities.csv")
    assert list(abilities[0]) == [*ABILITY_COLUMNS, "session_id"]
    assert len(abilities) == 40
    document = json.loads((out / "fit.json").read_text())
    assert (document["n_persons"], document["n_sessions"]) == (20, 40)


def test_a_fit_that_stops_early_is_written_with_a_warning(
    calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = calibrate("fit", answers, "--model", "2PL", "--out", out, "--max-cycles", 1)
    assert result.exit_code == 0
    assert "warning: not converged after" in result.stderr
    assert json.loads((out / "fit.json").read_text())["converged"] is False


def test_the_scaling_constant_divides_the_slopes(calibrate: Calibrate, tmp_path: Path) -> None:
    answers = write_rows(tmp_path / "many.csv", simulated_answers(600))
    slopes = {}
    for constant in (1.0, 1.7):
        out = tmp_path / str(constant)
        calibrate(
            "fit", answers, "--model", "2PL", "--no-priors", "--D", constant, "--out", out,
            "--tolerance", 1e-6, "--max-cycles", 2000,
        )  # fmt: skip
        slopes[constant] = float(rows_of(out / "items.csv")[2]["discrimination"])
        assert json.loads((out / "fit.json").read_text())["scaling_constant"] == constant
    assert slopes[1.0] / slopes[1.7] == pytest.approx(1.7, rel=1e-3)


def test_oakes_errors_are_wired(calibrate: Calibrate, answers: Path, tmp_path: Path) -> None:
    errors = []
    for method in ("information", "oakes"):
        out = tmp_path / method
        result = calibrate(
            "fit", answers, "--model", "2PL", "--standard-errors", method, "--out", out
        )
        assert result.exit_code == 0, result.stderr
        errors.append(float(rows_of(out / "items.csv")[0]["difficulty_se"]))
    assert errors[0] != errors[1]
    assert errors[0] == pytest.approx(errors[1], rel=0.3)


DEGENERATE = {
    "all right": [(p, i, 1) for p, i, _ in simulated_answers()],
    "all wrong": [(p, i, 0) for p, i, _ in simulated_answers()],
    "one person": simulated_answers(1),
    "one item": simulated_answers(60, 1),
    "one answer": [("p", "i", 1)],
}


@pytest.mark.parametrize("model", ["Rasch", "1PL", "2PL", "3PL"])
@pytest.mark.parametrize("priors", [(), ("--no-priors",)], ids=["priors", "likelihood"])
@pytest.mark.parametrize("rows", DEGENERATE.values(), ids=list(DEGENERATE))
def test_degenerate_answers_give_files_that_say_so(
    calibrate: Calibrate, tmp_path: Path, rows, priors, model: str
) -> None:
    path, out = write_rows(tmp_path / "a.csv", rows), tmp_path / "out"
    result = calibrate("fit", path, "--model", model, "--out", out, *priors)
    assert result.exit_code == 0, result.stderr
    items, abilities = rows_of(out / "items.csv"), rows_of(out / "abilities.csv")
    assert all(row["flags"] for row in items)
    for row in items:
        assert all(math.isfinite(float(row[name])) for name in ITEM_COLUMNS[1:4])
        assert all(math.isfinite(float(row[name] or 0)) for name in ITEM_COLUMNS[4:10])
    assert all(math.isfinite(float(row["theta"])) for row in abilities)
    json.loads((out / "fit.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("person_id,item_id,correct\n", "has no answers"),
        ("person_id,item_id\na,i\n", "lacks the column correct"),
        ("person_id,item_id,correct\na,i,2\n", "row 1: correct is neither 0 nor 1"),
        ("person_id,item_id,correct\na,i,1\na,i,1\n", "row 2: this person has answered item 'i'"),
        ("", "can't be read"),
    ],
)
def test_what_cannot_be_fitted_ends_in_one_line(
    calibrate: Calibrate, tmp_path: Path, text: str, expected: str
) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "out"
    path.write_text(text)
    result = calibrate("fit", path, "--model", "2PL", "--out", out)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert expected in line
    assert not out.exists()


def test_an_earlier_fit_and_a_scale_without_a_bank_are_refused(
    calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    options = ("fit", answers, "--model", "Rasch", "--out", tmp_path / "out")
    assert calibrate(*options).exit_code == 0
    again = calibrate(*options)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    scale = calibrate(*options, "--force", "--scale", "main")
    assert (scale.exit_code, "--item-bank" in scale.stderr) == (2, True)


def run_on_a_terminal(*arguments: object) -> str:
    """Run a command whose stderr is a terminal, and give what appeared there."""
    ours, theirs = pty.openpty()
    program = (
        "import sys\n"
        "from calibration_pipeline.interfaces.cli import main, progress\n"
        "progress.DELAY_SECONDS = 0.0\n"
        "main(sys.argv[1:], prog_name='calibrate')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the terminal's other end was closed
        pass
    finally:
        os.close(ours)
    assert process.wait(timeout=PATIENCE_SECONDS) == 0
    return shown.decode()


def test_progress_shows_on_a_terminal_and_not_in_a_pipe(
    no_settings: None, calibrate: Calibrate, answers: Path, tmp_path: Path
) -> None:
    shown = run_on_a_terminal("fit", answers, "--model", "2PL", "--out", tmp_path / "one")
    assert "Fitting" in shown
    piped = calibrate("fit", answers, "--model", "2PL", "--out", tmp_path / "two")
    assert "Fitting" not in piped.stderr
