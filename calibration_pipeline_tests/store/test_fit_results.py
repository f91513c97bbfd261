"""A fit on disk: whole, private, or not there."""

import csv
import json
import math

import pytest

from calibration_pipeline.errors import BadInputError
from calibration_pipeline.store.fit_results import FitFiles

ITEMS = {"item_id": ["a", "b,c"], "difficulty": [0.1, math.nan], "flags": ["", "few_answers"]}
ABILITIES = {"person_id": ["p"], "theta": [None]}
DOCUMENT = {"log_likelihood": -1.5, "population_sd_se": math.nan, "flags": {"few_answers": 1}}


def test_what_is_written_is_what_was_given(tmp_path):
    files = FitFiles.in_folder(tmp_path / "new" / "out", replace=False)
    files.write(ITEMS, ABILITIES, DOCUMENT)
    with files.items.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [list(ITEMS), ["a", "0.1", ""], ["b,c", "", "few_answers"]]
    assert files.abilities.read_text() == "person_id,theta\np,\n"
    assert json.loads(files.document.read_text()) == {**DOCUMENT, "population_sd_se": None}
    assert {path.stat().st_mode & 0o777 for path in files.paths} == {0o600}


def test_an_earlier_fit_is_left_alone_unless_told(tmp_path):
    FitFiles.in_folder(tmp_path, replace=False).write(ITEMS, ABILITIES, DOCUMENT)
    with pytest.raises(BadInputError, match=r"holds items\.csv, abilities\.csv, fit\.json already"):
        FitFiles.in_folder(tmp_path, replace=False)
    FitFiles.in_folder(tmp_path, replace=True).write(ITEMS, ABILITIES, {"other": 1})
    assert json.loads((tmp_path / "fit.json").read_text()) == {"other": 1}


def test_nothing_is_half_written(tmp_path):
    files = FitFiles.in_folder(tmp_path / "out", replace=False)
    with pytest.raises(ValueError, match="shorter"):
        files.write(ITEMS, {"person_id": ["p", "q"], "theta": [0.0]}, DOCUMENT)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInputError, match="is not a folder"):
        FitFiles.in_folder(tmp_path / "out", replace=True)
